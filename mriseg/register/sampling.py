"""Values and gradients of a volume between its voxels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from mriseg.geometry import apply_affine
from mriseg.types import Array, FloatArray, Grid


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Field:
    """A smooth scalar field: ``values`` (I, J, K) float32 on ``grid``."""

    values: npt.NDArray[np.float32]
    grid: Grid


def smooth(data: Array, grid: Grid, *, sigma_mm: float) -> Field:
    """Gaussian of ``sigma_mm`` in world units; the volume is taken to go on unchanged beyond its border."""
    values = ndimage.gaussian_filter(
        np.asarray(data, dtype=np.float32), sigma_mm / grid.spacing_mm, mode="nearest", truncate=3.0
    )
    return Field(values=values, grid=grid)


def to_voxels(grid: Grid, points_mm: FloatArray) -> FloatArray:
    """Voxel coordinates ijk (N, 3) of ``points_mm`` (N, 3)."""
    return apply_affine(np.asarray(np.linalg.inv(grid.affine), dtype=np.float64), points_mm)


def inside(grid: Grid, points_mm: FloatArray, *, margin_mm: float = 0.0) -> npt.NDArray[np.bool_]:
    """Whether ``points_mm`` (N, 3) lie between the voxel centres of ``grid``, ``margin_mm`` or more inside."""
    ijk = to_voxels(grid, points_mm)
    margin = margin_mm / grid.spacing_mm
    return np.asarray(((ijk >= margin) & (ijk <= np.array(grid.shape) - 1 - margin)).all(axis=1))


def sample(field: Field, points_mm: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Trilinear value (N,) and gradient per mm (N, 3) of a field; beyond the border the border's values go on."""
    shape = np.array(field.grid.shape)
    ijk = np.clip(to_voxels(field.grid, points_mm), 0, shape - 1)
    low = np.clip(np.floor(ijk).astype(np.int64), 0, np.maximum(shape - 2, 0))
    t = ijk - low
    step = np.minimum(shape - 1, 1)
    flat = field.values.reshape(-1)
    strides = np.array([shape[1] * shape[2], shape[2], 1])
    base = low @ strides
    c = {corner: flat[base + int(np.array(corner) * step @ strides)] for corner in np.ndindex(2, 2, 2)}
    x, y, z = t.T.astype(np.float32)
    # Along k first, then j, then i; each pair of corners gives a value and a difference.
    low_k = {(i, j): c[i, j, 0] + z * (c[i, j, 1] - c[i, j, 0]) for i in (0, 1) for j in (0, 1)}
    low_j = {i: low_k[i, 0] + y * (low_k[i, 1] - low_k[i, 0]) for i in (0, 1)}
    value = low_j[0] + x * (low_j[1] - low_j[0])
    along_j = {i: low_k[i, 1] - low_k[i, 0] for i in (0, 1)}
    slope_k = {(i, j): c[i, j, 1] - c[i, j, 0] for i in (0, 1) for j in (0, 1)}
    slope_kj = {i: slope_k[i, 0] + y * (slope_k[i, 1] - slope_k[i, 0]) for i in (0, 1)}
    gradient = np.stack(
        [
            low_j[1] - low_j[0],
            along_j[0] + x * (along_j[1] - along_j[0]),
            slope_kj[0] + x * (slope_kj[1] - slope_kj[0]),
        ],
        axis=1,
    ).astype(np.float64)
    return value.astype(np.float64), gradient @ np.linalg.inv(field.grid.affine[:3, :3])
