"""High-resolution bone surface of the continuous knee with its true cartilage thickness.

This is the ruler of the truth: triangles of 0.45 mm on the signed distance of the bone and rays along its normals to
the cartilage surface. It shares nothing with `mriseg measure` but the triangle arithmetic of `mriseg.surfaces`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mriseg.simulate.fields import fine_grid
from mriseg.simulate.knee import BoneShape
from mriseg.simulate.plates import plate_names
from mriseg.surfaces import Surface, level_surface, triangle_areas, vertex_areas, vertex_normals
from mriseg.types import Array, Bone, FloatArray, Grid, IntArray

EDGE_MM = 0.45
COVERED_MM = 0.25
REACH_MM = 7.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ArticularSurface:
    """Bone surface under and just around the cartilage of a knee without planted defects, in the frame of the bone.

    ``vertices_mm`` and ``normals`` (V, 3), ``faces`` (F, 3), ``area_mm2`` (V,), ``plate`` (V,) names,
    ``thickness_mm`` (V,): 0 off the cartilage.
    """

    bone: Bone
    vertices_mm: FloatArray
    normals: FloatArray
    faces: IntArray
    area_mm2: FloatArray
    plate: Array
    thickness_mm: FloatArray

    @property
    def covered(self) -> Array:
        """Whether each vertex carries, or should carry, cartilage: the true tAB, (V,)."""
        return self.thickness_mm >= COVERED_MM

    def area_inside(self, distance_mm: FloatArray) -> float:
        """Area in mm2 of the true tAB where a signed distance (V,) is negative, smooth to a fraction of a vertex."""
        share = np.clip(0.5 - distance_mm / EDGE_MM, 0.0, 1.0)
        return float((self.area_mm2 * share)[self.covered].sum())


def articular_surface(bone: Bone, shape: BoneShape) -> ArticularSurface:
    """Draw the bone surface at 0.45 mm and shoot along its normals to the cartilage surface."""
    grid = _covered_box(shape)
    surface = level_surface(shape.bone.on_grid(grid.shape, grid.affine).astype(np.float64), grid)
    surface = _outward(_near_cartilage(surface, shape), shape)
    normals = vertex_normals(surface)
    thickness = ray_thickness(surface.vertices_mm, normals, shape.outer.at)
    return ArticularSurface(
        bone=bone,
        vertices_mm=surface.vertices_mm,
        normals=normals,
        faces=surface.faces,
        area_mm2=vertex_areas(surface),
        plate=plate_names(bone, shape.to_mean(surface.vertices_mm)),
        thickness_mm=thickness,
    )


def ray_thickness(
    vertices_mm: FloatArray, normals: FloatArray, outer: Callable[[FloatArray], Array], *, step_mm: float = 0.1
) -> FloatArray:
    """Distance from the bone along its normal to where ``outer`` turns positive, in mm, (V,).

    0 where it is positive from the start; rays end after 7 mm.
    """
    thickness = np.zeros(len(vertices_mm))
    last = outer(vertices_mm)
    alive = np.flatnonzero(last < 0)
    last = last[alive]
    for depth in np.arange(step_mm, REACH_MM + step_mm / 2, step_mm):
        value = outer(vertices_mm[alive] + depth * normals[alive])
        crossed = value >= 0
        thickness[alive[crossed]] = depth - step_mm * value[crossed] / (value[crossed] - last[crossed])
        alive, last = alive[~crossed], value[~crossed]
        if not len(alive):
            break
    thickness[alive] = REACH_MM
    return thickness


def layer_volumes(surface: ArticularSurface, thickness_mm: FloatArray) -> FloatArray:
    """Volume in mm3 of the prism between each triangle and its image along the normals, (F,)."""
    top = surface.vertices_mm + thickness_mm[:, None] * surface.normals
    a, b, c = (surface.vertices_mm[surface.faces[:, n]] for n in range(3))
    d, e, f = (top[surface.faces[:, n]] for n in range(3))
    return _tetrahedra(a, b, c, f) + _tetrahedra(a, b, f, e) + _tetrahedra(a, e, f, d)


def _tetrahedra(a: FloatArray, b: FloatArray, c: FloatArray, d: FloatArray) -> FloatArray:
    return np.asarray(np.einsum("ij,ij->i", np.cross(b - a, c - a), d - a) / 6.0, dtype=np.float64)


def _covered_box(shape: BoneShape) -> Grid:
    layer = (shape.bone.data - shape.outer.data > COVERED_MM) & (np.abs(shape.bone.data) < 2.0)
    field = type(shape.bone)(data=np.where(layer, 0.0, 9.0).astype(np.float32), grid=shape.bone.grid)
    return fine_grid(field, EDGE_MM)


def _outward(surface: Surface, shape: BoneShape) -> Surface:
    """Order the corners so that normals point to where the field of the bone grows, whatever made the triangles."""
    step = 0.5 * vertex_normals(surface)
    growth = shape.bone.at(surface.vertices_mm + step) - shape.bone.at(surface.vertices_mm - step)
    faces = surface.faces if growth.mean() > 0 else surface.faces[:, ::-1]
    return Surface(vertices_mm=surface.vertices_mm, faces=faces)


def _near_cartilage(surface: Surface, shape: BoneShape) -> Surface:
    """Keep the triangles whose corners all lie within the cartilage or within 2 mm of it."""
    near = shape.outer.at(surface.vertices_mm) < -0.02
    keep = near[surface.faces].any(axis=1) & (triangle_areas(surface) > 0)
    used = np.unique(surface.faces[keep])
    index = np.full(len(near), -1)
    index[used] = np.arange(len(used))
    return Surface(vertices_mm=surface.vertices_mm[used], faces=index[surface.faces[keep]])
