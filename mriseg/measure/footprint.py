"""tAB: the bone that carries, or should carry, cartilage, and what of it is bare.

Coverage of the atlas is joined with the cartilage seen at either visit. Along the outer edge the two never agree to the
millimetre, so uncovered bone counts as bare only where it is wider than the rim; without this rule every knee shows
loss (edge speckle).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from mriseg.surfaces import Surface, negative_fraction, triangle_areas, vertex_areas
from mriseg.types import Array, FloatArray, IntArray

EXPECTED, SURE = 0.5, 0.95  # atlas coverage where cartilage should be, and where nearly every sound knee has it
BEYOND_MM = 5.0  # cartilage further outside of the expected area is no part of the joint surface
SURE_MM2 = 10.0
ISLAND_MM2 = 100.0
HOLE_MM2 = 200.0


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


def opened(mask: Array, vertices_mm: FloatArray, radius_mm: float) -> Array:
    """Morphological opening of ``mask`` (V,): what is left where a disc of ``radius_mm`` fits."""
    core = distance_to(~mask, vertices_mm) > radius_mm
    return mask & (distance_to(core, vertices_mm) <= radius_mm + 0.5)


def total_area(
    surface: Surface,
    graph: sparse.csr_array,
    coverage: FloatArray,
    covered: Sequence[Array],
    *,
    rim_mm: float,
    min_area_mm2: float,
) -> Array:
    """Vertices (V,) bool of tAB, the same for all visits.

    Parameters
    ----------
    surface : Surface
        Shared bone surface, V vertices.
    graph : sparse array, (V, V)
        Its edges.
    coverage : array, (V,)
        Probability of the atlas that a sound knee carries cartilage here, 0 to 1.
    covered : sequence of array, (V,) bool
        Where cartilage is seen at each visit.
    rim_mm : float
        Width under which uncovered bone along the outer edge is no loss.
    min_area_mm2 : float
        Islands of cartilage and holes smaller than this are ignored.
    """
    vertices, area = surface.vertices_mm, vertex_areas(surface)
    seen = np.logical_or.reduce(list(covered))
    expected = coverage >= EXPECTED
    seen = _drop_small(seen & (distance_to(expected, vertices) < BEYOND_MM), graph, area, min_area_mm2)
    result = _fill(seen | expected, graph, area)
    for _ in range(2):
        rims = [_rim(result, ~visit, coverage, surface, rim_mm, graph=graph, area=area) for visit in covered]
        result = _fill(_drop_small(result & ~np.logical_or.reduce(rims), graph, area, ISLAND_MM2), graph, area)
    return result


def _rim(
    total: Array,
    uncovered: Array,
    coverage: FloatArray,
    surface: Surface,
    rim_mm: float,
    *,
    graph: sparse.csr_array,
    area: FloatArray,
) -> Array:
    """Uncovered part (V,) bool of ``total`` that is its outer edge and no loss.

    Of each uncovered part that reaches the edge this is all but what is wider than ``rim_mm``, and that stays only
    where it reaches bone that nearly every sound knee covers.
    """
    bare = total & uncovered
    parts = components(bare, graph)
    edge = np.asarray((graph @ (~total).astype(float)) > 0)
    wide = opened(bare, surface.vertices_mm, 0.5 * rim_mm)
    sure = np.bincount(parts, weights=area * (wide & (coverage >= SURE)), minlength=parts.max() + 1)
    at_edge = np.isin(parts, np.unique(parts[edge & bare]))
    return np.asarray(bare & at_edge & ~(wide & (sure[parts] >= SURE_MM2)))


def bare_area(
    surface: Surface, graph: sparse.csr_array, total: Array, cover: FloatArray, *, min_area_mm2: float
) -> Array:
    """Vertices (V,) bool of tAB without cartilage at one visit; spots below ``min_area_mm2`` count as covered."""
    parts = components(total & (cover < 0), graph)
    share = bare_share(surface, cover)
    size = np.bincount(parts, weights=share)
    return (parts > 0) & (size[parts] >= min_area_mm2)


def bare_share(surface: Surface, cover: FloatArray) -> FloatArray:
    """Uncovered area in mm2 that each vertex (V,) stands for, the edge drawn inside the triangles."""
    piece = negative_fraction(surface, cover) * triangle_areas(surface) / 3.0
    share = np.bincount(surface.faces.ravel(), weights=np.repeat(piece, 3), minlength=len(cover))
    return np.asarray(share, dtype=np.float64)


def _drop_small(mask: Array, graph: sparse.csr_array, area: FloatArray, least_mm2: float) -> Array:
    parts = components(mask, graph)
    size = np.bincount(parts, weights=area)
    return (parts > 0) & (size[parts] >= least_mm2)


def _fill(mask: Array, graph: sparse.csr_array, area: FloatArray) -> Array:
    """Close holes of less than ``HOLE_MM2``; larger gaps belong to the outside."""
    parts = components(~mask, graph)
    size = np.bincount(parts, weights=area)
    return np.asarray(mask | (size[parts] < HOLE_MM2))
