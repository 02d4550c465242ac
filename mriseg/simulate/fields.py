"""Scalar fields in millimetres on a grid, sampled anywhere: the continuous form of a knee.

A field is a signed distance, negative inside. Label maps and images of any visit are sampled from fields through one
affine map, so no label map is ever resampled.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
from scipy import ndimage

from mriseg.geometry import apply_affine, isotropic_grid
from mriseg.surfaces import signed_distance
from mriseg.types import Array, FloatArray, Grid

Float32 = npt.NDArray[np.float32]
FAR_MM = 10.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Field:
    """``data`` (I, J, K) float32 on ``grid``; beyond the grid the value at its border goes on."""

    data: Float32
    grid: Grid

    def on_grid(self, shape: tuple[int, int, int], affine: FloatArray) -> Float32:
        """Sample, trilinear, at the voxels of a grid whose ``affine`` (4, 4) maps ijk into the space of the field."""
        to_index = inverse(self.grid.affine) @ affine
        transform = sitk.AffineTransform(3)
        transform.SetMatrix(to_index[:3, :3].ravel().tolist())
        transform.SetTranslation(to_index[:3, 3].tolist())
        resample = sitk.ResampleImageFilter()
        resample.SetSize([int(n) for n in shape])
        resample.SetTransform(transform)
        resample.SetInterpolator(sitk.sitkLinear)
        resample.UseNearestNeighborExtrapolatorOn()
        resample.SetNumberOfThreads(1)
        image = sitk.GetImageFromArray(np.ascontiguousarray(self.data.transpose(2, 1, 0)))
        sampled = sitk.GetArrayFromImage(resample.Execute(image)).transpose(2, 1, 0)
        return np.ascontiguousarray(sampled, dtype=np.float32)

    def at(self, points_mm: FloatArray, *, order: int = 1) -> FloatArray:
        """Sample at ``points_mm`` (..., 3) in the space of the field; returns (...,)."""
        index = apply_affine(inverse(self.grid.affine), points_mm)
        place = np.moveaxis(index, -1, 0)
        values: Array = ndimage.map_coordinates(self.data, place, order=order, mode="nearest")  # type: ignore[call-overload]
        return np.asarray(values, dtype=np.float64)


def inverse(affine: FloatArray) -> FloatArray:
    """Inverse of an affine (4, 4)."""
    return np.asarray(np.linalg.inv(affine), dtype=np.float64)


def grid_points(grid: Grid) -> FloatArray:
    """Position of every voxel centre of ``grid`` in mm, shape (I, J, K, 3)."""
    index = np.stack(np.meshgrid(*[np.arange(n, dtype=np.float64) for n in grid.shape], indexing="ij"), axis=-1)
    return apply_affine(grid.affine, index)


def mask_box(mask: Array, grid: Grid, margin_mm: float) -> tuple[slice, slice, slice]:
    """Smallest voxel box that holds ``mask`` (I, J, K) with a margin, clipped to the grid."""
    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    margin = np.ceil(margin_mm / grid.spacing_mm).astype(int)
    i, j, k = (
        slice(max(0, s.start - int(m)), min(n, s.stop + int(m)))
        for s, m, n in zip(box, margin, mask.shape, strict=True)
    )
    return i, j, k


def field_of_mask(mask: Array, grid: Grid, *, smoothing_mm: float = 0.5) -> Field:
    """Signed distance of a binary ``mask`` (I, J, K), smoothed below the voxel size and cut at 10 mm.

    The field lives on the voxels around the mask. Where the mask leaves the image it is taken to go on.
    """
    box = mask_box(mask, grid, FAR_MM)
    affine = grid.affine.copy()
    affine[:3, 3] = apply_affine(grid.affine, np.array([s.start for s in box], dtype=np.float64))
    part = np.ascontiguousarray(mask[box])
    local = Grid(shape=part.shape, affine=affine)
    distance = np.clip(signed_distance(part, local), -FAR_MM, FAR_MM).astype(np.float32)
    return Field(data=ndimage.gaussian_filter(distance, smoothing_mm / local.spacing_mm), grid=local)


def fine_grid(field: Field, spacing_mm: float) -> Grid:
    """Axis-aligned grid of ``spacing_mm`` around the zero level of ``field``, with 2 mm to spare."""
    inside = np.argwhere(np.abs(field.data) < 1.5).astype(np.float64)
    return isotropic_grid(apply_affine(field.grid.affine, inside), spacing_mm, margin_mm=2.0)


def over(image: Float32, distance_mm: Float32, width_mm: float, value: float | Float32) -> None:
    """Lay a structure over the picture, in place; its share runs from 1 to 0 across ``width_mm`` at its edge."""
    share = np.clip(np.float32(0.5) - distance_mm / np.float32(width_mm), 0.0, 1.0)
    image += share * (value - image)
