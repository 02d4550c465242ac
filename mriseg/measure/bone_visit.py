"""What the visits share on one bone, and what each of them shows there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from mriseg.atlas import Carried, OnSurface
from mriseg.measure.coverage import Cartilage
from mriseg.measure.expected import expected_thickness, rise
from mriseg.measure.footprint import bare_area, bare_share, distance_to, total_area, total_share
from mriseg.measure.lesions import Bed
from mriseg.measure.metrics import Pieces, pieces
from mriseg.measure.parameters import MeasureParameters
from mriseg.measure.regions import region_codes
from mriseg.surfaces import Surface, vertex_areas, vertex_normals
from mriseg.types import Array, Bone, FloatArray, IntArray, ThicknessMap, VertexState


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shared:
    """What the visits share on one bone; arrays (V,) on its surface.

    ``share_mm2`` is the area of tAB that a vertex stands for: ``area_mm2``, but for the edge, which runs inside
    triangles. ``code`` is that of the region, 0 outside of tAB; ``rim`` the outer edge of tAB that is uncovered and no
    loss; ``failed`` what could not be measured at either visit; ``rise_mm`` how far bone rises into the bed.
    """

    surface: Surface
    graph: sparse.csr_array
    area_mm2: FloatArray
    share_mm2: FloatArray
    code: IntArray
    rim: Array
    failed: Array
    expected_mm: FloatArray
    rise_mm: FloatArray


def shared_of(
    bone: Bone,
    surface: Surface,
    graph: sparse.csr_array,
    *,
    carried: Carried,
    values: OnSurface,
    cartilage: Sequence[Cartilage],
    cover: Sequence[FloatArray],
    unseen: Array,
    parameters: MeasureParameters,
) -> Shared:
    """Find tAB, its regions and the thickness expected there from the ``cover`` (V,) of every visit.

    ``graph`` holds the edges of ``surface`` (V vertices); ``unseen`` (V,) marks what a field of view leaves out.
    """
    area, covered = vertex_areas(surface), [c > 0 for c in cover]
    total, rim = total_area(
        surface,
        graph,
        covered,
        footprint=values.footprint,
        coverage=values.coverage,
        rim_mm=parameters.rim_mm,
        min_area_mm2=parameters.min_area_mm2,
    )
    code = region_codes(bone, surface.vertices_mm, area, total, carried=carried, values=values, parameters=parameters)
    best = np.max([np.where(ok, c.thickness_mm, 0.0) for ok, c in zip(covered, cartilage, strict=True)], axis=0)
    sound = np.logical_or.reduce(covered) & total & ~rim
    blind = [~np.isfinite(c.thickness_mm) & ok for c, ok in zip(cartilage, covered, strict=True)]
    height = rise(surface.vertices_mm, vertex_normals(surface), graph)
    return Shared(
        surface=surface,
        graph=graph,
        area_mm2=area,
        share_mm2=total_share(surface, total, values.footprint),
        code=code,
        rim=rim,
        failed=(code > 0) & np.logical_or.reduce([unseen, *blind]),
        expected_mm=np.where(
            code > 0, expected_thickness(surface.vertices_mm, values.thickness_mm, best, sound, area), np.nan
        ),
        rise_mm=height - (np.median(height[code > 0]) if (code > 0).any() else 0.0),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoneVisit:
    """What one visit shows on the shared surface of one bone."""

    thickness: ThicknessMap
    samples: Pieces
    bed: Bed


def shown_at(shared: Shared, cartilage: Cartilage, cover: FloatArray, parameters: MeasureParameters) -> BoneVisit:
    """Thickness, state and samples of one visit, whose ``cover`` (V,) is negative where bone is bare."""
    # A vertex that fails at one visit is dropped from both.
    kept = np.where(shared.failed, 0, shared.code)
    inner = np.where(shared.rim, 0, kept)
    vertices, area = shared.surface.vertices_mm, shared.area_mm2
    bare = bare_area(shared.surface, shared.graph, inner > 0, cover, min_area_mm2=parameters.min_area_mm2)
    near = distance_to(bare, vertices) <= 2.0 * parameters.spacing_mm
    bare_mm2 = np.where(near & (inner > 0), bare_share(shared.surface, cover), 0.0)
    thickness = np.where(bare, 0.0, cartilage.thickness_mm)
    state = np.select(
        [shared.code == 0, shared.failed, shared.rim, bare],
        [VertexState.OUTSIDE, VertexState.FAILED, VertexState.RIM, VertexState.DENUDED],
        VertexState.MEASURED,
    )
    return BoneVisit(
        thickness=ThicknessMap(thickness_mm=np.where(inner > 0, thickness, np.nan), state=state.astype(np.uint8)),
        samples=pieces(
            vertices,
            kept,
            cartilage,
            area_mm2=shared.share_mm2,
            bare_mm2=bare_mm2,
            rim=shared.rim,
            thickness_mm=thickness,
        ),
        bed=Bed(
            vertices_mm=vertices,
            graph=shared.graph,
            area_mm2=area,
            code=inner,
            bare=bare,
            bare_mm2=bare_mm2,
            thickness_mm=thickness,
            expected_mm=shared.expected_mm,
            rise_mm=shared.rise_mm,
        ),
    )
