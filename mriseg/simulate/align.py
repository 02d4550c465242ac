"""Bring a bone of one knee onto the same bone of another: rotation, translation and one scale."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from mriseg.geometry import apply_affine, similarity_of
from mriseg.types import FloatArray


def align_points(
    source_mm: FloatArray,
    target_mm: FloatArray,
    *,
    start: FloatArray | None = None,
    trim: float = 0.85,
    iterations: int = 60,
) -> FloatArray:
    """Similarity that lays the surface points ``source_mm`` (N, 3) on ``target_mm`` (M, 3), by trimmed ICP.

    Without a ``start`` (4, 4) it begins with the shift between the medians. Of each round the share ``trim`` of closest
    pairs counts, so that a shaft that only one of the two shows does not pull.

    References
    ----------
    Chetverikov et al. 2005, doi:10.1016/j.imavis.2004.05.007.
    """
    tree = cKDTree(target_mm)
    matrix = np.eye(4)
    matrix[:3, 3] = np.median(target_mm, axis=0) - np.median(source_mm, axis=0)
    matrix = matrix if start is None else start
    for _ in range(iterations):
        moved = apply_affine(matrix, source_mm)
        distance, nearest = (np.asarray(part) for part in tree.query(moved))
        close = distance <= np.quantile(distance, trim)
        step = similarity_of(moved[close], target_mm[nearest[close]])
        matrix = step @ matrix
        if np.abs(step - np.eye(4)).max() < 1e-4:
            break
    return matrix


def scale_of(matrix: FloatArray) -> float:
    """Scale of a similarity (4, 4)."""
    return float(np.cbrt(np.linalg.det(matrix[:3, :3])))
