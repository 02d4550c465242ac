"""The knee atlas: mean right-knee bones with what a sound knee carries at each point."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np

from mriseg.surfaces import Surface
from mriseg.types import Array, Bone, FloatArray

ASSET = "knee_atlas.npz"
MEDIAL, LATERAL = 1, 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoneAtlas:
    """Mean surface of one bone of the right knee, RAS mm about its own centre.

    Parameters
    ----------
    surface : Surface
        V vertices; femur and tibia end open at the shaft.
    coverage : array, (V,)
        Probability that a sound knee carries cartilage here, by fits that follow each bone closely.
    footprint : array, (V,)
        The same by fits of size, place and the broadest bending alone.
    thickness_mm, thickness_sd_mm : array, (V,)
        Normative cartilage thickness and its spread between knees; NaN where no knee carries any.
    compartment : array, (V,) int
        1 medial, 2 lateral.
    axes : array, (3, 3)
        Rows are unit vectors to the right (lateral), anterior and superior; superior runs along the shaft.
    notch : array, (V,) bool
        Femur only: the rim of the intercondylar notch where the trochlea ends.
    """

    surface: Surface
    coverage: FloatArray
    footprint: FloatArray
    thickness_mm: FloatArray
    thickness_sd_mm: FloatArray
    compartment: Array
    axes: FloatArray
    notch: Array


@cache
def load_atlas() -> Mapping[Bone, BoneAtlas]:
    """Read the atlas that is shipped with the package."""
    with resources.files("mriseg.assets").joinpath(ASSET).open("rb") as file, np.load(file) as arrays:
        return {bone: _unpack(bone, arrays) for bone in Bone}


def _unpack(bone: Bone, arrays: Mapping[str, Array]) -> BoneAtlas:
    def part(name: str, dtype: type) -> Array:
        return np.asarray(arrays[f"{bone}_{name}"], dtype=dtype)

    surface = Surface(vertices_mm=part("vertices_mm", np.float64), faces=part("faces", np.int64))
    return BoneAtlas(
        surface=surface,
        coverage=part("coverage", np.float64),
        footprint=part("footprint", np.float64),
        thickness_mm=part("thickness_mm", np.float64),
        thickness_sd_mm=part("thickness_sd_mm", np.float64),
        compartment=part("compartment", np.int64),
        axes=part("axes", np.float64),
        notch=part("notch", bool),
    )


def pack(atlas: Mapping[Bone, BoneAtlas]) -> dict[str, Array]:
    """Arrays by name, as :func:`load_atlas` reads them; lengths as float32, which is exact to 0.00001 mm here."""
    arrays: dict[str, Array] = {}
    for bone, part in atlas.items():
        values: dict[str, Array] = {
            "vertices_mm": part.surface.vertices_mm.astype(np.float32),
            "faces": part.surface.faces.astype(np.int32),
            "coverage": part.coverage.astype(np.float32),
            "footprint": part.footprint.astype(np.float32),
            "thickness_mm": part.thickness_mm.astype(np.float32),
            "thickness_sd_mm": part.thickness_sd_mm.astype(np.float32),
            "compartment": part.compartment.astype(np.uint8),
            "axes": part.axes,
            "notch": part.notch,
        }
        arrays |= {f"{bone}_{name}": value for name, value in values.items()}
    return arrays
