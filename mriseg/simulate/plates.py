"""Coarse plates of the simulated knee: medial and lateral tibia and femur, trochlea, patella.

They are defined by position in the mean knee, on purpose apart from the atlas that `mriseg measure` uses, so that truth
and measurement share no code.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from mriseg.simulate.mean_knee import mean_fields
from mriseg.surfaces import level_surface
from mriseg.types import Array, Bone, FloatArray

PLATES = {
    Bone.FEMUR: ("cMF", "cLF", "pMF", "pLF", "TrF"),
    Bone.TIBIA: ("MT", "LT"),
    Bone.PATELLA: ("P",),
}
GROUPS = {"FT": ("MT", "LT", "cMF", "cLF"), "MFTC": ("MT", "cMF"), "LFTC": ("LT", "cLF")}
WEIGHT_BEARING = 0.6
NOTCH_HEIGHT_MM = 9.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Landmarks:
    """Where the plates of the mean knee part, in mm of its frame.

    ``midline_x`` parts medial from lateral on femur and tibia; ``notch_y`` is the front of the intercondylar
    notch, 9 mm above the lowest point of the condyles, ``posterior_y`` the posterior end of the medial
    and the lateral condyle.
    """

    femur_midline_x: float
    tibia_midline_x: float
    notch_y: float
    posterior_y: tuple[float, float]


def covered_points(bone: Bone) -> FloatArray:
    """Points (N, 3) on the surface of a bone of the mean knee that carry cartilage."""
    inner, outer = mean_fields()[bone]
    points = level_surface(inner.data.astype(np.float64), inner.grid).vertices_mm
    return np.asarray(points[outer.at(points) < -0.3], dtype=np.float64)


@cache
def landmarks() -> Landmarks:
    """Find the landmarks on the mean knee itself."""
    tibia, femur = covered_points(Bone.TIBIA), covered_points(Bone.FEMUR)
    x = np.sort(tibia[:, 0])
    inner = (x > -25) & (x < 25)
    gap = np.argmax(np.diff(x[inner]))
    tibia_midline = float(x[inner][gap : gap + 2].mean())
    low = femur[:, 2] < np.quantile(femur[:, 2], 0.5)
    behind = femur[low & (femur[:, 1] < np.quantile(femur[:, 1], 0.3))]
    sides = (behind[behind[:, 0] < tibia_midline, 0], behind[behind[:, 0] > tibia_midline, 0])
    femur_midline = float((sides[0].max() + sides[1].min()) / 2)
    bone = mean_fields()[Bone.FEMUR][0]
    y = np.arange(-30.0, 40.0, 0.25)
    height = femur[:, 2].min() + NOTCH_HEIGHT_MM
    free = bone.at(np.stack([np.full_like(y, femur_midline), y, np.full_like(y, height)], axis=-1)) > 0
    notch = y[np.argmin(free) - 1]
    medial = femur[:, 0] < femur_midline
    ends = (float(femur[medial, 1].min()), float(femur[~medial, 1].min()))
    return Landmarks(
        femur_midline_x=femur_midline, tibia_midline_x=tibia_midline, notch_y=float(notch), posterior_y=ends
    )


def plate_names(bone: Bone, mean_points_mm: FloatArray) -> Array:
    """Name the plate of every point (N, 3), given in the frame of the mean knee; returns strings (N,)."""
    marks = landmarks()
    if bone is Bone.PATELLA:
        return np.full(len(mean_points_mm), "P", dtype="<U4")
    x, y = mean_points_mm[:, 0], mean_points_mm[:, 1]
    if bone is Bone.TIBIA:
        return np.where(x < marks.tibia_midline_x, "MT", "LT").astype("<U4")
    medial = x < marks.femur_midline_x
    posterior = np.where(medial, *marks.posterior_y)
    end = marks.notch_y - WEIGHT_BEARING * (marks.notch_y - posterior)
    central = np.where(medial, "cMF", "cLF")
    behind = np.where(medial, "pMF", "pLF")
    return np.where(y > marks.notch_y, "TrF", np.where(y > end, central, behind)).astype("<U4")


def bone_of(plate: str) -> Bone:
    """Bone that carries a plate."""
    return next(bone for bone, names in PLATES.items() if plate in names)
