"""tAB: the bone that carries, or should carry, cartilage, and what of it is bare.

Coverage of the atlas is joined with the cartilage seen at either visit. Along the outer edge the two never agree to the
millimetre, so uncovered bone counts as bare only where it is wider than the rim; without this rule every knee shows
loss (edge speckle). The rim stays part of tAB: taken off, tAB would follow the edge of the cartilage, which moves.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from mriseg.measure.tuned import FootprintParameters
from mriseg.surfaces import Surface, negative_fraction, to_vertices, triangle_areas, vertex_areas
from mriseg.types import Array, FloatArray, IntArray

DEFAULTS = FootprintParameters()


def components(mask: Array, graph: sparse.csr_array) -> IntArray:
    """Number the connected parts of ``mask`` (V,) on a surface graph from 1, largest vertex count first; 0 outside."""
    index = np.flatnonzero(mask)
    numbers = np.zeros(len(mask), dtype=np.int64)
    if index.size:
        _, part = connected_components(graph[index][:, index], directed=False)
        order = np.argsort(-np.bincount(part), kind="stable")
        rank = np.empty_like(order)
        rank[order] = np.arange(1, len(order) + 1)
        numbers[index] = rank[part]
    return numbers


def distance_to(mask: Array, vertices_mm: FloatArray) -> FloatArray:
    """Straight distance in mm from every vertex to the nearest one in ``mask`` (V,); inf where the mask is empty."""
    if not mask.any():
        return np.full(len(mask), np.inf)
    return np.asarray(KDTree(vertices_mm[mask]).query(vertices_mm, workers=2)[0], dtype=np.float64)


def opened(mask: Array, vertices_mm: FloatArray, radius_mm: float, *, slack_mm: float = DEFAULTS.opening_mm) -> Array:
    """Morphological opening of ``mask`` (V,): what is left where a disc of ``radius_mm`` fits."""
    core = distance_to(~mask, vertices_mm) > radius_mm
    return mask & (distance_to(core, vertices_mm) <= radius_mm + slack_mm)


def total_area(
    surface: Surface,
    graph: sparse.csr_array,
    covered: Sequence[Array],
    *,
    footprint: FloatArray,
    coverage: FloatArray,
    rim_mm: float,
    min_area_mm2: float,
    parameters: FootprintParameters = DEFAULTS,
) -> tuple[Array, Array]:
    """Vertices (V,) bool of tAB, the same for all visits, and those of them that are its rim.

    Parameters
    ----------
    surface : Surface
        Shared bone surface, V vertices.
    graph : sparse array, (V, V)
        Its edges.
    covered : sequence of array, (V,) bool
        Where cartilage is seen at each visit.
    footprint : array, (V,)
        Probability of the atlas, 0 to 1, that a sound knee carries cartilage here, by a fit that osteophytes do not
        pull along: it says how far tAB reaches.
    coverage : array, (V,)
        The same by a close fit: it says where bare bone is loss for sure.
    rim_mm : float
        Width under which uncovered bone along the outer edge is no loss.
    min_area_mm2 : float
        Islands of cartilage and holes smaller than this are ignored.
    parameters : FootprintParameters
    """
    p, vertices, area = parameters, surface.vertices_mm, vertex_areas(surface)
    seen = np.logical_or.reduce(list(covered))
    expected = footprint >= p.expected
    # Bare bone may belong to a lesion that reaches the edge; what does not is taken off again as rim.
    lost = ~seen & (coverage >= p.possible)
    seen = _drop_small(seen & (distance_to(expected, vertices) < p.beyond_mm), graph, area, min_area_mm2)
    inner = _fill(seen | expected | lost, graph, area, p.hole_mm2)
    for _ in range(p.rounds):
        rims = [
            _rim(inner, ~visit, coverage, surface, rim_mm, graph=graph, area=area, parameters=p) for visit in covered
        ]
        left = _drop_small(inner & ~np.logical_or.reduce(rims), graph, area, p.island_mm2)
        inner = _fill(left, graph, area, p.hole_mm2)
    total = _fill((seen & (footprint >= p.joined)) | expected | (lost & inner), graph, area, p.hole_mm2)
    return total, total & ~inner


def _rim(
    total: Array,
    uncovered: Array,
    coverage: FloatArray,
    surface: Surface,
    rim_mm: float,
    *,
    graph: sparse.csr_array,
    area: FloatArray,
    parameters: FootprintParameters,
) -> Array:
    """Uncovered part (V,) bool of ``total`` that is its outer edge and no loss.

    Of each uncovered part that reaches the edge this is all but what is wider than ``rim_mm``, and that stays only
    where it reaches bone that nearly every sound knee covers, and only as far out as the cartilage beside it.
    """
    bare = total & uncovered
    parts = components(bare, graph)
    at_edge = np.isin(parts, np.unique(parts[_beside(~total, graph) & bare]))
    wide = opened(bare, surface.vertices_mm, 0.5 * rim_mm, slack_mm=parameters.opening_mm)
    sure = np.bincount(parts, weights=area * (wide & (coverage >= parameters.sure)), minlength=parts.max() + 1)
    loss = bare & wide & (sure[parts] >= parameters.sure_mm2)
    outside = ~total | (bare & ~loss & (coverage < parameters.sure))
    margin = total & ~uncovered & _beside(outside, graph)
    within = _within(margin, coverage, surface.vertices_mm, components(total, graph), parameters)
    return np.asarray(bare & at_edge & ~(loss & within))


def _within(
    margin: Array, coverage: FloatArray, vertices_mm: FloatArray, parts: IntArray, parameters: FootprintParameters
) -> Array:
    """Vertices (V,) bool no less likely covered than the least likely part of the cartilage ``margin`` near them.

    Only the margin on the same connected part of tAB speaks, and none speaks farther than ``margin_reach_mm``: a bare
    plate beside a sound one has no edge of cartilage.
    """
    within = np.ones(len(margin), dtype=bool)
    for part in np.unique(parts[margin]):
        here, edge = np.flatnonzero(parts == part), np.flatnonzero((parts == part) & margin)
        nearest = list(range(1, 1 + min(parameters.margin_points, len(edge))))
        distance, near = map(np.asarray, KDTree(vertices_mm[edge]).query(vertices_mm[here], k=nearest, workers=2))
        level = coverage[edge][near].min(axis=1)
        within[here] = (coverage[here] >= level) | (distance[:, 0] > parameters.margin_reach_mm)
    return within


def _beside(mask: Array, graph: sparse.csr_array) -> Array:
    """Vertices (V,) bool with a neighbour in ``mask`` (V,)."""
    return np.asarray((graph @ mask.astype(float)) > 0)


def bare_area(
    surface: Surface, graph: sparse.csr_array, total: Array, cover: FloatArray, *, min_area_mm2: float
) -> Array:
    """Vertices (V,) bool of tAB without cartilage at one visit; spots below ``min_area_mm2`` count as covered."""
    parts = components(total & (cover < 0), graph)
    share = bare_share(surface, cover)
    size = np.bincount(parts, weights=share)
    return (parts > 0) & (size[parts] >= min_area_mm2)


def bare_regions(
    code: IntArray, cover: FloatArray, graph: sparse.csr_array, area: FloatArray, *, min_area_mm2: float
) -> IntArray:
    """Codes of the regions, of those in ``code`` (V,; 0 is none), that carry no cartilage.

    ``cover`` (V,) is positive where cartilage covers the bone, ``area`` (V,) what each vertex stands for. Speckle that
    covers less than ``min_area_mm2``, by itself or in a region, is none.
    """
    covered = _drop_small((cover > 0) & (code > 0), graph, area, min_area_mm2)
    carried = np.bincount(code, weights=area * covered)
    return np.asarray([n for n in np.unique(code[code > 0]) if carried[n] < min_area_mm2], dtype=np.int64)


def without_specks(
    cover: FloatArray,
    thickness_mm: FloatArray,
    graph: sparse.csr_array,
    area: FloatArray,
    *,
    min_area_mm2: float,
) -> FloatArray:
    """``cover`` (V,) with specks turned into bare bone: less than ``min_area_mm2`` of cartilage without a thickness."""
    speck = (cover > 0) & ~np.isfinite(thickness_mm)
    return np.where(speck & ~_drop_small(cover > 0, graph, area, min_area_mm2), -cover, cover)


def total_share(
    surface: Surface, total: Array, footprint: FloatArray, *, parameters: FootprintParameters = DEFAULTS
) -> FloatArray:
    """Area of tAB in mm2 that each vertex (V,) stands for, 0 outside of ``total`` (V,).

    The edge is drawn inside the triangles where the atlas gives it, so that tAB does not depend on where vertices lie.
    """
    above = np.maximum(footprint - parameters.joined, 1e-3)
    outside = np.where(total, -above, np.maximum(parameters.expected - footprint, 1e-3))
    inside = total[surface.faces]
    piece = negative_fraction(surface, outside) * triangle_areas(surface)
    return to_vertices(surface, inside * (piece / np.maximum(inside.sum(axis=1), 1))[:, None])


def bare_share(surface: Surface, cover: FloatArray) -> FloatArray:
    """Uncovered area in mm2 that each vertex (V,) stands for, the edge drawn inside the triangles."""
    return to_vertices(surface, (negative_fraction(surface, cover) * triangle_areas(surface) / 3.0)[:, None])


def _drop_small(mask: Array, graph: sparse.csr_array, area: FloatArray, least_mm2: float) -> Array:
    parts = components(mask, graph)
    size = np.bincount(parts, weights=area)
    return (parts > 0) & (size[parts] >= least_mm2)


def _fill(mask: Array, graph: sparse.csr_array, area: FloatArray, least_mm2: float) -> Array:
    """Close holes of less than ``least_mm2``; larger gaps belong to the outside."""
    parts = components(~mask, graph)
    size = np.bincount(parts, weights=area)
    return np.asarray(mask | (size[parts] < least_mm2))
