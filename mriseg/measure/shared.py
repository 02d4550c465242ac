"""What the visits share on one bone: tAB, its regions, its rim, and the thickness that is expected there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from mriseg.atlas import Carried, OnSurface
from mriseg.measure.coverage import Cartilage
from mriseg.measure.expected import expected_thickness, rise
from mriseg.measure.footprint import total_area, total_share
from mriseg.measure.parameters import MeasureParameters
from mriseg.measure.regions import region_codes
from mriseg.surfaces import Surface, vertex_areas, vertex_normals
from mriseg.types import Array, Bone, FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shared:
    """What the visits share on one bone; arrays (V,) on its surface.

    ``share_mm2`` is the area of tAB that a vertex stands for: ``area_mm2``, but for the edge, which runs inside
    triangles. ``code`` is that of the region, 0 outside of tAB; ``rim`` the outer edge of tAB that is uncovered and no
    loss; ``rise_mm`` how far bone rises into the bed.
    """

    surface: Surface
    graph: sparse.csr_array
    area_mm2: FloatArray
    share_mm2: FloatArray
    code: IntArray
    rim: Array
    expected_mm: FloatArray
    rise_mm: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sight:
    """What one visit shows of the shared surface, before anything is compared; arrays (V,).

    ``cover`` is positive where cartilage covers the bone and negative where not, ``unseen`` what the field of view
    leaves out.
    """

    cartilage: Cartilage
    cover: FloatArray
    unseen: Array


def shared_of(
    bone: Bone,
    surface: Surface,
    graph: sparse.csr_array,
    *,
    carried: Carried,
    values: OnSurface,
    sights: Sequence[Sight],
    parameters: MeasureParameters,
) -> Shared:
    """Find tAB, its regions and the thickness expected there from what every visit shows."""
    area, seen = vertex_areas(surface), [s.cover > 0 for s in sights]
    # Where a visit shows nothing, the others speak for it: what it leaves out is neither bare nor an edge.
    anywhere = np.logical_or.reduce(seen)
    covered = [ok | (s.unseen & anywhere) for ok, s in zip(seen, sights, strict=True)]
    total, rim = total_area(
        surface,
        graph,
        covered,
        footprint=values.footprint,
        coverage=values.coverage,
        rim_mm=parameters.rim_mm,
        min_area_mm2=parameters.min_area_mm2,
        parameters=parameters.footprint,
    )
    code = region_codes(bone, surface.vertices_mm, area, total, carried=carried, values=values, parameters=parameters)
    best = np.max([np.where(ok, s.cartilage.thickness_mm, 0.0) for ok, s in zip(seen, sights, strict=True)], axis=0)
    sound = anywhere & total & ~rim
    expected = expected_thickness(
        surface.vertices_mm, values.thickness_mm, best, sound, area, parameters=parameters.norm
    )
    height = rise(surface.vertices_mm, vertex_normals(surface), graph, steps=parameters.norm.rise_steps)
    return Shared(
        surface=surface,
        graph=graph,
        area_mm2=area,
        share_mm2=total_share(surface, total, values.footprint, parameters=parameters.footprint),
        code=code,
        rim=rim,
        expected_mm=np.where(code > 0, expected, np.nan),
        rise_mm=height - (np.median(height[code > 0]) if (code > 0).any() else 0.0),
    )
