"""One knee of the atlas: a coarse surface of each bone to fit, and what cartilage it carries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from mriseg.atlas.fit import Target, target
from mriseg.geometry import apply_affine, isotropic_grid
from mriseg.measure.coverage import cartilage_on, cover_field
from mriseg.measure.fields import coarse_bone_field, crop_around, label_points, on_grid, resampled, visit_fields
from mriseg.surfaces import Surface, adjacency, level_surface
from mriseg.types import Array, Bone, FloatArray, Grid, LabelMap, RigidTransform

FIT_SPACING_MM = 1.5
FAR_MM = 1.5  # from the template to the nearest measured point of the bone


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """One bone of one knee: surface to fit, and at fine points of the bone the thickness, NaN where uncovered.

    ``graded`` says that the knee is known to be of a low Kellgren-Lawrence grade.
    """

    goal: Target
    tree: KDTree
    thickness_mm: FloatArray
    graded: bool

    def thickness_at(self, points_mm: FloatArray) -> FloatArray:
        """Thickness (V,) at the closest fine points; NaN where uncovered or off the bone."""
        distance, near = self.tree.query(points_mm)
        return np.where(distance < FAR_MM, self.thickness_mm[near], np.nan)


def coarse_surface(labels: LabelMap, bone: Bone, spacing_mm: float) -> Surface:
    """Surface of a bone with triangles of about ``spacing_mm``."""
    field, grid = coarse_bone_field(labels, bone, spacing_mm=FIT_SPACING_MM)
    half = isotropic_grid(_corners(grid), spacing_mm, margin_mm=0.0)
    return level_surface(on_grid(field, grid, RigidTransform.identity(), half), half)


def samples_of(labels: LabelMap, *, graded: bool) -> Mapping[Bone, Sample]:
    """All bones of a right knee."""
    return {bone: _sample(labels, bone, graded) for bone in Bone}


def _sample(labels: LabelMap, bone: Bone, graded: bool) -> Sample:
    near = crop_around(labels, label_points(labels, bone.cartilage), margin_mm=8.0)
    fields = visit_fields(near, bone, RigidTransform.identity(), smoothing_mm=0.5, coverage_smoothing_mm=0.4)
    half = isotropic_grid(_corners(near.grid), 0.8, margin_mm=0.0)
    inner, outer = resampled(fields, half)
    surface = level_surface(inner, half)
    cartilage = cartilage_on(surface, fields, surface, level_surface(outer, half))
    graph = adjacency(surface)
    cover = cover_field(cartilage.column_mm, np.zeros(len(surface.vertices_mm)), graph)
    thickness: Array = np.where((cover > 0) & np.isfinite(cartilage.thickness_mm), cartilage.thickness_mm, np.nan)
    coarse = coarse_surface(labels, bone, FIT_SPACING_MM)
    return Sample(goal=target(coarse), tree=KDTree(surface.vertices_mm), thickness_mm=thickness, graded=graded)


def _corners(grid: Grid) -> FloatArray:
    ends = np.array(np.meshgrid(*[(0.0, n - 1.0) for n in grid.shape], indexing="ij")).reshape(3, -1).T
    return apply_affine(grid.affine, ends)
