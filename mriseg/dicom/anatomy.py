"""Which knee a label map shows, to check what manifest and header say.

The lateral ridge of the femoral trochlea is the most anterior part of the femur and of its cartilage, also in
osteoarthritis. In 52 manual label maps of right knees (34 people, K-L grade 0 to 4, 18 of them at two visits) the most
anterior cartilage lay 18.1 mm (SD 3.0) and the most anterior bone near the joint 14.3 mm (SD 2.9) to the lateral side
of the middle of the condyles, and never to the medial side; 51 of the 52 were told, one was left open, none was wrong.
"""

from __future__ import annotations

import numpy as np

from mriseg.geometry import reorient
from mriseg.types import FloatArray, Label, LabelMap, Side

STEP_MM = 1.0  # voxels are thinned to about this distance
CONDYLES_MM = 25.0  # height above the joint line in which the width of the femur is taken
TROCHLEA_MM = 40.0  # height in which the most anterior bone is looked for
ANTERIOR_PCT = 97.0
LEAST_MM = 5.0  # three standard deviations from the mean knee
FEW_POINTS = 200


def side_from_anatomy(label_map: LabelMap) -> Side | None:
    """Return the side of a knee by the shape of its trochlea, or None where bone and cartilage do not agree.

    Parameters
    ----------
    label_map : LabelMap
        In the true world frame (RAS), not mirrored; femur and femoral cartilage at least.
    """
    offsets = lateral_offsets_mm(label_map)
    if (offsets > LEAST_MM).all():
        return Side.RIGHT
    return Side.LEFT if (offsets < -LEAST_MM).all() else None


def lateral_offsets_mm(label_map: LabelMap) -> FloatArray:
    """Distance of the most anterior femoral cartilage, and bone, to the right of the middle of the condyles, (2,).

    NaN where a structure is missing.
    """
    knee = reorient(label_map)
    bone, cartilage = (_points_mm(knee, label) for label in (Label.FEMUR, Label.FEMORAL_CARTILAGE))
    if min(len(bone), len(cartilage)) < FEW_POINTS:
        return np.full(2, np.nan)
    joint = cartilage[:, 2].min()
    middle = np.percentile(bone[bone[:, 2] < joint + CONDYLES_MM, 0], (2, 98)).mean()
    trochlea = bone[bone[:, 2] < joint + TROCHLEA_MM]
    anterior = np.array([_most_anterior(part) for part in (cartilage, trochlea)])
    return np.asarray(anterior - middle, dtype=np.float64)


def _points_mm(knee: LabelMap, label: Label) -> FloatArray:
    """Voxel centres of one structure along right, anterior, superior, (N, 3)."""
    spacing = knee.grid.spacing_mm
    steps = np.maximum(1, np.rint(STEP_MM / spacing)).astype(int)
    thinned = knee.data[tuple(slice(None, None, step) for step in steps)] == label
    return np.asarray(np.argwhere(thinned) * (steps * spacing), dtype=np.float64)


def _most_anterior(points_mm: FloatArray) -> float:
    """Mean right-left place of the most anterior points."""
    return float(points_mm[points_mm[:, 1] >= np.percentile(points_mm[:, 1], ANTERIOR_PCT), 0].mean())
