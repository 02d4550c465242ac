"""Two visits to one rigid transform per bone, symmetric in half-way space."""

from mriseg.register.display import checkerboard, difference, in_baseline_space
from mriseg.register.exchange import from_json, to_json
from mriseg.register.pair import register
from mriseg.register.settings import RegisterSettings

__all__ = [
    "RegisterSettings",
    "checkerboard",
    "difference",
    "from_json",
    "in_baseline_space",
    "register",
    "to_json",
]
