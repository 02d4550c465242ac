"""Where bone is covered by cartilage, and how thick the cartilage is, on a surface shared by the visits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from mriseg.measure.fields import VisitFields
from mriseg.surfaces import Surface, closest_points, level_surface, moved, sample, submesh, vertex_areas, vertex_normals
from mriseg.types import Array, FloatArray

HEIGHTS_MM = np.arange(0.0, 1.3, 0.2)  # above the bone: cartilage starts here or is not there
INWARD_MM = np.arange(0.2, 0.9, 0.2)  # below the articular surface


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cartilage:
    """Cartilage of one visit against a shared bone surface of V vertices, in half-way space.

    Parameters
    ----------
    cover : array, (V,)
        Positive where cartilage covers the bone, negative where it does not; zero on the edge.
    thickness_mm : array, (V,)
        Distance from this visit's own bone edge below the vertex to the outer surface.
    outer_mm, outer_area_mm2, outer_distance_mm : arrays, (N, 3), (N,), (N,)
        Points of the articular cartilage surface, the area that each stands for, and their distance to the bone.
    voxels_mm, voxel_mm3 : array (M, 3), float
        Centres of the cartilage voxels and the volume of one.
    """

    cover: FloatArray
    thickness_mm: FloatArray
    outer_mm: FloatArray
    outer_area_mm2: FloatArray
    outer_distance_mm: FloatArray
    voxels_mm: FloatArray
    voxel_mm3: float


def cartilage_on(surface: Surface, fields: VisitFields) -> Cartilage:
    """Measure the cartilage of one visit on the shared bone ``surface`` (V vertices, half-way space)."""
    back = fields.to_visit.inverse()
    own = moved(level_surface(fields.bone, fields.grid), back)
    outer = moved(level_surface(fields.outer, fields.grid), back)
    cover = cover_field(surface, fields)
    near, _ = submesh(outer, _close(outer.vertices_mm, surface.vertices_mm, reach_mm=10.0))
    bone_near, _ = submesh(own, _close(own.vertices_mm, surface.vertices_mm, reach_mm=5.0))
    distance, _ = closest_points(surface.vertices_mm, near)
    offset, _ = closest_points(surface.vertices_mm, bone_near)
    above = sample(fields.bone, fields.grid, fields.to_visit.apply(surface.vertices_mm), outside=0.0) > 0
    articular = _articular(near, fields)
    area = vertex_areas(near)[articular]
    points = near.vertices_mm[articular]
    voxels = np.argwhere(fields.cartilage).astype(np.float64)
    return Cartilage(
        cover=cover,
        thickness_mm=np.maximum(distance + np.where(above, offset, -offset), 0.0),
        outer_mm=points,
        outer_area_mm2=area,
        outer_distance_mm=closest_points(points, bone_near)[0],
        voxels_mm=back.apply(voxels @ fields.grid.affine[:3, :3].T + fields.grid.affine[:3, 3]),
        voxel_mm3=fields.grid.voxel_mm3,
    )


def cover_field(surface: Surface, fields: VisitFields) -> FloatArray:
    """Half-height contour of cartilage just above the bone, (V,): positive where covered.

    The label, smoothed, is looked up along the outward normal; its highest value is compared with half of the value
    over sound cartilage. Half height puts the wall of a lesion where it is, whatever the smoothing.
    """
    normals = vertex_normals(surface)
    best = np.zeros(len(surface.vertices_mm))
    for height in HEIGHTS_MM:
        points = fields.to_visit.apply(surface.vertices_mm + height * normals)
        np.maximum(best, sample(fields.occupancy, fields.grid, points, outside=0.0), out=best)
    sound = best[best > 0.6]
    plateau = float(np.median(sound)) if sound.size else 1.0
    return best - 0.5 * plateau


def _articular(outer: Surface, fields: VisitFields) -> Array:
    """Vertices (N,) bool of the outer surface with cartilage just below."""
    normals = vertex_normals(outer)
    best = np.zeros(len(outer.vertices_mm))
    for depth in INWARD_MM:
        points = fields.to_visit.apply(outer.vertices_mm - depth * normals)
        np.maximum(best, sample(fields.occupancy, fields.grid, points, outside=0.0), out=best)
    return np.asarray(best > 0.5)


def _close(points: FloatArray, reference: FloatArray, *, reach_mm: float) -> Array:
    distance, _ = KDTree(reference).query(points, distance_upper_bound=reach_mm, workers=2)
    return np.isfinite(distance)
