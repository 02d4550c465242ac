"""One bone at one or two visits: atlas, shared surface, cartilage, and what they give together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mriseg.atlas import Carried, values_at
from mriseg.errors import MeasurementError
from mriseg.measure.bone_visit import BoneVisit, Shared, shared_of, shown_at
from mriseg.measure.coverage import cover_field
from mriseg.measure.fields import crop_around, visit_fields
from mriseg.measure.parameters import MeasureParameters
from mriseg.measure.placing import articular_points, in_view, lay_atlas, surfaces_of
from mriseg.surfaces import adjacency, vertex_normals
from mriseg.types import (
    Array,
    Bone,
    BoneSurface,
    FloatArray,
    IntArray,
    LabelMap,
    Region,
    RigidTransform,
    RowState,
    Verdict,
)

MOST_LOST = 0.02  # part of a region that may fail before its figures are withheld


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoneResult:
    """One bone: the shared surface, the visits in the order given, the atlas fit, remarks for a reader.

    ``lost`` holds the regions that could not be measured, with the state of their rows.
    """

    surface: BoneSurface
    visits: tuple[BoneVisit, ...]
    carried: Carried
    notes: tuple[str, ...]
    lost: Mapping[str, RowState]


def measure_bone(
    bone: Bone, labels: Sequence[LabelMap], to_visit: Sequence[RigidTransform], parameters: MeasureParameters
) -> BoneResult:
    """Measure one bone on label maps in the right-knee frame; ``to_visit`` maps half-way space to each of them.

    Raises
    ------
    MeasurementError
        Where the atlas cannot be laid onto the bone.
    """
    carried = lay_atlas(bone, labels, to_visit, parameters)
    if carried.verdict is Verdict.FAILED:
        raise MeasurementError(f"{bone}: {'; '.join(carried.reasons)}.")
    points = articular_points(bone, labels, to_visit, carried)
    fields = [
        visit_fields(
            crop_around(one, motion.apply(points), margin_mm=4.0),
            bone,
            motion,
            smoothing_mm=parameters.smoothing_mm,
            coverage_smoothing_mm=parameters.coverage_smoothing_mm,
        )
        for one, motion in zip(labels, to_visit, strict=True)
    ]
    surface, cartilage = surfaces_of(fields, points, spacing_mm=parameters.spacing_mm)
    values = values_at(carried, surface.vertices_mm, vertex_normals(surface))
    unseen = np.logical_or.reduce(
        [~in_view(one.grid, motion.apply(surface.vertices_mm)) for one, motion in zip(labels, to_visit, strict=True)]
    )
    graph = adjacency(surface)
    cover = [cover_field(c.column_mm, values.coverage, graph) for c in cartilage]
    shared = shared_of(
        bone,
        surface,
        graph,
        carried=carried,
        values=values,
        cartilage=cartilage,
        cover=cover,
        unseen=unseen,
        parameters=parameters,
    )
    return _result(
        bone,
        carried,
        shared,
        visits=tuple(shown_at(shared, c, edge, parameters) for c, edge in zip(cartilage, cover, strict=True)),
        unseen=unseen,
    )


def _result(
    bone: Bone, carried: Carried, shared: Shared, *, visits: tuple[BoneVisit, ...], unseen: Array
) -> BoneResult:
    """Put one bone together, with the regions that could not be measured and why."""
    lost = _lost_regions(shared.code, shared.area_mm2, shared.failed)
    state = RowState.CUT if (unseen & shared.failed).any() else RowState.FAILED
    notes = [*carried.reasons]
    if lost:
        why = "the field of view ends inside" if state is RowState.CUT else "no thickness could be measured in part of"
        notes.append(f"{bone}: {why} {', '.join(lost)}.")
    surface = BoneSurface(
        bone=bone,
        vertices_mm=shared.surface.vertices_mm,
        faces=shared.surface.faces,
        area_mm2=shared.area_mm2,
        region=shared.code,
        expected_mm=shared.expected_mm,
    )
    return BoneResult(
        surface=surface, visits=visits, carried=carried, notes=tuple(notes), lost=dict.fromkeys(lost, state)
    )


def _lost_regions(code: IntArray, area: FloatArray, failed: Array) -> list[str]:
    """Regions of which more than a small part could not be measured."""
    whole = np.bincount(code, weights=area, minlength=len(Region) + 1)
    part = np.bincount(code, weights=area * failed, minlength=len(Region) + 1)
    return [r.value for r in Region if part[r.code] > MOST_LOST * whole[r.code]]
