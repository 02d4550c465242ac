"""Half joint surfaces that carry nothing while their cartilage lies elsewhere: mislabelled, not bare."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from mriseg.anatomy.contradictions import named
from mriseg.atlas import LATERAL, MEDIAL, RigidLay, load_atlas
from mriseg.geometry import apply_affine, mirror_points, thin
from mriseg.types import Array, Bone, FloatArray, Label, LabelMap, Side

LEAST_POINTS = 30  # of a half inside of the image; a smaller rest is not judged


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionLimits:
    """When half a joint surface is bare, and when its cartilage lies elsewhere.

    Parameters
    ----------
    coarse_mm : float
        Distance to which voxels are thinned first.
    near_mm : float
        A point of the atlas is covered by what lies as near: the fit by size and place is a millimetre or two off.
    bare : float
        Largest share that is covered where the half is bare.
    foreign : float
        Share that the cartilage of another bone covers where it stands for the missing one. Bone that is truly bare
        is touched by the opposite cartilage where the joint closes, less than half of it.
    astray_mm, astray : float
        Distance from every place where a knee carries cartilage, and the share of a cartilage beyond it, from which
        that cartilage lies elsewhere (52 real maps: none of 1 % or more).
    """

    coarse_mm: float = 1.5
    near_mm: float = 3.0
    bare: float = 0.03
    foreign: float = 0.75
    astray_mm: float = 8.0
    astray: float = 0.2


LIMITS = RegionLimits()


def bare_elsewhere(
    label_map: LabelMap, lays: Mapping[Bone, RigidLay], side: Side, limits: RegionLimits = LIMITS
) -> tuple[str, ...]:
    """Statements about halves of a bone's joint surface that are bare while their cartilage lies elsewhere.

    A half whose cartilage is simply gone is disease and no contradiction.

    Parameters
    ----------
    label_map : LabelMap
        In the true world frame (RAS), not mirrored.
    lays : mapping
        The atlas laid onto each bone in the right-knee frame.
    side : Side
    limits : RegionLimits
    """
    coarse = thin(label_map, limits.coarse_mm)
    points = {bone: _points_mm(coarse, bone.cartilage, side) for bone in Bone}
    found: list[str] = []
    for bone, lay in lays.items():
        seen = _in_image(coarse, mirror_points(lay.vertices_mm, side))
        found += _of_bone(bone, lay, points, seen, limits)
    return tuple(found)


def _of_bone(
    bone: Bone, lay: RigidLay, points: Mapping[Bone, FloatArray], seen: Array, limits: RegionLimits
) -> Iterator[str]:
    atlas = load_atlas()[bone]
    astray = _beyond(points[bone], lay.vertices_mm[atlas.coverage > 0.1], limits.astray_mm)
    for half, name in ((MEDIAL, "medial"), (LATERAL, "lateral")):
        surface = lay.vertices_mm[(atlas.coverage >= 0.5) & (atlas.compartment == half) & seen]
        if len(surface) < LEAST_POINTS or 1.0 - _beyond(surface, points[bone], limits.near_mm) > limits.bare:
            continue
        foreign = {b: 1.0 - _beyond(surface, points[b], limits.near_mm) for b in points if b is not bone}
        host = max(foreign, key=foreign.__getitem__)
        if foreign[host] >= limits.foreign:
            yield (
                f"the {name} half of {named(bone.label)} is bare of {named(bone.cartilage)} while "
                f"{named(host.cartilage)} covers {100 * foreign[host]:.0f} % of it"
            )
        elif astray >= limits.astray:
            yield (
                f"the {name} half of {named(bone.label)} is bare while {100 * astray:.0f} % of "
                f"{named(bone.cartilage)} lies where no knee carries any"
            )


def _beyond(points: FloatArray, others: FloatArray, distance_mm: float) -> float:
    """Share of ``points`` (N, 3) that are farther than ``distance_mm`` from all ``others`` (M, 3); 0 without points."""
    if not len(points):
        return 0.0
    if not len(others):
        return 1.0
    found: Array = np.asarray(KDTree(others).query(points, distance_upper_bound=distance_mm)[0])
    return float(np.isinf(found).mean())


def _in_image(coarse: LabelMap, points_mm: FloatArray) -> Array:
    """Which of ``points_mm`` (N, 3) lie inside of the image."""
    index = apply_affine(np.asarray(np.linalg.inv(coarse.grid.affine)), points_mm)
    return np.asarray(((index >= 0) & (index <= np.array(coarse.grid.shape) - 1.0)).all(axis=1))


def _points_mm(coarse: LabelMap, label: Label, side: Side) -> FloatArray:
    """Voxel centres of one label in the right-knee frame, (N, 3)."""
    centres = apply_affine(coarse.grid.affine, np.argwhere(coarse.data == label).astype(float))
    return mirror_points(centres, side)
