"""Lesions: connected bare bone, and connected loss of part of the depth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.distance import pdist

from mriseg.measure.footprint import components, distance_to, opened
from mriseg.measure.parameters import MeasureParameters
from mriseg.measure.tuned import LesionParameters
from mriseg.types import Array, Defect, FloatArray, IntArray, Region

FULL, PARTIAL = "full", "partial"
BARE_DEPTH_PCT = 100.0
CLASS_TO_BONE, CLASS_DEEP, CLASS_SHALLOW = 4, 3, 2  # ICRS
MOST_POINTS = 400  # all pairs of more are slow, and only those of the hull can be farthest


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lesion:
    """A :class:`Defect` and the vertices (V,) bool of the shared surface that it takes, for matching."""

    defect: Defect
    kind: str
    mask: Array


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bed:
    """What lesions of one bone at one visit are found in; arrays (V,) on the shared surface.

    ``bare`` marks denuded vertices, ``bare_mm2`` the area of them that is really bare (the edge runs inside
    triangles), ``expected_mm`` the thickness without disease, ``rise_mm`` how far bone rises into the bed.
    """

    vertices_mm: FloatArray
    graph: sparse.csr_array
    area_mm2: FloatArray
    code: IntArray
    bare: Array
    bare_mm2: FloatArray
    thickness_mm: FloatArray
    expected_mm: FloatArray
    rise_mm: FloatArray


def find_lesions(bed: Bed, prefix: str, parameters: MeasureParameters) -> list[Lesion]:
    """Lesions of one bone at one visit, largest first within a kind; ids ``PREFIX-1``, ``PREFIX-2``..."""
    full = components(bed.bare & (bed.code > 0), bed.graph)
    full_share = _grown_share(bed, full)
    depth = _depth_pct(bed)
    partial = components(_partial_mask(bed, depth, parameters), bed.graph)
    found: list[tuple[str, Array, FloatArray]] = []
    found += [(FULL, full == n, np.where(full_share == n, bed.bare_mm2, 0.0)) for n in range(1, full.max() + 1)]
    found += [(PARTIAL, partial == n, np.where(partial == n, bed.area_mm2, 0.0)) for n in range(1, partial.max() + 1)]
    large = [f for f in found if f[2].sum() >= parameters.min_area_mm2]
    large.sort(key=lambda f: (f[0] != FULL, -float(f[2].sum())))
    return [
        _lesion(bed, f"{prefix}-{n}", depth, parameters.lesion, kind=f[0], mask=f[1], share=f[2])
        for n, f in enumerate(large, start=1)
    ]


def _grown_share(bed: Bed, parts: IntArray) -> IntArray:
    """Part number of each vertex that holds bare area: its own, or that of a bare neighbour across the edge."""
    grown = parts.copy()
    rows, columns = bed.graph.nonzero()
    edge = (parts[rows] == 0) & (parts[columns] > 0) & (bed.bare_mm2[rows] > 0)
    grown[rows[edge]] = parts[columns[edge]]
    return grown


def _depth_pct(bed: Bed) -> FloatArray:
    with np.errstate(invalid="ignore", divide="ignore"):
        depth = 100.0 * (1.0 - bed.thickness_mm / bed.expected_mm)
    depth = np.where((bed.code > 0) & np.isfinite(depth), depth, 0.0)
    return np.asarray(np.where(bed.bare, BARE_DEPTH_PCT, np.clip(depth, 0.0, BARE_DEPTH_PCT)), dtype=np.float64)


def _partial_mask(bed: Bed, depth: FloatArray, parameters: MeasureParameters) -> Array:
    """Loss over part of the depth, away from the walls of bare bone and from the thin outer edge of cartilage."""
    inside = distance_to(bed.code == 0, bed.vertices_mm) > parameters.rim_mm
    away = distance_to(bed.bare, bed.vertices_mm) > parameters.lesion.shoulder_mm
    lost = (depth >= parameters.partial_depth_pct) & inside & away
    return opened(
        lost,
        bed.vertices_mm,
        0.5 * parameters.lesion.partial_width_mm,
        slack_mm=parameters.footprint.opening_mm,
    )


def _lesion(
    bed: Bed, name: str, depth: FloatArray, p: LesionParameters, *, kind: str, mask: Array, share: FloatArray
) -> Lesion:
    area = float(share.sum())
    mean = BARE_DEPTH_PCT if kind == FULL else float(depth @ share) / area
    deepest = BARE_DEPTH_PCT if kind == FULL else float(np.quantile(depth[mask], p.deepest_quantile))
    # Near its walls a lesion measures shallower than it is: its grade is that of the deeper half.
    floor = BARE_DEPTH_PCT if kind == FULL else float(np.quantile(depth[mask], p.grade_quantile))
    grade = CLASS_TO_BONE if kind == FULL else CLASS_DEEP if floor >= p.half_depth_pct else CLASS_SHALLOW
    expected = np.nan_to_num(bed.expected_mm)
    lost = expected if kind == FULL else np.maximum(expected - np.nan_to_num(bed.thickness_mm), 0.0)
    codes = np.bincount(bed.code, weights=share, minlength=len(Region) + 1)[1:]
    centre = share @ bed.vertices_mm / area
    defect = Defect(
        defect_id=name,
        region=list(Region)[int(np.argmax(codes))].value,
        icrs_class=grade,
        area_mm2=area,
        mean_depth_pct=mean,
        max_depth_pct=deepest,
        volume_mm3=float(lost @ share),
        centroid_mm=(float(centre[0]), float(centre[1]), float(centre[2])),
        diameter_mm=_diameter(bed.vertices_mm[mask]),
        osteophyte=bool(np.median(bed.rise_mm[mask]) > p.osteophyte_mm),
    )
    return Lesion(defect=defect, kind=kind, mask=mask)


def _diameter(points: FloatArray) -> float:
    """Largest distance between two of ``points`` (N, 3), mm; 0 for a single one."""
    if len(points) <= 1:
        return 0.0
    if len(points) > MOST_POINTS:
        try:
            points = points[ConvexHull(points).vertices]
        except QhullError:
            points = points[:: len(points) // MOST_POINTS]
    return float(pdist(points).max())
