"""Where bone is covered by cartilage, and how thick the cartilage is, on a surface shared by the visits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.spatial import KDTree

from mriseg.geometry import apply_affine
from mriseg.measure.fields import VisitFields
from mriseg.measure.tuned import CoverParameters
from mriseg.surfaces import Surface, closest_points, sample, submesh, vertex_areas, vertex_normals
from mriseg.types import Array, FloatArray

DEFAULTS = CoverParameters()


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


def cartilage_on(
    surface: Surface, fields: VisitFields, own: Surface, outer: Surface, *, parameters: CoverParameters = DEFAULTS
) -> Cartilage:
    """Measure the cartilage of one visit on the shared bone ``surface`` (V vertices).

    ``own`` and ``outer`` are the bone surface of this visit alone and the surface of bone and cartilage together; all
    three are in half-way space.
    """
    near, _ = submesh(outer, _close(outer.vertices_mm, surface.vertices_mm, reach_mm=parameters.outer_reach_mm))
    joint, joint_area = _articular(near, surface, fields, parameters)
    distance, _ = closest_points(surface.vertices_mm, joint)
    offset = _offset(surface, fields, own)
    thickness = np.maximum(distance + offset, 0.0)
    bound = parameters.path_factor * distance + parameters.path_summand_mm
    path = _along_normal(surface, fields, parameters, bound_mm=bound)
    voxels = np.argwhere(fields.cartilage).astype(np.float64)
    return Cartilage(
        column_mm=_columns(surface, fields, offset, parameters),
        thickness_mm=np.where(thickness <= parameters.thickest_mm, thickness, np.inf),  # farther off lies another plate
        along_normal_mm=np.maximum(path + offset, 0.0),
        outer_mm=joint.vertices_mm,
        outer_area_mm2=joint_area,
        outer_distance_mm=closest_points(joint.vertices_mm, own)[0],
        voxels_mm=fields.to_visit.inverse().apply(apply_affine(fields.grid.affine, voxels)),
        voxel_mm3=fields.grid.voxel_mm3,
    )


def _along_normal(
    surface: Surface, fields: VisitFields, parameters: CoverParameters, *, bound_mm: FloatArray
) -> FloatArray:
    """Height (V,) in mm at which the normal of each vertex first leaves the cartilage; NaN beyond ``bound_mm`` (V,).

    Unbounded, a ray crosses the joint space and measures the cartilage of the other bone.
    """
    normals = vertex_normals(surface)
    step = parameters.step_mm
    heights = np.arange(0.0, parameters.thickest_mm + step, step)
    points = fields.to_visit.apply((surface.vertices_mm + heights[:, None, None] * normals).reshape(-1, 3))
    field = sample(fields.outer, fields.grid, points, outside=1.0).reshape(len(heights), -1)
    leaves = (field[:-1] <= 0) & (field[1:] > 0)
    first = np.argmax(leaves, axis=0)
    low, high = (np.take_along_axis(field, (first + n)[None], axis=0)[0] for n in (0, 1))
    height = heights[first] + step * low / np.where(high > low, low - high, -1.0)
    return np.where(leaves.any(axis=0) & (height <= bound_mm), height, np.nan)


def _offset(surface: Surface, fields: VisitFields, own: Surface) -> FloatArray:
    """Height (V,) in mm of the shared surface over the bone of this visit; negative below it."""
    if own is surface:
        return np.zeros(len(surface.vertices_mm))
    height, _ = closest_points(surface.vertices_mm, own)
    above = sample(fields.bone, fields.grid, fields.to_visit.apply(surface.vertices_mm), outside=0.0) > 0
    return np.where(above, height, -height)


def _columns(surface: Surface, fields: VisitFields, offset: FloatArray, parameters: CoverParameters) -> FloatArray:
    """Integral of the smoothed cartilage label along the normal of each vertex (V,), mm.

    The columns stand on this visit's own bone, ``offset`` (V,) below the shared surface: they are so short that a
    shared surface a quarter of a millimetre off would bare thin cartilage, at the visit that differs most from the
    others first.
    """
    normals = vertex_normals(surface)
    total = np.zeros(len(surface.vertices_mm))
    step = parameters.step_mm
    for height in np.arange(parameters.column_low_mm, parameters.column_high_mm + 0.5 * step, step):
        points = fields.to_visit.apply(surface.vertices_mm + (height - offset)[:, None] * normals)
        total += sample(fields.occupancy, fields.grid, points, outside=0.0)
    return total * step


def cover_field(
    column_mm: FloatArray, coverage: FloatArray, graph: sparse.csr_array, *, parameters: CoverParameters = DEFAULTS
) -> FloatArray:
    """Say where cartilage covers the bone, (V,): positive where it does, negative where not, zero on the edge.

    The wall of a lesion stands where the smoothed column of cartilage has about half of its height beside the wall
    (``wall_level``): that is its place whatever the smoothing, and thin cartilage is compared with its own
    neighbourhood. Along the outer margin (``coverage`` of the atlas below 1) thin cartilage thins out instead, and
    ends at a fixed height.
    """
    p, beside = parameters, column_mm
    for _ in range(p.wall_reach):
        beside = np.maximum(beside, np.maximum.reduceat(beside[graph.indices], graph.indptr[:-1]))
    wall = p.wall_level * beside
    inner = np.maximum(_ramp(coverage, p.inner_low, p.inner_high), _ramp(beside, p.thin_low_mm, p.thin_high_mm))
    rim = np.minimum(wall, p.rim_column_mm)
    return column_mm - np.maximum(inner * wall + (1.0 - inner) * rim, p.least_column_mm)


def _ramp(values: FloatArray, low: float, high: float) -> FloatArray:
    """0 up to ``low``, 1 from ``high`` on, straight between."""
    return np.clip((values - low) / (high - low), 0.0, 1.0)


def _articular(
    outer: Surface, bone: Surface, fields: VisitFields, parameters: CoverParameters
) -> tuple[Surface, FloatArray]:
    """Joint side of the outer surface: cartilage just below and facing as the bone does; and its vertex areas (N,)."""
    normals = vertex_normals(outer)
    best = np.zeros(len(outer.vertices_mm))
    for depth in np.arange(parameters.step_mm, parameters.inward_mm + 0.5 * parameters.step_mm, parameters.step_mm):
        points = fields.to_visit.apply(outer.vertices_mm - depth * normals)
        np.maximum(best, sample(fields.occupancy, fields.grid, points, outside=0.0), out=best)
    _, below = KDTree(bone.vertices_mm).query(outer.vertices_mm, workers=2)
    facing = np.einsum("ij,ij->i", vertex_normals(bone)[below], normals)
    joint, _ = submesh(outer, (best > parameters.articular) & (facing > parameters.facing))
    return joint, vertex_areas(joint)


def _close(points: FloatArray, reference: FloatArray, *, reach_mm: float) -> Array:
    distance, _ = KDTree(reference).query(points, distance_upper_bound=reach_mm, workers=2)
    return np.isfinite(distance)
