"""Do the bones have the shape of a knee? The atlas is laid onto each, and what it has to give is judged."""

from __future__ import annotations

import numpy as np

from mriseg.atlas import carry, load_atlas
from mriseg.errors import GeometryError
from mriseg.surfaces import extract_surface
from mriseg.types import Bone, Grid, LabelMap, Verdict

COARSE_MM = 1.4  # fine enough for a fit that is judged in millimetres, and ten times quicker than the image's grid
SMOOTHING_MM = 1.0
LEAST_MM3 = 3_000.0  # a smaller piece is no bone, which the volumes say already


def shape_doubts(label_map: LabelMap) -> list[str]:
    """Reasons to doubt the shape of each bone of ``label_map``, which is in the right-knee frame.

    A bone that is absent or smaller than 3 ml is passed over: its volume is doubted elsewhere.
    """
    coarse = thinned(label_map)
    reasons = []
    for bone in Bone:
        mask = coarse.mask(bone.label)
        if mask.sum() * coarse.grid.voxel_mm3 < LEAST_MM3:
            continue
        try:
            fitted = carry(load_atlas()[bone], bone, extract_surface(mask, coarse.grid, smoothing_mm=SMOOTHING_MM))
        except GeometryError:
            reasons.append(f"The {bone} has no surface in the image.")
            continue
        if fitted.verdict is not Verdict.GOOD:
            reasons.append(f"The shape of the {bone} is doubtful: {'; '.join(fitted.reasons)}.")
    return reasons


def thinned(label_map: LabelMap) -> LabelMap:
    """Every n-th voxel of a label map, so that no voxel edge that can be longer stays below ``COARSE_MM`` / 2."""
    step = np.maximum(1, np.floor(COARSE_MM / label_map.grid.spacing_mm + 1e-6)).astype(int)
    data = np.ascontiguousarray(label_map.data[:: step[0], :: step[1], :: step[2]])
    i, j, k = data.shape
    return LabelMap(data=data, grid=Grid(shape=(i, j, k), affine=label_map.grid.affine @ np.diag([*step, 1.0])))
