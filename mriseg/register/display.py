"""The follow-up in the space of the baseline, to be looked at; nothing is ever measured on it."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from mriseg.types import RigidTransform, Volume


def in_baseline_space(followup: Volume, baseline: Volume, transform: RigidTransform) -> Volume:
    """Resample ``followup`` onto the grid of ``baseline``, trilinear; 0 where the follow-up does not show the place."""
    to_voxel = np.linalg.inv(followup.grid.affine) @ transform.matrix @ baseline.grid.affine
    data = ndimage.affine_transform(
        followup.data, to_voxel[:3, :3], offset=to_voxel[:3, 3], output_shape=baseline.grid.shape, order=1
    )
    return Volume(data=data, grid=baseline.grid)


def checkerboard(one: Volume, two: Volume, *, square_mm: float = 15.0) -> Volume:
    """Squares of ``one`` and of ``two``, both on one grid and at one brightness, by turns along every axis."""
    index = np.meshgrid(*map(np.arange, one.grid.shape), indexing="ij", sparse=True)
    steps = np.maximum(np.rint(square_mm / one.grid.spacing_mm), 1).astype(int)
    odd = sum(i // n for i, n in zip(index, steps, strict=True)) % 2 == 1
    return Volume(data=np.where(odd, two.data * _gain(one, two), one.data), grid=one.grid)


def difference(one: Volume, two: Volume) -> Volume:
    """``two`` less ``one``, both on one grid, after ``two`` is brought to the brightness of ``one``."""
    return Volume(data=two.data * _gain(one, two) - one.data, grid=one.grid)


def _gain(one: Volume, two: Volume) -> float:
    """Factor that gives both the same mean where both show something; 1 where nothing is shared."""
    shared = two.data > 0
    total = float(two.data[shared].sum())
    return float(one.data[shared].sum()) / total if total > 0 else 1.0
