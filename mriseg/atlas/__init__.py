"""The knee atlas, and how it is carried onto a knee."""

from mriseg.atlas.carry import Carried, OnSurface, carry, rigid_residual, values_at
from mriseg.atlas.model import LATERAL, MEDIAL, BoneAtlas, load_atlas
from mriseg.atlas.parameters import AtlasParameters, FitParameters

__all__ = [
    "LATERAL",
    "MEDIAL",
    "AtlasParameters",
    "BoneAtlas",
    "Carried",
    "FitParameters",
    "OnSurface",
    "carry",
    "load_atlas",
    "rigid_residual",
    "values_at",
]
