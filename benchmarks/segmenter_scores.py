"""Overlap and distance of masks, and what benchmarks/segmenter.py says of many images together."""

from __future__ import annotations

from typing import Any

import edt
import numpy as np
from segmenter_images import KINDS, PLATES

from mriseg.types import FloatArray, Label

DENUDED_PCT, MISSED_PCT = 15.0, 5.0
Row = dict[str, Any]


def dice(a: np.ndarray, b: np.ndarray) -> float:
    """Overlap of two masks; NaN where both are empty."""
    total = int(a.sum() + b.sum())
    return float(2 * (a & b).sum() / total) if total else float("nan")


def surface_distance_mm(a: np.ndarray, b: np.ndarray, spacing_mm: FloatArray) -> float:
    """Average symmetric distance in mm between the borders of two masks; NaN where one is empty."""
    if not a.any() or not b.any():
        return float("nan")
    box = tuple(slice(max(0, n.min() - 2), n.max() + 3) for n in np.nonzero(a | b))
    step = tuple(spacing_mm.tolist())
    borders, distances = [], []
    for mask in (a[box], b[box]):
        inside = edt.edt(np.ascontiguousarray(mask), anisotropy=step)
        outside = edt.edt(np.ascontiguousarray(~mask), anisotropy=step)
        borders.append(mask & (inside <= 1.01 * max(step)))
        distances.append(np.where(mask, np.maximum(inside - min(step), 0), outside))
    gaps = np.r_[distances[1][borders[0]], distances[0][borders[1]]]
    return float(gaps.mean())


def plate_summary(rows: list[Row]) -> dict[str, float]:
    """Errors of dAB% and mean thickness over the plates of the DESS images, and how many denuded plates were missed."""
    pairs = [(r["truth"], r["found"]) for r in rows if r["kind"] == "dess"]
    both = {m: _paired(pairs, m) for m in ("dABp", "ThCtAB_aMe")}
    denuded, thick = both["dABp"], both["ThCtAB_aMe"]
    if not len(denuded):
        return {}
    bare = denuded[:, 0] > DENUDED_PCT
    return {
        "plates": len(denuded),
        "plates not measured": sum(f"{p} dABp" in t and f"{p} dABp" not in f for t, f in pairs for p in PLATES),
        "dAB% largest error": float(np.abs(denuded[:, 1] - denuded[:, 0]).max()),
        "dAB% mean absolute error": float(np.abs(denuded[:, 1] - denuded[:, 0]).mean()),
        "dAB% within 8 points, share": float((np.abs(denuded[:, 1] - denuded[:, 0]) <= 8).mean()),
        "plates truly above 15 %": int(bare.sum()),
        "of these called below 5 %": int((denuded[bare, 1] < MISSED_PCT).sum()),
        "thickness bias mm": float((thick[:, 1] - thick[:, 0]).mean()),
        "thickness mean absolute error mm": float(np.abs(thick[:, 1] - thick[:, 0]).mean()),
    }


def _paired(pairs: list[tuple[dict[str, float], dict[str, float]]], metric: str) -> FloatArray:
    keys = [f"{plate} {metric}" for plate in PLATES]
    return np.array([(one[k], two[k]) for one, two in pairs for k in keys if k in one and k in two])


def spread(pairs: list[tuple[dict[str, float], dict[str, float]]]) -> dict[str, float]:
    """RMS CV (%) of mean thickness and smallest detectable change of dAB over knees and plates.

    The standard deviation of a pair is |a - b| / sqrt(2); SDC is 1.96 sqrt(2) times its root mean square.
    """
    thick = _paired(pairs, "ThCtAB_aMe")
    refused = sum(not one or not two for one, two in pairs)
    result = {"pairs of plates": float(len(thick)), "knees": len(pairs), "knees that measuring refuses": refused}
    if len(thick):
        cv = np.abs(thick[:, 0] - thick[:, 1]) / np.sqrt(2) / thick.mean(axis=1)
        result["RMS CV of ThCtAB %"] = float(100 * np.sqrt((cv**2).mean()))
    for metric, unit in (("dAB", "mm2"), ("dABp", "points")):
        values = _paired(pairs, metric)
        if len(values):
            result[f"SDC of {metric} {unit}"] = float(1.96 * np.sqrt(((values[:, 0] - values[:, 1]) ** 2).mean()))
    return result


def mean_scores(rows: list[Row]) -> dict[str, dict[str, float]]:
    """Mean Dice and surface distance of each structure by kind of image, and of the DESS images by K-L grade."""
    groups = {f"kind {k}": [r for r in rows if r["kind"] == k] for k in KINDS}
    dess = groups["kind dess"]
    groups |= {f"dess, K-L {g}": [r for r in dess if r["kl"] == g] for g in sorted({str(r["kl"]) for r in dess})}
    names = [f"{m} {label.name.lower()}" for m in ("dice", "assd") for label in Label]
    return {
        group: {"knees": len(chosen), **{n: float(np.nanmean([float(str(r[n])) for r in chosen])) for n in names}}
        for group, chosen in groups.items()
        if chosen
    }
