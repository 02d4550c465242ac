"""Lay the atlas onto a bone, draw the bone surface that the visits share, and say what the images hold of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial import KDTree

from mriseg.atlas import Carried, carry, load_atlas
from mriseg.geometry import apply_affine, isotropic_grid
from mriseg.measure.coverage import Cartilage, cartilage_on
from mriseg.measure.fields import VisitFields, coarse_bone_field, label_points, mean_on_grid, resampled
from mriseg.measure.footprint import components
from mriseg.measure.parameters import MeasureParameters
from mriseg.surfaces import Surface, adjacency, level_surface, submesh
from mriseg.types import Array, Bone, FloatArray, Grid, LabelMap, RigidTransform

REACH_MM = 5.0  # of the shared surface around the expected cartilage
LIKELY = 0.05
LEAST_PART = 0.1  # of the largest connected part


def lay_atlas(
    bone: Bone, labels: Sequence[LabelMap], to_visit: Sequence[RigidTransform], parameters: MeasureParameters
) -> Carried:
    """Fit the atlas to the coarse mean surface of one bone at all visits, in half-way space."""
    coarse = [coarse_bone_field(one, bone, spacing_mm=parameters.fit_spacing_mm) for one in labels]
    boxes = [
        motion.inverse().apply(_corners(grid.shape, grid.affine))
        for (_, grid), motion in zip(coarse, to_visit, strict=True)
    ]
    fields = [(field, grid, motion) for (field, grid), motion in zip(coarse, to_visit, strict=True)]
    # Where only one visit shows the bone, its mean with a field that merely goes on would be a guess.
    inner = np.array([np.max([b.min(axis=0) for b in boxes], axis=0), np.min([b.max(axis=0) for b in boxes], axis=0)])
    mean, half = mean_on_grid(fields, inner, spacing_mm=parameters.fit_spacing_mm)
    surface = level_surface(mean, half)
    seen = np.logical_and.reduce([in_view(grid, motion.apply(surface.vertices_mm)) for _, grid, motion in fields])
    return carry(load_atlas()[bone], bone, _largest(submesh(surface, seen)[0]))


def articular_points(
    bone: Bone, labels: Sequence[LabelMap], to_visit: Sequence[RigidTransform], carried: Carried
) -> FloatArray:
    """Eight corners of the box, then the points, that the shared surface is drawn around; half-way space."""
    expected = carried.fit.vertices_mm[carried.atlas.coverage > LIKELY]
    seen = [
        motion.inverse().apply(label_points(one, bone.cartilage)) for one, motion in zip(labels, to_visit, strict=True)
    ]
    everything = np.vstack([expected, *seen])
    low, high = everything.min(axis=0) - 4.0, everything.max(axis=0) + 4.0
    box = np.array(np.meshgrid(*zip(low, high, strict=True), indexing="ij")).reshape(3, -1).T
    return np.vstack([box, expected])


def surfaces_of(
    fields: Sequence[VisitFields], points: FloatArray, *, spacing_mm: float
) -> tuple[Surface, list[Cartilage]]:
    """Shared bone surface around ``points`` (N, 3; first the 8 corners of their box) and the cartilage on it."""
    half = isotropic_grid(points, spacing_mm, margin_mm=0.0)
    sampled = [resampled(f, half) for f in fields]
    mean = np.asarray(sum(bone for bone, _ in sampled) / len(sampled), dtype=np.float64)
    shared = _articular_part(level_surface(mean, half), points[8:])
    alone = len(fields) == 1
    cartilage = [
        cartilage_on(shared, f, shared if alone else level_surface(bone, half), level_surface(outer, half))
        for f, (bone, outer) in zip(fields, sampled, strict=True)
    ]
    return shared, cartilage


def in_view(grid: Grid, points_mm: FloatArray) -> Array:
    """Which of ``points_mm`` (N, 3) lie inside the outermost voxels of a grid."""
    index = apply_affine(np.asarray(np.linalg.inv(grid.affine)), points_mm)
    return np.asarray(((index > 0.0) & (index < np.array(grid.shape) - 1.0)).all(axis=1))


def _articular_part(surface: Surface, expected_mm: FloatArray) -> Surface:
    """Keep what lies near the expected cartilage, without small islands inside the bone; plates may lie apart."""
    distance, _ = KDTree(expected_mm).query(surface.vertices_mm, distance_upper_bound=REACH_MM, workers=2)
    near, _ = submesh(surface, np.isfinite(distance))
    parts = components(np.ones(len(near.vertices_mm), dtype=bool), adjacency(near))
    size = np.bincount(parts)
    return submesh(near, size[parts] >= LEAST_PART * size.max())[0]


def _largest(surface: Surface) -> Surface:
    parts = components(np.ones(len(surface.vertices_mm), dtype=bool), adjacency(surface))
    return submesh(surface, parts == 1)[0]


def _corners(shape: tuple[int, int, int], affine: FloatArray) -> FloatArray:
    ends = np.array(np.meshgrid(*[(0.0, n - 1.0) for n in shape], indexing="ij")).reshape(3, -1).T
    return apply_affine(affine, ends)
