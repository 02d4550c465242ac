"""Two visits to one rigid transform per bone, symmetric in half-way space."""

from mriseg.register.exchange import from_json, to_json
from mriseg.register.pair import register

__all__ = ["from_json", "register", "to_json"]
