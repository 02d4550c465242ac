"""Sub-voxel triangle surfaces of label maps.

A binary mask overstates area by its stair-steps, so a surface is always drawn through a smoothed signed distance.
"""

from __future__ import annotations

from dataclasses import dataclass

import edt
import numpy as np
from scipy import ndimage
from skimage import measure

from mriseg.errors import GeometryError
from mriseg.geometry import apply_affine
from mriseg.types import Array, FloatArray, Grid, IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Surface:
    """Triangles in RAS mm: ``vertices_mm`` (V, 3), ``faces`` (F, 3) with outward normals by the right-hand rule."""

    vertices_mm: FloatArray
    faces: IntArray


def signed_distance(mask: Array, grid: Grid) -> FloatArray:
    """Distance in mm of every voxel centre to the edge of ``mask`` (I, J, K), negative inside.

    Only the spacing of ``grid`` counts. Where the mask leaves the grid it is taken to go on beyond the border. An
    empty mask gives +inf, a full one -inf.
    """
    spacing = tuple(grid.spacing_mm.tolist())
    inside = edt.edt(np.ascontiguousarray(mask), anisotropy=spacing, black_border=False)
    outside = edt.edt(np.ascontiguousarray(~mask), anisotropy=spacing, black_border=False)
    # The distance runs to the nearest centre of the other kind; the edge lies half a voxel before it.
    half = 0.5 * float(np.min(grid.spacing_mm))
    return np.asarray(np.where(mask, half - inside, outside - half), dtype=np.float64)


def smooth_field(mask: Array, grid: Grid, *, smoothing_mm: float) -> FloatArray:
    """Signed distance of ``mask``, smoothed by a Gaussian of ``smoothing_mm``; its zero level is the sub-voxel edge."""
    band = 4.0 * smoothing_mm + 2.0 * float(grid.spacing_mm.max())
    field = np.clip(signed_distance(mask, grid), -band, band)
    return np.asarray(ndimage.gaussian_filter(field, smoothing_mm / grid.spacing_mm), dtype=np.float64)


def extract_surface(mask: Array, grid: Grid, *, smoothing_mm: float = 0.7) -> Surface:
    """Surface of a binary ``mask`` (I, J, K) on ``grid``, open where the mask leaves the grid.

    Raises
    ------
    GeometryError
        Where the mask is empty.
    """
    if not mask.any():
        raise GeometryError("An empty mask has no surface.")
    return level_surface(smooth_field(mask, grid, smoothing_mm=smoothing_mm), grid)


def level_surface(field: FloatArray, grid: Grid, *, level: float = 0.0) -> Surface:
    """Surface where ``field`` (I, J, K), negative inside, crosses ``level``; world coordinates of ``grid``."""
    if not field.min() < level < field.max():
        raise GeometryError("The field does not cross the level of the surface: nothing to draw.")
    vertices, faces, _, _ = measure.marching_cubes(field, level, gradient_direction="ascent")
    if np.linalg.det(grid.affine[:3, :3]) < 0:
        faces = faces[:, ::-1]
    return Surface(vertices_mm=apply_affine(grid.affine, vertices.astype(np.float64)), faces=faces.astype(np.int64))


def triangle_areas(surface: Surface) -> FloatArray:
    """Area of each triangle in mm2, shape (F,)."""
    a, b, c = (surface.vertices_mm[surface.faces[:, n]] for n in range(3))
    return np.asarray(0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1), dtype=np.float64)


def vertex_areas(surface: Surface) -> FloatArray:
    """Area in mm2 that each vertex stands for, a third of its triangles, shape (V,); sums to the whole area."""
    share = np.repeat(triangle_areas(surface) / 3.0, 3)
    areas = np.bincount(surface.faces.ravel(), weights=share, minlength=len(surface.vertices_mm))
    return np.asarray(areas, dtype=np.float64)


def vertex_normals(surface: Surface) -> FloatArray:
    """Outward unit normals, area-weighted, shape (V, 3); zero for a vertex without triangles."""
    a, b, c = (surface.vertices_mm[surface.faces[:, n]] for n in range(3))
    face_normals = np.cross(b - a, c - a)
    normals = np.zeros_like(surface.vertices_mm)
    for corner in range(3):
        for axis in range(3):
            normals[:, axis] += np.bincount(
                surface.faces[:, corner], weights=face_normals[:, axis], minlength=len(normals)
            )
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.asarray(np.divide(normals, length, out=np.zeros_like(normals), where=length > 0), dtype=np.float64)
