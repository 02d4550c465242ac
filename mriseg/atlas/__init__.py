"""The knee atlas, and how it is carried onto a knee."""

from mriseg.atlas.carry import Carried, OnSurface, RigidLay, carry, lay_rigid, values_at
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
    "RigidLay",
    "carry",
    "lay_rigid",
    "load_atlas",
    "values_at",
]
