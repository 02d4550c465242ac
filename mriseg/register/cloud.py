"""Points on the smooth surface of a bone, drawn from a label map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mriseg.geometry import apply_affine, crop
from mriseg.register.sampling import Field, inside, sample, smooth
from mriseg.types import Array, Bone, FloatArray, Grid, LabelMap

CARTILAGE = tuple(bone.cartilage for bone in Bone)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cloud:
    """Surface of one bone at one visit, as far as the field of view shows it.

    Parameters
    ----------
    points_mm, normals : array, (N, 3)
        RAS mm of the visit and outward unit normals, about one point a square of ``spacing_mm``.
    grid : Grid
        The whole field of view.
    """

    points_mm: FloatArray
    normals: FloatArray
    grid: Grid

    def subset(self, index: Array) -> Cloud:
        """Points chosen by ``index``."""
        return Cloud(points_mm=self.points_mm[index], normals=self.normals[index], grid=self.grid)


def bone_cloud(
    labels: LabelMap, bone: Bone, *, box: tuple[slice, ...] | None, smoothing_mm: float, spacing_mm: float
) -> Cloud:
    """Draw the sub-voxel surface of ``bone``, which lies in ``box`` of the array; no box gives an empty cloud.

    The surface is the half level of the mask under a Gaussian of ``smoothing_mm``, which turns with the knee because
    it is round in world units. Points closer to the border of the field of view than the Gaussian reaches are left
    out: there the bone is cut, not bounded.
    """
    if box is None:
        return Cloud(points_mm=np.empty((0, 3)), normals=np.empty((0, 3)), grid=labels.grid)
    margin = np.ceil(3.0 * smoothing_mm / labels.grid.spacing_mm).astype(int) + 2
    part = crop(labels, np.array([s.start for s in box]) - margin, np.array([s.stop for s in box]) + margin)
    mask = part.data == bone.label
    field = smooth(mask, part.grid, sigma_mm=smoothing_mm)
    start = apply_affine(part.grid.affine, np.argwhere(_edge(mask)).astype(np.float64))
    points, normals, settled = _onto_level(field, thin(start, 0.5 * spacing_mm), limit_mm=2.0 * smoothing_mm)
    keep = settled & inside(labels.grid, points, margin_mm=1.5 * smoothing_mm)
    chosen = thin_index(points[keep], spacing_mm)
    return Cloud(points_mm=points[keep][chosen], normals=normals[keep][chosen], grid=labels.grid)


def cartilage_points(labels: LabelMap, *, spacing_mm: float) -> FloatArray:
    """Voxel centres of all cartilage, RAS mm, thinned to one a cube of ``spacing_mm``, shape (N, 3)."""
    index = np.argwhere(np.isin(labels.data, CARTILAGE))
    return thin(apply_affine(labels.grid.affine, index.astype(np.float64)), spacing_mm)


def thin(points_mm: FloatArray, spacing_mm: float) -> FloatArray:
    """One of ``points_mm`` (N, 3) a cube of ``spacing_mm``."""
    return points_mm[thin_index(points_mm, spacing_mm)]


def thin_index(points_mm: FloatArray, spacing_mm: float) -> npt.NDArray[np.int64]:
    """Index of one point a cube of ``spacing_mm``: the first in the order given."""
    return np.sort(np.unique(cubes(points_mm, spacing_mm), return_index=True)[1])


def cubes(points_mm: FloatArray, size_mm: float) -> npt.NDArray[np.int64]:
    """Number (N,) of the cube of ``size_mm``, of a lattice through the origin, that each of ``points_mm`` lies in."""
    cell = np.floor(points_mm / size_mm).astype(np.int64)
    cell -= cell.min(axis=0, initial=0)
    size = cell.max(axis=0, initial=0) + 1
    return np.asarray((cell[:, 0] * size[1] + cell[:, 1]) * size[2] + cell[:, 2], dtype=np.int64)


def _edge(mask: Array) -> npt.NDArray[np.bool_]:
    """Voxels of ``mask`` with a neighbour outside; the border of the array is no edge."""
    edge = np.zeros_like(mask)
    for axis in range(3):
        a = [slice(None)] * 3
        b = [slice(None)] * 3
        a[axis], b[axis] = slice(None, -1), slice(1, None)
        change = mask[tuple(a)] != mask[tuple(b)]
        edge[tuple(a)] |= change
        edge[tuple(b)] |= change
    return np.asarray(edge & mask)


def _onto_level(
    field: Field, points_mm: FloatArray, *, limit_mm: float
) -> tuple[FloatArray, FloatArray, npt.NDArray[np.bool_]]:
    """Slide points along the gradient onto the half level; returns points, outward normals, and which arrived."""
    start = points_mm
    for _ in range(5):
        value, gradient = sample(field, points_mm)
        length = np.maximum(np.linalg.norm(gradient, axis=1), 1e-6)
        stride = np.clip((value - 0.5) / length, -0.5 * limit_mm, 0.5 * limit_mm)
        points_mm = points_mm - (stride / length)[:, None] * gradient
    value, gradient = sample(field, points_mm)
    length = np.linalg.norm(gradient, axis=1)
    settled = (np.abs(value - 0.5) < 0.01) & (np.linalg.norm(points_mm - start, axis=1) < limit_mm) & (length > 1e-3)
    normals = -gradient / np.maximum(length, 1e-9)[:, None]
    return points_mm, normals, settled
