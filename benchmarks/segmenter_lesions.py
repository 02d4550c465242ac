"""Does the network see the endpoint? Denuded area, its change and single lesions, against the true label maps.

Every label map is measured alone, so that no error of registration enters; a change is that between two such values.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

import numpy as np
from segmenter_planted import Lesion, Planted

from mriseg.errors import MrisegError
from mriseg.measure import measure
from mriseg.segment import Network, segment
from mriseg.types import Defect, FloatArray, LabelMap, Side, VisitMeasurement

PLATES = ("MT", "LT", "cMF", "cLF")
TO_BONE = 4  # ICRS class
SEEN = 0.25  # a lesion is found where a quarter of its area is bare
NEAR_MM = 3.0
LEAST_MM2 = 10.0  # bare spots below are not counted as invented lesions
WORN_PCT, HALF = 8.0, 0.5
Row = dict[str, Any]


def judged_visits(cases: dict[str, Planted], network: Network) -> list[Row]:
    """One row a visit: area and thickness of the plates, true and found, and what became of every lesion."""
    return [{"visit": visit, **judged_visit(case, network)} for visit, case in cases.items()]


def judged_visit(case: Planted, network: Network) -> Row:
    """Segment one image and compare what is measured from both label maps."""
    start = time.process_time()
    result = segment(case.image, side=Side.RIGHT, network=network)
    row: Row = {"cpu_seconds": round(time.process_time() - start, 1), "verdict": result.verdict.value}
    true, found = measured(case.truth), measured(result.label_map)
    if true is None or found is None:
        return row | {"refused": True}
    bare = [d for d in found.defects if d.icrs_class == TO_BONE]
    known = [(d.centroid_mm, d.area_mm2) for d in true.defects if d.icrs_class == TO_BONE]
    known += [(lesion.centre_mm, lesion.area_mm2) for lesion in case.lesions]
    row["invented"] = sum(d.area_mm2 >= LEAST_MM2 and not any(beside(d, *k) for k in known) for d in bare)
    row["lesions"] = [_lesion_row(lesion, bare) for lesion in case.lesions]
    return row | {"true": plate_values(true), "found": plate_values(found)}


def measured(label_map: LabelMap) -> VisitMeasurement | None:
    """What is measured from one label map; None where it is refused."""
    try:
        return measure(label_map, None, None, side=Side.RIGHT).baseline
    except MrisegError:
        return None


def beside(defect: Defect, centre_mm: tuple[float, float, float], area_mm2: float) -> bool:
    """Whether a defect touches a round lesion of that area, or nearly."""
    apart = float(np.linalg.norm(np.subtract(defect.centroid_mm, centre_mm)))
    return apart < float(np.sqrt(defect.area_mm2 / np.pi) + np.sqrt(area_mm2 / np.pi)) + NEAR_MM


def _lesion_row(lesion: Lesion, bare: list[Defect]) -> Row:
    own = [d for d in bare if d.region.endswith(lesion.plate[-2:]) and beside(d, lesion.centre_mm, lesion.area_mm2)]
    return asdict(lesion) | {"found_mm2": sum(d.area_mm2 for d in own)}


def plate_values(visit: VisitMeasurement) -> dict[str, float]:
    """Denuded area (mm2, %) and thickness (mm) of the femorotibial plates and of their sum, by ``region metric``."""
    wanted = {(p, m) for p in (*PLATES, "FT") for m in ("dAB", "dABp", "ThCtAB_aMe")}
    rows = {(str(r.region), str(r.metric)): float(r.value) for r in visit.regions}
    return {f"{region} {metric}": rows[region, metric] for region, metric in sorted(wanted & set(rows))}


def lesion_summary(rows: list[Row]) -> dict[str, Row]:
    """Figures of each kind of image; they come before every figure of overlap."""
    kinds = sorted({r["kind"] for r in rows})
    return {kind: _figures([r for r in rows if r["kind"] == kind and not r.get("refused")]) for kind in kinds}


def _figures(rows: list[Row]) -> Row:
    area, thick = (_pairs(rows, regions, metric) for regions, metric in ((("FT",), "dAB"), (PLATES, "ThCtAB_aMe")))
    worn = _pairs(rows, PLATES, "dABp")
    worn = worn[worn[:, 0] >= WORN_PCT]
    lesions = [lesion for r in rows for lesion in r["lesions"]]
    return {
        "images": len(rows),
        **_errors("dAB mm2", area),
        **{f"change of {k}": v for k, v in _errors("dAB mm2", _changes(rows, ("FT",), "dAB")).items()},
        **_errors("thickness mm", thick),
        **{f"change of {k}": v for k, v in _errors("thickness mm", _changes(rows, PLATES, "ThCtAB_aMe")).items()},
        "worn plates": len(worn),
        "of these called less than half": int((worn[:, 1] < HALF * worn[:, 0]).sum()),
        "lesions found, by size": _shares(lesions, lambda x: _size(x["area_mm2"])),
        "lesions of 50 mm2 and more found, by filling": _shares(
            [x for x in lesions if x["area_mm2"] >= 49], lambda x: x["filling"]
        ),
        "lesions invented in images without any": _mean([r["invented"] for r in rows if r["visit"] == "free"]),
        "lesions invented in all images": _mean([r["invented"] for r in rows]),
    }


def _errors(name: str, pairs: FloatArray) -> dict[str, float]:
    """Bias, mean error without sign and SD of found minus true of (N, 2); nothing where there are no pairs."""
    if not len(pairs):
        return {}
    error = pairs[:, 1] - pairs[:, 0]
    figures = {"bias": error.mean(), "mean error": np.abs(error).mean(), "SD": error.std(ddof=min(1, len(error) - 1))}
    return {f"{name} {key}": round(float(value), 3) for key, value in figures.items()}


def _pairs(rows: Iterable[Row], regions: tuple[str, ...], metric: str) -> FloatArray:
    keys = [f"{region} {metric}" for region in regions]
    both = [(r["true"][k], r["found"][k]) for r in rows for k in keys if k in r["true"] and k in r["found"]]
    return np.array(both, dtype=np.float64).reshape(-1, 2)


def _changes(rows: list[Row], regions: tuple[str, ...], metric: str) -> FloatArray:
    """Follow-up minus baseline, true and found, (N, 2)."""
    visits = {(r["knee"], r["visit"]): r for r in rows}
    pairs = [(visits.get((k, "baseline")), visits.get((k, "followup"))) for k in sorted({r["knee"] for r in rows})]
    parts = [
        _pairs([last], (region,), metric) - _pairs([first], (region,), metric)
        for first, last in pairs
        for region in regions
        if first and last and all(f"{region} {metric}" in v for r in (first, last) for v in (r["true"], r["found"]))
    ]
    return np.concatenate(parts) if parts else np.empty((0, 2))


def _size(area_mm2: float) -> str:
    return "under 50 mm2" if area_mm2 < 49 else "50 to 100 mm2" if area_mm2 < 100 else "over 100 mm2"


def _shares(lesions: list[Row], group: Callable[[Row], str]) -> dict[str, str]:
    """Found of all in each group."""
    members = {g: [x for x in lesions if group(x) == g] for g in sorted({group(x) for x in lesions})}
    return {g: f"{sum(_found(x) for x in own)} of {len(own)}" for g, own in members.items()}


def _found(lesion: Row) -> bool:
    return bool(lesion["found_mm2"] >= SEEN * lesion["area_mm2"])


def _mean(values: list[int]) -> float:
    return round(float(np.mean(values)), 2) if values else float("nan")
