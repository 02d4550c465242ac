"""One bone at one or two visits: the shared surface, its cartilage, tAB, regions, lesions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from mriseg.atlas import Carried, OnSurface, values_at
from mriseg.errors import MeasurementError
from mriseg.measure.coverage import Cartilage, cover_field
from mriseg.measure.expected import expected_thickness, rise
from mriseg.measure.fields import (
    crop_around,
    visit_fields,
)
from mriseg.measure.footprint import bare_area, bare_share, distance_to, total_area
from mriseg.measure.lesions import Bed
from mriseg.measure.metrics import Pieces, pieces
from mriseg.measure.parameters import MeasureParameters
from mriseg.measure.placing import articular_points, in_view, lay_atlas, surfaces_of
from mriseg.measure.regions import region_codes
from mriseg.surfaces import Surface, adjacency, vertex_areas, vertex_normals
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
    ThicknessMap,
    Verdict,
    VertexState,
)

MOST_LOST = 0.02  # part of a region that may fail before its figures are withheld


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoneVisit:
    """What one visit shows on the shared surface of one bone."""

    thickness: ThicknessMap
    samples: Pieces
    bed: Bed


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
    return _assemble(bone, surface, carried, values, cartilage=cartilage, unseen=unseen, parameters=parameters)


def _assemble(
    bone: Bone,
    surface: Surface,
    carried: Carried,
    values: OnSurface,
    *,
    cartilage: Sequence[Cartilage],
    unseen: Array,
    parameters: MeasureParameters,
) -> BoneResult:
    graph = adjacency(surface)
    cover = [cover_field(c.column_mm, values.coverage, graph) for c in cartilage]
    covered = [c > 0 for c in cover]
    total = total_area(
        surface,
        graph,
        covered,
        footprint=values.footprint,
        coverage=values.coverage,
        rim_mm=parameters.rim_mm,
        min_area_mm2=parameters.min_area_mm2,
    )
    area = vertex_areas(surface)
    code = region_codes(bone, surface.vertices_mm, area, total, carried=carried, values=values, parameters=parameters)
    best = np.max([np.where(ok, c.thickness_mm, 0.0) for ok, c in zip(covered, cartilage, strict=True)], axis=0)
    norm = expected_thickness(
        surface.vertices_mm, values.thickness_mm, best, np.logical_or.reduce(covered) & total, area
    )
    expected = np.where(code > 0, norm, np.nan)
    failed = (code > 0) & np.logical_or.reduce(
        [unseen, *(~np.isfinite(c.thickness_mm) & ok for c, ok in zip(cartilage, covered, strict=True))]
    )
    height = rise(surface.vertices_mm, vertex_normals(surface), graph)
    height -= np.median(height[code > 0]) if (code > 0).any() else 0.0
    visits = tuple(
        _visit(
            surface,
            graph,
            c,
            cover=edge,
            height=height,
            area=area,
            code=code,
            expected=expected,
            failed=failed,
            parameters=parameters,
        )
        for c, edge in zip(cartilage, cover, strict=True)
    )
    result = BoneSurface(
        bone=bone,
        vertices_mm=surface.vertices_mm,
        faces=surface.faces,
        area_mm2=area,
        region=code,
        expected_mm=expected,
    )
    lost = _lost_regions(code, area, failed)
    state = RowState.CUT if (unseen & failed).any() else RowState.FAILED
    notes = [*carried.reasons]
    if lost:
        why = "the field of view ends inside" if state is RowState.CUT else "no thickness could be measured in part of"
        notes.append(f"{bone}: {why} {', '.join(lost)}.")
    return BoneResult(
        surface=result, visits=visits, carried=carried, notes=tuple(notes), lost=dict.fromkeys(lost, state)
    )


def _lost_regions(code: IntArray, area: FloatArray, failed: Array) -> list[str]:
    """Regions of which more than a small part could not be measured."""
    whole = np.bincount(code, weights=area, minlength=len(Region) + 1)
    part = np.bincount(code, weights=area * failed, minlength=len(Region) + 1)
    return [r.value for r in Region if part[r.code] > MOST_LOST * whole[r.code]]


def _visit(
    surface: Surface,
    graph: sparse.csr_array,
    cartilage: Cartilage,
    *,
    cover: FloatArray,
    height: FloatArray,
    area: FloatArray,
    code: IntArray,
    expected: FloatArray,
    failed: Array,
    parameters: MeasureParameters,
) -> BoneVisit:
    # A vertex that fails at one visit is dropped from both.
    kept = np.where(failed, 0, code)
    bare = bare_area(surface, graph, kept > 0, cover, min_area_mm2=parameters.min_area_mm2)
    near = distance_to(bare, surface.vertices_mm) <= 2.0 * parameters.spacing_mm
    bare_mm2 = np.where(near & (kept > 0), bare_share(surface, cover), 0.0)
    thickness = np.where(bare, 0.0, cartilage.thickness_mm)
    state = np.select(
        [code == 0, failed, bare],
        [VertexState.OUTSIDE, VertexState.FAILED, VertexState.DENUDED],
        VertexState.MEASURED,
    )
    bed = Bed(
        vertices_mm=surface.vertices_mm,
        graph=graph,
        area_mm2=area,
        code=kept,
        bare=bare,
        bare_mm2=bare_mm2,
        thickness_mm=thickness,
        expected_mm=expected,
        rise_mm=height,
    )
    samples = pieces(surface.vertices_mm, kept, cartilage, area_mm2=area, bare_mm2=bare_mm2, thickness_mm=thickness)
    shown = ThicknessMap(thickness_mm=np.where(kept > 0, thickness, np.nan), state=state.astype(np.uint8))
    return BoneVisit(thickness=shown, samples=samples, bed=bed)
