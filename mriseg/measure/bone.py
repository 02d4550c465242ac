"""One bone at one or more visits: what the visits share on it, and what each of them shows there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mriseg.atlas import Carried, values_at
from mriseg.errors import MeasurementError
from mriseg.geometry import in_view
from mriseg.measure.coverage import cover_field
from mriseg.measure.fields import crop_around, visit_fields
from mriseg.measure.footprint import (
    bare_area,
    bare_regions,
    bare_share,
    distance_to,
    without_specks,
)
from mriseg.measure.lesions import Bed
from mriseg.measure.metrics import Pieces, pieces
from mriseg.measure.parameters import MeasureParameters
from mriseg.measure.placing import articular_place, lay_atlas, surfaces_of
from mriseg.measure.shared import Shared, Sight, shared_of
from mriseg.surfaces import adjacency, vertex_areas, vertex_normals
from mriseg.types import (
    Array,
    Bone,
    BoneSurface,
    IntArray,
    LabelMap,
    Region,
    RigidTransform,
    RowState,
    ThicknessMap,
    Verdict,
    VertexState,
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bareness:
    """Bare bone of one visit.

    ``vertices`` (V,) are bare, ``regions`` the codes of those that carry no cartilage, ``rim`` (V,) what is left of the
    shared rim: in a region without cartilage there is no edge of cartilage whose rim it could be.
    """

    vertices: Array
    regions: IntArray
    rim: Array


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoneVisit:
    """What one visit shows on the shared surface of one bone.

    ``to_visit`` maps the common space to this visit, ``lost`` holds the regions that it does not show well enough, with
    the state of their rows.
    """

    thickness: ThicknessMap
    samples: Pieces
    bed: Bed
    to_visit: RigidTransform
    lost: Mapping[str, RowState]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoneResult:
    """One bone: the shared surface, the visits in the order given, the atlas fit."""

    surface: BoneSurface
    visits: tuple[BoneVisit, ...]
    carried: Carried


def measure_bone(
    bone: Bone, labels: Sequence[LabelMap], to_visit: Sequence[RigidTransform], parameters: MeasureParameters
) -> BoneResult:
    """Measure one bone on label maps in the right-knee frame; ``to_visit`` maps the common space to each of them.

    Raises
    ------
    MeasurementError
        Where the atlas cannot be laid onto the bone.
    """
    carried = lay_atlas(bone, labels, to_visit, parameters)
    if carried.verdict is Verdict.FAILED:
        raise MeasurementError(f"{bone}: {'; '.join(carried.reasons)}.")
    place = articular_place(bone, labels, to_visit, carried, parameters.place)
    around = np.vstack([place.box_mm, place.expected_mm])
    fields = [
        visit_fields(
            crop_around(one, motion.apply(around), margin_mm=parameters.place.margin_mm),
            bone,
            motion,
            smoothing_mm=parameters.smoothing_mm,
            coverage_smoothing_mm=parameters.coverage_smoothing_mm,
        )
        for one, motion in zip(labels, to_visit, strict=True)
    ]
    surface, cartilage = surfaces_of(fields, place, parameters)
    graph, area = adjacency(surface), vertex_areas(surface)
    values = values_at(carried, surface.vertices_mm, vertex_normals(surface), parameters.atlas)
    sights = [
        Sight(
            cartilage=one,
            cover=without_specks(
                cover_field(one.column_mm, values.coverage, graph, parameters=parameters.cover),
                one.thickness_mm,
                graph,
                area,
                min_area_mm2=parameters.min_area_mm2,
            ),
            unseen=~in_view(label_map.grid, motion.apply(surface.vertices_mm)),
        )
        for one, label_map, motion in zip(cartilage, labels, to_visit, strict=True)
    ]
    shared = shared_of(bone, surface, graph, carried=carried, values=values, sights=sights, parameters=parameters)
    bare = [_bareness(shared, sight, parameters) for sight in sights]
    failed = [_failed(shared, sight, one) for sight, one in zip(sights, bare, strict=True)]
    lost = [
        _lost_regions(shared, part, sight.unseen, parameters.figure.most_lost)
        for part, sight in zip(failed, sights, strict=True)
    ]
    # A vertex that fails at one visit is dropped from all, but a visit that does not show a region takes it from none.
    dropped = np.logical_or.reduce(
        [
            part & ~np.isin(shared.code, [Region(r).code for r in names])
            for part, names in zip(failed, lost, strict=True)
        ]
    )
    visits = [
        _shown_at(shared, sight, part, failed=dropped | own, lost=names, to_visit=motion, parameters=parameters)
        for sight, part, own, names, motion in zip(sights, bare, failed, lost, to_visit, strict=True)
    ]
    return BoneResult(surface=_bone_surface(bone, shared), visits=tuple(visits), carried=carried)


def _bone_surface(bone: Bone, shared: Shared) -> BoneSurface:
    return BoneSurface(
        bone=bone,
        vertices_mm=shared.surface.vertices_mm,
        faces=shared.surface.faces,
        area_mm2=shared.area_mm2,
        region=shared.code,
        expected_mm=shared.expected_mm,
    )


def _bareness(shared: Shared, sight: Sight, parameters: MeasureParameters) -> Bareness:
    """Find the bare bone of one visit, and the regions that carry no cartilage at all."""
    shown = np.where(sight.unseen, 0, shared.code)
    regions = bare_regions(shown, sight.cover, shared.graph, shared.area_mm2, min_area_mm2=parameters.min_area_mm2)
    whole = np.isin(shown, regions) & (shown > 0)
    rim = shared.rim & ~whole
    bare = bare_area(
        shared.surface, shared.graph, (shown > 0) & ~rim, sight.cover, min_area_mm2=parameters.min_area_mm2
    )
    return Bareness(vertices=bare | whole, regions=regions, rim=rim)


def _failed(shared: Shared, sight: Sight, bare: Bareness) -> Array:
    """Vertices (V,) of tAB that this visit does not show, or whose cartilage has no thickness."""
    blind = ~np.isfinite(sight.cartilage.thickness_mm) & ~bare.vertices & ~bare.rim
    return np.asarray((shared.code > 0) & (sight.unseen | blind))


def _lost_regions(shared: Shared, failed: Array, unseen: Array, most_lost: float) -> dict[str, RowState]:
    """Regions of which one visit does not show more than a small part, and why."""
    size = len(Region) + 1
    whole, part, out = (
        np.bincount(shared.code, weights=shared.area_mm2 * which, minlength=size)
        for which in (np.ones_like(failed), failed, failed & unseen)
    )
    lost = [r for r in Region if part[r.code] > most_lost * whole[r.code]]
    return {r.value: RowState.CUT if out[r.code] > 0 else RowState.FAILED for r in lost}


def _shown_at(
    shared: Shared,
    sight: Sight,
    bare: Bareness,
    *,
    failed: Array,
    lost: Mapping[str, RowState],
    to_visit: RigidTransform,
    parameters: MeasureParameters,
) -> BoneVisit:
    """Thickness, state and samples of one visit, without the vertices that ``failed`` (V,)."""
    kept = np.where(failed, 0, shared.code)
    inner = np.where(bare.rim, 0, kept)
    vertices = shared.surface.vertices_mm
    bare_here = bare.vertices & (inner > 0)
    near = distance_to(bare_here, vertices) <= parameters.figure.bare_reach * parameters.spacing_mm
    bare_mm2 = np.where(near & (inner > 0), bare_share(shared.surface, sight.cover), 0.0)
    bare_mm2 = np.where(np.isin(inner, bare.regions), shared.share_mm2, bare_mm2)
    thickness = np.where(bare_here | (inner == 0), 0.0, sight.cartilage.thickness_mm)
    state = np.select(
        [shared.code == 0, failed, bare.rim, bare_here],
        [VertexState.OUTSIDE, VertexState.FAILED, VertexState.RIM, VertexState.DENUDED],
        VertexState.MEASURED,
    )
    return BoneVisit(
        thickness=ThicknessMap(thickness_mm=np.where(inner > 0, thickness, np.nan), state=state.astype(np.uint8)),
        samples=pieces(
            vertices,
            kept,
            sight.cartilage,
            area_mm2=shared.share_mm2,
            bare_mm2=bare_mm2,
            rim=bare.rim,
            thickness_mm=thickness,
            without=bare.regions,
            near_mm=parameters.figure.near_mm,
        ),
        bed=Bed(
            vertices_mm=vertices,
            graph=shared.graph,
            area_mm2=shared.area_mm2,
            code=inner,
            bare=bare_here,
            bare_mm2=bare_mm2,
            thickness_mm=thickness,
            expected_mm=shared.expected_mm,
            rise_mm=shared.rise_mm,
        ),
        to_visit=to_visit,
        lost=lost,
    )
