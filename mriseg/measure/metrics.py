"""Figures of each region in the names of Eckstein et al. 2006: areas, volume, thickness."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from scipy.spatial import KDTree

from mriseg.measure.coverage import Cartilage
from mriseg.measure.tuned import FigureParameters
from mriseg.types import Array, Bone, FloatArray, IntArray, Region, RegionValue, RowState

COMPOSITES: dict[str, tuple[str, ...]] = {
    "MT": ("cMT", "aMT", "pMT", "eMT", "iMT"),
    "LT": ("cLT", "aLT", "pLT", "eLT", "iLT"),
    "cMF": ("ecMF", "ccMF", "icMF"),
    "cLF": ("ecLF", "ccLF", "icLF"),
    "P": ("MP", "LP"),
    "MFTC": ("cMT", "aMT", "pMT", "eMT", "iMT", "ecMF", "ccMF", "icMF"),
    "LFTC": ("cLT", "aLT", "pLT", "eLT", "iLT", "ecLF", "ccLF", "icLF"),
    "cMFTC": ("cMT", "ccMF"),
    "cLFTC": ("cLT", "ccLF"),
}
COMPOSITES["FT"] = COMPOSITES["MFTC"] + COMPOSITES["LFTC"]
REGIONS: dict[str, tuple[str, ...]] = {r.value: (r.value,) for r in Region} | COMPOSITES
CENTRAL = frozenset({"cMT", "cLT", "ccMF", "ccLF", "cMFTC", "cLFTC"})
UNITS = {
    "tAB": "mm2",
    "cAB": "mm2",
    "dAB": "mm2",
    "dABp": "%",
    "AC": "mm2",
    "VC": "mm3",
    "VCtAB": "mm",
    "ThCtAB_aMe": "mm",
    "ThCcAB_aMe": "mm",
    "ThCcAB_aNo": "mm",
    "ThCtAB_aSD": "mm",
    "ThCtAB_aMav": "mm",
    "ThCcAB_aMiv": "mm",
}
DEFAULTS = FigureParameters()


def bone_of(region: str) -> frozenset[Bone]:
    """Bones that carry a region or composite, by name."""
    return frozenset(_leaf_bone(leaf) for leaf in REGIONS[region])


def _leaf_bone(leaf: str) -> Bone:
    if leaf in {"MP", "LP"}:
        return Bone.PATELLA
    return Bone.TIBIA if leaf.endswith("T") else Bone.FEMUR


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pieces:
    """Weighted samples of one visit, from which the figures of any set of regions follow.

    Parameters
    ----------
    code, area_mm2, bare_mm2, sheet_mm2, thickness_mm, along_normal_mm : arrays, (V,)
        Vertices of tAB: region code, area, the denuded part of it, the part under cartilage whose thickness counts
        (none on the rim), thickness (0 where denuded), and thickness along the normal (NaN where that finds none).
    outer_code, outer_area_mm2, outer_thickness_mm : arrays, (N,)
        Points of the articular cartilage surface.
    voxels : array, (22,)
        Cartilage volume in mm3 by region code.
    """

    code: IntArray
    area_mm2: FloatArray
    bare_mm2: FloatArray
    sheet_mm2: FloatArray
    thickness_mm: FloatArray
    along_normal_mm: FloatArray
    outer_code: IntArray
    outer_area_mm2: FloatArray
    outer_thickness_mm: FloatArray
    voxels: FloatArray


def pieces(
    vertices_mm: FloatArray,
    code: IntArray,
    cartilage: Cartilage,
    *,
    area_mm2: FloatArray,
    bare_mm2: FloatArray,
    rim: Array,
    thickness_mm: FloatArray,
    without: IntArray,
    near_mm: float = DEFAULTS.near_mm,
) -> Pieces:
    """Assign tAB (vertices with ``code`` above 0), cartilage surface and cartilage voxels to regions.

    What lies nearest to a region that carries no cartilage (codes ``without``) is speckle and belongs to none.
    """
    use = code > 0
    bare = np.minimum(bare_mm2, area_mm2)
    outer_code = np.zeros(len(cartilage.outer_mm), dtype=np.int64)
    voxel_code = np.zeros(len(cartilage.voxels_mm), dtype=np.int64)
    if use.any():
        # Code 0 stands behind the last vertex: what lies too far from all of tAB belongs to none of it.
        tree, codes = KDTree(vertices_mm[use]), np.append(code[use], 0)
        if len(outer_code):
            outer_code = codes[tree.query(cartilage.outer_mm, distance_upper_bound=near_mm, workers=2)[1]]
        if len(voxel_code):
            voxel_code = codes[tree.query(cartilage.voxels_mm, distance_upper_bound=near_mm, workers=2)[1]]
    outer_code[np.isin(outer_code, without)] = 0
    voxel_code[np.isin(voxel_code, without)] = 0
    return Pieces(
        code=code[use],
        area_mm2=area_mm2[use],
        bare_mm2=bare[use],
        sheet_mm2=np.where(rim, 0.0, area_mm2 - bare)[use],
        thickness_mm=thickness_mm[use],
        along_normal_mm=cartilage.along_normal_mm[use],
        outer_code=outer_code,
        outer_area_mm2=cartilage.outer_area_mm2,
        outer_thickness_mm=cartilage.outer_distance_mm,
        voxels=np.bincount(voxel_code, minlength=len(Region) + 1).astype(np.float64) * cartilage.voxel_mm3,
    )


def joined(parts: list[Pieces]) -> Pieces:
    """Put the samples of several bones together; region codes do not overlap between bones."""
    names = [field.name for field in fields(Pieces) if field.name != "voxels"]
    arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return Pieces(**arrays, voxels=np.asarray(np.sum([part.voxels for part in parts], axis=0), dtype=np.float64))


def region_values(region: str, samples: Pieces, parameters: FigureParameters = DEFAULTS) -> tuple[RegionValue, ...]:
    """All figures of one region or composite at one visit; missing where tAB is empty."""
    codes = [Region(leaf).code for leaf in REGIONS[region]]
    use, outer = np.isin(samples.code, codes), np.isin(samples.outer_code, codes)
    if not use.any():
        return blank(region, RowState.MISSING)
    figures = _figures(samples, use, outer, codes, parameters)
    if region not in CENTRAL:
        del figures["ThCcAB_aMiv"]
    return tuple(_row(region, metric, value) for metric, value in figures.items())


def _row(region: str, metric: str, value: float) -> RegionValue:
    state = RowState.MEASURED if np.isfinite(value) else RowState.MISSING
    return RegionValue(region=region, metric=metric, value=value, unit=UNITS[metric], state=state)


def blank(region: str, state: RowState) -> tuple[RegionValue, ...]:
    """Rows without a value, in the named ``state``."""
    metrics = [m for m in UNITS if m != "ThCcAB_aMiv" or region in CENTRAL]
    return tuple(RegionValue(region=region, metric=m, value=float("nan"), unit=UNITS[m], state=state) for m in metrics)


def _figures(
    samples: Pieces, use: Array, outer: Array, codes: list[int], parameters: FigureParameters
) -> dict[str, float]:
    area, sheet, thickness = samples.area_mm2[use], samples.sheet_mm2[use], samples.thickness_mm[use]
    total, bare = float(area.sum()), float(samples.bare_mm2[use].sum())
    cover = total - bare
    volume = float(samples.voxels[codes].sum())
    over_cover = _mean_both_ways(
        _weighted(thickness, sheet), _weighted(samples.outer_thickness_mm[outer], samples.outer_area_mm2[outer])
    )
    over_total = over_cover * cover / total if cover > 0 else 0.0
    mean = _weighted(thickness, sheet) * cover / total if cover > 0 else 0.0
    square = _weighted(thickness**2, sheet) * cover / total if cover > 0 else 0.0
    whole = sheet > parameters.whole * area
    normal = samples.along_normal_mm[use]
    path = np.isfinite(normal)
    return {
        "tAB": total,
        "cAB": cover,
        "dAB": bare,
        "dABp": 100.0 * bare / total if cover > 0 else 100.0,
        "AC": float(samples.outer_area_mm2[outer].sum()),
        "VC": volume,
        "VCtAB": volume / total,
        "ThCtAB_aMe": over_total,
        "ThCcAB_aMe": over_cover,
        "ThCcAB_aNo": _weighted(normal[path], sheet[path]),
        "ThCtAB_aSD": float(np.sqrt(max(square - mean**2, 0.0))),
        "ThCtAB_aMav": _extreme(
            thickness * (sheet / np.maximum(area, 1e-12)), area, part=parameters.extreme, highest=True
        ),
        "ThCcAB_aMiv": _extreme(thickness[whole], area[whole], part=parameters.extreme, highest=False),
    }


def _mean_both_ways(from_bone: float, from_cartilage: float) -> float:
    both = [v for v in (from_bone, from_cartilage) if np.isfinite(v)]
    return float(np.mean(both)) if both else float("nan")


def _weighted(values: FloatArray, weight: FloatArray) -> float:
    total = float(weight.sum())
    return float(values @ weight) / total if total > 0 else float("nan")


def _extreme(values: FloatArray, area: FloatArray, *, part: float, highest: bool) -> float:
    """Mean of the highest or lowest ``part`` of area; NaN where there is none."""
    if len(values) == 0:
        return float("nan")
    order = np.argsort(-values if highest else values, kind="stable")
    before = np.cumsum(area[order]) - area[order]
    take = order[before <= part * area.sum()]
    return _weighted(values[take], area[take])
