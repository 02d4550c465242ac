"""Sub-voxel triangle surfaces of label maps.

A binary mask overstates area by its stair-steps, so a surface is always drawn through a smoothed signed distance.
"""

from __future__ import annotations

from dataclasses import dataclass

import edt
import numpy as np
from scipy import ndimage, sparse
from scipy.spatial import KDTree
from skimage import measure

from mriseg.errors import GeometryError
from mriseg.geometry import apply_affine
from mriseg.types import Array, FloatArray, Grid, IntArray, RigidTransform


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
    if mask.all() or not mask.any():
        return np.full(mask.shape, -np.inf if mask.any() else np.inf)
    distance = to_other_side(mask, grid.spacing_mm)
    # The distance runs to the nearest centre of the other kind; the edge lies half a voxel before it.
    half = 0.5 * float(np.min(grid.spacing_mm))
    return np.asarray(np.where(mask, half - distance, distance - half), dtype=np.float64)


def to_other_side(mask: Array, spacing_mm: FloatArray) -> Array:
    """Distance in mm, float32, from every voxel centre to the nearest one on the other side of the edge of ``mask``.

    ``mask`` may have any number of axes, as many as ``spacing_mm``; inf where all voxels are of one kind.
    """
    sides = np.ascontiguousarray(mask).view(np.uint8) + np.uint8(1)  # two labels: both distances in one pass
    return np.asarray(edt.edt(sides, anisotropy=tuple(spacing_mm.tolist()), black_border=False, parallel=2))


def smooth_field(mask: Array, grid: Grid, *, smoothing_mm: float) -> FloatArray:
    """Signed distance of ``mask``, smoothed by a Gaussian of ``smoothing_mm``; its zero level is the sub-voxel edge."""
    band = 4.0 * smoothing_mm + 2.0 * float(grid.spacing_mm.max())
    field = np.clip(signed_distance(mask, grid), -band, band).astype(np.float32)
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


def probability_surface(probability: Array, grid: Grid) -> Surface:
    """Surface where a probability map (I, J, K), 0 to 1, crosses one half.

    Raises
    ------
    GeometryError
        Where a value is NaN or outside of 0 to 1, or nothing reaches one half.
    """
    if not np.isfinite(probability).all() or probability.min() < 0.0 or probability.max() > 1.0:
        raise GeometryError("A probability map needs values from 0 to 1, found NaN or values outside.")
    return level_surface(0.5 - np.asarray(probability, dtype=np.float64), grid)


def level_surface(field: Array, grid: Grid, *, level: float = 0.0) -> Surface:
    """Surface where ``field`` (I, J, K), negative inside, crosses ``level``; world coordinates of ``grid``."""
    if not field.min() < level < field.max():
        raise GeometryError("The field does not cross the level of the surface: nothing to draw.")
    vertices, faces, _, _ = measure.marching_cubes(field, level, gradient_direction="descent")
    if np.linalg.det(grid.affine[:3, :3]) < 0:
        faces = faces[:, ::-1]
    return Surface(vertices_mm=apply_affine(grid.affine, vertices.astype(np.float64)), faces=faces.astype(np.int64))


def triangle_areas(surface: Surface) -> FloatArray:
    """Area of each triangle in mm2, shape (F,)."""
    a, b, c = (surface.vertices_mm[surface.faces[:, n]] for n in range(3))
    return np.asarray(0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1), dtype=np.float64)


def vertex_areas(surface: Surface) -> FloatArray:
    """Area in mm2 that each vertex stands for, a third of its triangles, shape (V,); sums to the whole area."""
    return to_vertices(surface, triangle_areas(surface)[:, None] / 3.0)


def to_vertices(surface: Surface, corners: FloatArray) -> FloatArray:
    """Sum over each vertex, (V,), of what the corners of its triangles hold, (F, 3) or (F, 1) for all three."""
    weights = np.broadcast_to(corners, surface.faces.shape).ravel()
    total = np.bincount(surface.faces.ravel(), weights=weights, minlength=len(surface.vertices_mm))
    return np.asarray(total, dtype=np.float64)


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


def moved(surface: Surface, transform: RigidTransform) -> Surface:
    """Move a surface rigidly; triangles stay as they are."""
    return Surface(vertices_mm=transform.apply(surface.vertices_mm), faces=surface.faces)


def submesh(surface: Surface, keep: Array) -> tuple[Surface, IntArray]:
    """Cut out the triangles whose three vertices are in ``keep`` (V,) bool.

    Returns
    -------
    part : Surface
        Without the vertices that no triangle of it uses.
    index : array, (W,)
        Vertex of ``surface`` that each vertex of the part was.
    """
    faces = surface.faces[keep[surface.faces].all(axis=1)]
    index, renamed = np.unique(faces, return_inverse=True)
    part = Surface(vertices_mm=surface.vertices_mm[index], faces=renamed.reshape(-1, 3).astype(np.int64))
    return part, index.astype(np.int64)


def adjacency(surface: Surface) -> sparse.csr_array:
    """Sparse (V, V) matrix with the length in mm of every edge, both ways."""
    first, second, _ = edges(surface)
    length = np.linalg.norm(surface.vertices_mm[first] - surface.vertices_mm[second], axis=1)
    n = len(surface.vertices_mm)
    half = sparse.coo_array((np.maximum(length, 1e-9), (first, second)), shape=(n, n))
    return sparse.csr_array(half + half.T)


def edges(surface: Surface) -> tuple[IntArray, IntArray, IntArray]:
    """Both vertices of every edge, (E,) each and first below second, and how many triangles it has, (E,)."""
    pairs = np.sort(surface.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    n = len(surface.vertices_mm)
    # One number a pair sorts far faster than rows of two.
    keys, count = np.unique(pairs[:, 0] * n + pairs[:, 1], return_counts=True)
    return keys // n, keys % n, count


def border_vertices(surface: Surface) -> Array:
    """Vertices (V,) bool on an edge that has a triangle on one side only."""
    first, second, count = edges(surface)
    border = np.zeros(len(surface.vertices_mm), dtype=bool)
    border[first[count == 1]] = True
    border[second[count == 1]] = True
    return border


def closest_points(points_mm: FloatArray, surface: Surface, *, candidates: int = 5) -> tuple[FloatArray, FloatArray]:
    """Find the closest point of a surface to each of ``points_mm`` (N, 3).

    The exact foot point is taken on each of the ``candidates`` triangles with the nearest centres, which holds the
    true one where triangles are of similar size.

    Returns
    -------
    distance_mm : array, (N,)
        Unsigned; inf where the surface has no triangle.
    foot_mm : array, (N, 3)
        The closest points; NaN where there is none.
    """
    n = len(points_mm)
    if n == 0 or len(surface.faces) == 0:
        return np.full(n, np.inf), np.full((n, 3), np.nan)
    corners = surface.vertices_mm[surface.faces]
    k = min(candidates, len(corners))
    _, near = KDTree(corners.mean(axis=1)).query(points_mm, k=k, workers=2)
    near = np.reshape(near, (n, k))
    best = np.full(n, np.inf)
    foot = np.full((n, 3), np.nan)
    for column in range(k):
        candidate = _foot_on_triangles(points_mm, corners[near[:, column]])
        squared = np.sum((candidate - points_mm) ** 2, axis=1)
        better = squared < best
        best[better], foot[better] = squared[better], candidate[better]
    return np.sqrt(best), foot


def _foot_on_triangles(points: FloatArray, corners: FloatArray) -> FloatArray:
    """Closest point of triangle n, ``corners`` (N, 3, 3), to point n (N, 3)."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    ab, ac, ap = b - a, c - a, points - a
    d00, d01, d11 = (np.einsum("ij,ij->i", u, v) for u, v in ((ab, ab), (ab, ac), (ac, ac)))
    d20, d21 = np.einsum("ij,ij->i", ap, ab), np.einsum("ij,ij->i", ap, ac)
    denominator = d00 * d11 - d01 * d01
    safe = np.where(denominator > 1e-15, denominator, 1.0)
    v, w = (d11 * d20 - d01 * d21) / safe, (d00 * d21 - d01 * d20) / safe
    inside = (v >= 0) & (w >= 0) & (v + w <= 1) & (denominator > 1e-15)
    foot = a + v[:, None] * ab + w[:, None] * ac
    outside = np.flatnonzero(~inside)
    if outside.size:
        foot[outside] = _foot_on_edges(points[outside], corners[outside])
    return np.asarray(foot, dtype=np.float64)


def _foot_on_edges(points: FloatArray, corners: FloatArray) -> FloatArray:
    best = np.full(len(points), np.inf)
    foot = np.empty_like(points)
    for start in range(3):
        origin, edge = corners[:, start], corners[:, (start + 1) % 3] - corners[:, start]
        length = np.einsum("ij,ij->i", edge, edge)
        along = np.einsum("ij,ij->i", points - origin, edge) / np.where(length > 0, length, 1.0)
        candidate = origin + np.clip(along, 0.0, 1.0)[:, None] * edge
        squared = np.sum((candidate - points) ** 2, axis=1)
        better = squared < best
        best[better], foot[better] = squared[better], candidate[better]
    return foot


def negative_fraction(surface: Surface, values: FloatArray) -> FloatArray:
    """Fraction of each triangle where ``values`` (V,), linear between the vertices, are negative; shape (F,)."""
    v = np.sort(values[surface.faces], axis=1)
    low, mid, high = v[:, 0], v[:, 1], v[:, 2]
    count = (v < 0).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        one = low * low / ((low - mid) * (low - high))
        two = 1.0 - high * high / ((high - mid) * (high - low))
    return np.asarray(np.select([count == 0, count == 1, count == 2], [0.0, one, two], 1.0), dtype=np.float64)


def sample(data: Array, grid: Grid, points_mm: FloatArray, *, outside: float) -> FloatArray:
    """Linear interpolation of ``data`` (I, J, K) on ``grid`` at ``points_mm`` (..., 3) RAS; ``outside`` beyond it."""
    index = apply_affine(np.asarray(np.linalg.inv(grid.affine)), points_mm)
    values = ndimage.map_coordinates(data, np.moveaxis(index, -1, 0), order=1, mode="constant", cval=outside)
    return np.asarray(values, dtype=np.float64)
