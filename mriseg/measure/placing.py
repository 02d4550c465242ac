"""Lay the atlas onto a bone, draw the bone surface that the visits share, and say what the images hold of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from mriseg.atlas import Carried, carry, load_atlas
from mriseg.geometry import box_corners, grid_corners, in_view, isotropic_grid
from mriseg.measure.coverage import Cartilage, cartilage_on
from mriseg.measure.fields import VisitFields, coarse_bone_field, label_points, mean_of_seen, mean_on_grid, resampled
from mriseg.measure.footprint import components
from mriseg.measure.parameters import MeasureParameters
from mriseg.measure.tuned import PlaceParameters
from mriseg.surfaces import Surface, adjacency, level_surface, submesh
from mriseg.types import Bone, FloatArray, LabelMap, RigidTransform

DEFAULTS = PlaceParameters()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Place:
    """Where the shared surface is drawn, in the common space.

    ``box_mm`` (8, 3) holds the corners of its box, ``expected_mm`` (N, 3) points where cartilage is expected.
    """

    box_mm: FloatArray
    expected_mm: FloatArray


def lay_atlas(
    bone: Bone, labels: Sequence[LabelMap], to_visit: Sequence[RigidTransform], parameters: MeasureParameters
) -> Carried:
    """Fit the atlas to the coarse mean surface of one bone at all visits, in half-way space."""
    coarse = [
        coarse_bone_field(one, bone, spacing_mm=parameters.fit_spacing_mm, parameters=parameters.place)
        for one in labels
    ]
    boxes = [motion.inverse().apply(grid_corners(grid)) for (_, grid), motion in zip(coarse, to_visit, strict=True)]
    fields = [(field, grid, motion) for (field, grid), motion in zip(coarse, to_visit, strict=True)]
    # Where only one visit shows the bone, its mean with a field that merely goes on would be a guess.
    inner = np.array([np.max([b.min(axis=0) for b in boxes], axis=0), np.min([b.max(axis=0) for b in boxes], axis=0)])
    mean, half = mean_on_grid(fields, inner, spacing_mm=parameters.fit_spacing_mm)
    surface = level_surface(mean, half)
    seen = np.logical_and.reduce([in_view(grid, motion.apply(surface.vertices_mm)) for _, grid, motion in fields])
    return carry(load_atlas()[bone], bone, _largest(submesh(surface, seen)[0]), parameters.atlas)


def articular_place(
    bone: Bone,
    labels: Sequence[LabelMap],
    to_visit: Sequence[RigidTransform],
    carried: Carried,
    parameters: PlaceParameters,
) -> Place:
    """Say where the shared surface is drawn: about the expected cartilage and all that is seen."""
    expected = carried.fit.vertices_mm[carried.atlas.coverage > parameters.likely]
    seen = [
        motion.inverse().apply(label_points(one, bone.cartilage)) for one, motion in zip(labels, to_visit, strict=True)
    ]
    everything = np.vstack([expected, *seen])
    low, high = everything.min(axis=0) - parameters.margin_mm, everything.max(axis=0) + parameters.margin_mm
    return Place(box_mm=box_corners(low, high), expected_mm=expected)


def surfaces_of(
    fields: Sequence[VisitFields], place: Place, parameters: MeasureParameters
) -> tuple[Surface, list[Cartilage]]:
    """Shared bone surface at ``place`` and the cartilage of every visit on it.

    The shared surface is the zero level of the mean over the visits that show a point.
    """
    half = isotropic_grid(np.vstack([place.box_mm, place.expected_mm]), parameters.spacing_mm, margin_mm=0.0)
    sampled = [resampled(f, half) for f in fields]
    mean = mean_of_seen([bone for bone, _ in sampled], [(f.grid, f.to_visit) for f in fields], half)
    shared = _articular_part(level_surface(mean, half), place.expected_mm, parameters.place)
    alone = len(fields) == 1
    cartilage = [
        cartilage_on(
            shared,
            f,
            shared if alone else level_surface(bone, half),
            level_surface(outer, half),
            parameters=parameters.cover,
        )
        for f, (bone, outer) in zip(fields, sampled, strict=True)
    ]
    return shared, cartilage


def _articular_part(surface: Surface, expected_mm: FloatArray, parameters: PlaceParameters) -> Surface:
    """Keep what lies near the expected cartilage, without small islands inside the bone; plates may lie apart."""
    distance, _ = KDTree(expected_mm).query(surface.vertices_mm, distance_upper_bound=parameters.reach_mm, workers=2)
    near, _ = submesh(surface, np.isfinite(distance))
    parts = components(np.ones(len(near.vertices_mm), dtype=bool), adjacency(near))
    size = np.bincount(parts)
    return submesh(near, size[parts] >= parameters.least_part * size.max())[0]


def _largest(surface: Surface) -> Surface:
    parts = components(np.ones(len(surface.vertices_mm), dtype=bool), adjacency(surface))
    return submesh(surface, parts == 1)[0]
