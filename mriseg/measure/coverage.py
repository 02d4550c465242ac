"""Where bone is covered by cartilage, and how thick the cartilage is, on a surface shared by the visits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.spatial import KDTree

from mriseg.geometry import apply_affine
from mriseg.measure.fields import VisitFields
from mriseg.surfaces import Surface, closest_points, sample, submesh, vertex_areas, vertex_normals
from mriseg.types import Array, FloatArray

STEP_MM = 0.2
# Columns over the bone in which cartilage is looked for. They are short: on curved bone a high column leans over the
# wall of a lesion, and convex condyles would lose bare area to it; and a thin layer that is left fills most of one.
HEIGHTS_MM = np.arange(-0.8, 0.21, STEP_MM)
INWARD_MM = np.arange(0.2, 0.9, 0.2)  # below the articular surface
MOST_MM = 7.0  # no cartilage is thicker
BOUND, BOUND_MM = 2.0, 0.5  # a path along the normal ends where it exceeds the nearest distance by factor and summand
ARTICULAR = 0.3  # smoothed label just below: a layer of 0.3 mm reaches it
FACING = 0.5  # cosine between bone and articular surface: steeper is the wall of a lesion
# Part of the column beside a wall that stands on it: half on a straight one. Smoothing moves the half level of a round
# hole inwards, and columns lean over its edge: at 0.53 the hole of known size in a shell comes out right within 0.5 %.
WALL_LEVEL = 0.53
WALL_REACH = 2  # triangles on either side of a wall over which the smoothed label rises
RIM_COLUMN_MM, LEAST_COLUMN_MM = 0.18, 0.06
THIN_MM = (0.3, 0.4)  # a column beside the edge that is higher ends at a wall, also along the margin


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cartilage:
    """Cartilage of one visit against a shared bone surface of V vertices, in half-way space.

    Parameters
    ----------
    column_mm : array, (V,)
        Height of cartilage in a short column on the bone, smoothed; see :func:`cover_field`.
    thickness_mm : array, (V,)
        Distance from this visit's own bone edge below the vertex to the articular surface; inf where there is none
        as near as cartilage can be thick.
    along_normal_mm : array, (V,)
        The same along the normal of the bone to the first articular surface, as a cross-check; NaN where there is none
        within reach.
    outer_mm, outer_area_mm2, outer_distance_mm : arrays, (N, 3), (N,), (N,)
        Points of the articular cartilage surface, the area that each stands for, and their distance to the bone.
    voxels_mm, voxel_mm3 : array (M, 3), float
        Centres of the cartilage voxels and the volume of one.
    """

    column_mm: FloatArray
    thickness_mm: FloatArray
    along_normal_mm: FloatArray
    outer_mm: FloatArray
    outer_area_mm2: FloatArray
    outer_distance_mm: FloatArray
    voxels_mm: FloatArray
    voxel_mm3: float


def cartilage_on(surface: Surface, fields: VisitFields, own: Surface, outer: Surface) -> Cartilage:
    """Measure the cartilage of one visit on the shared bone ``surface`` (V vertices).

    ``own`` and ``outer`` are the bone surface of this visit alone and the surface of bone and cartilage together; all
    three are in half-way space.
    """
    near, _ = submesh(outer, _close(outer.vertices_mm, surface.vertices_mm, reach_mm=10.0))
    joint, joint_area = _articular(near, surface, fields)
    distance, _ = closest_points(surface.vertices_mm, joint)
    offset = _offset(surface, fields, own)
    thickness = np.maximum(distance + offset, 0.0)
    voxels = np.argwhere(fields.cartilage).astype(np.float64)
    return Cartilage(
        column_mm=_columns(surface, fields, offset),
        thickness_mm=np.where(thickness <= MOST_MM, thickness, np.inf),  # farther off lies another plate
        along_normal_mm=np.maximum(_along_normal(surface, fields, bound_mm=BOUND * distance + BOUND_MM) + offset, 0.0),
        outer_mm=joint.vertices_mm,
        outer_area_mm2=joint_area,
        outer_distance_mm=closest_points(joint.vertices_mm, own)[0],
        voxels_mm=fields.to_visit.inverse().apply(apply_affine(fields.grid.affine, voxels)),
        voxel_mm3=fields.grid.voxel_mm3,
    )


def _along_normal(surface: Surface, fields: VisitFields, *, bound_mm: FloatArray) -> FloatArray:
    """Height (V,) in mm at which the normal of each vertex first leaves the cartilage; NaN beyond ``bound_mm`` (V,).

    Unbounded, a ray crosses the joint space and measures the cartilage of the other bone.
    """
    normals = vertex_normals(surface)
    heights = np.arange(0.0, MOST_MM + STEP_MM, STEP_MM)
    points = fields.to_visit.apply((surface.vertices_mm + heights[:, None, None] * normals).reshape(-1, 3))
    field = sample(fields.outer, fields.grid, points, outside=1.0).reshape(len(heights), -1)
    leaves = (field[:-1] <= 0) & (field[1:] > 0)
    first = np.argmax(leaves, axis=0)
    low, high = (np.take_along_axis(field, (first + n)[None], axis=0)[0] for n in (0, 1))
    height = heights[first] + STEP_MM * low / np.where(high > low, low - high, -1.0)
    return np.where(leaves.any(axis=0) & (height <= bound_mm), height, np.nan)


def _offset(surface: Surface, fields: VisitFields, own: Surface) -> FloatArray:
    """Height (V,) in mm of the shared surface over the bone of this visit; negative below it."""
    if own is surface:
        return np.zeros(len(surface.vertices_mm))
    height, _ = closest_points(surface.vertices_mm, own)
    above = sample(fields.bone, fields.grid, fields.to_visit.apply(surface.vertices_mm), outside=0.0) > 0
    return np.where(above, height, -height)


def _columns(surface: Surface, fields: VisitFields, offset: FloatArray) -> FloatArray:
    """Integral of the smoothed cartilage label along the normal of each vertex (V,), mm.

    The columns stand on this visit's own bone, ``offset`` (V,) below the shared surface: they are so short that a
    shared surface a quarter of a millimetre off would bare thin cartilage, of the visit that differs most from the
    others first.
    """
    normals = vertex_normals(surface)
    total = np.zeros(len(surface.vertices_mm))
    for height in HEIGHTS_MM:
        points = fields.to_visit.apply(surface.vertices_mm + (height - offset)[:, None] * normals)
        total += sample(fields.occupancy, fields.grid, points, outside=0.0)
    return total * STEP_MM


def cover_field(column_mm: FloatArray, coverage: FloatArray, graph: sparse.csr_array) -> FloatArray:
    """Say where cartilage covers the bone, (V,): positive where it does, negative where not, zero on the edge.

    The wall of a lesion stands where the smoothed column of cartilage has about half of its height beside the wall
    (``WALL_LEVEL``): that is its place whatever the smoothing, and thin cartilage is compared with its own
    neighbourhood. Along the outer margin (``coverage`` of the atlas below 1) thin cartilage thins out instead, and
    ends at a fixed height.
    """
    beside = column_mm
    for _ in range(WALL_REACH):
        beside = np.maximum(beside, np.maximum.reduceat(beside[graph.indices], graph.indptr[:-1]))
    wall = WALL_LEVEL * beside
    inner = np.clip((coverage - 0.5) / 0.3, 0.0, 1.0)
    inner = np.maximum(inner, np.clip((beside - THIN_MM[0]) / (THIN_MM[1] - THIN_MM[0]), 0.0, 1.0))
    rim = np.minimum(wall, RIM_COLUMN_MM)
    return column_mm - np.maximum(inner * wall + (1.0 - inner) * rim, LEAST_COLUMN_MM)


def _articular(outer: Surface, bone: Surface, fields: VisitFields) -> tuple[Surface, FloatArray]:
    """Joint side of the outer surface: cartilage just below and facing as the bone does; and its vertex areas (N,)."""
    normals = vertex_normals(outer)
    best = np.zeros(len(outer.vertices_mm))
    for depth in INWARD_MM:
        points = fields.to_visit.apply(outer.vertices_mm - depth * normals)
        np.maximum(best, sample(fields.occupancy, fields.grid, points, outside=0.0), out=best)
    _, below = KDTree(bone.vertices_mm).query(outer.vertices_mm, workers=2)
    facing = np.einsum("ij,ij->i", vertex_normals(bone)[below], normals)
    joint, _ = submesh(outer, (best > ARTICULAR) & (facing > FACING))
    return joint, vertex_areas(joint)


def _close(points: FloatArray, reference: FloatArray, *, reach_mm: float) -> Array:
    distance, _ = KDTree(reference).query(points, distance_upper_bound=reach_mm, workers=2)
    return np.isfinite(distance)
