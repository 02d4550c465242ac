"""True courses of untreated knees, and the noise that a chain of measurement adds to them.

The change of a plate between two readings D years apart has the variance ``2 s^2 + r^2 D^2``: twice the variance of one
reading, and that of the yearly rates. Both are fitted to all pairs of visits of the manual readings. The true rate of a
knee is its own rate over its longest interval, drawn together towards the mean until the rates scatter by ``r``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import nnls

from mriseg.compare.columns import to_regions
from mriseg.compare.pilot import PARTS, READINGS, select_rows
from mriseg.compare.tables import check_values, read_table
from mriseg.types import FloatArray

METRICS = ("dAB", "ThCtAB_aMe", "VC")
SELECTION = ("kl_grade_baseline=2,3,4", "case_control=CONTROL")  # knees that were not replaced later
SHORTEST_YEARS = 2.0
SDC_OF_ONE = 1.96 * 2**0.5  # smallest detectable change over the SD of one measurement


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One endpoint: the plates' metric, how plates become a value at either visit, and the sign of getting worse."""

    metric: str
    worse: int
    score: Callable[[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]


def _sum(plates: slice) -> Callable[[FloatArray, FloatArray], tuple[FloatArray, FloatArray]]:
    return lambda first, last: (first[..., plates].sum(axis=-1), last[..., plates].sum(axis=-1))


def _ordered(first: FloatArray, last: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Baseline value of the plates together, and that plus the largest loss of any plate."""
    base = first.sum(axis=-1)
    return base, base + (last - first).min(axis=-1)


def _thinning(first: FloatArray, last: FloatArray) -> tuple[FloatArray, FloatArray]:
    base = first.sum(axis=-1)
    return base, base + np.minimum(last - first, 0).sum(axis=-1)


ENDPOINTS: Mapping[str, Reading] = {
    "FT dAB, mm2": Reading(metric="dAB", worse=1, score=_sum(slice(None))),
    "MFTC ThCtAB, mm": Reading(metric="ThCtAB_aMe", worse=-1, score=_sum(slice(0, 2))),
    "FT VC, mm3": Reading(metric="VC", worse=-1, score=_sum(slice(None))),
    "largest loss of any plate, mm": Reading(metric="ThCtAB_aMe", worse=-1, score=_ordered),
    "thinning sum, mm": Reading(metric="ThCtAB_aMe", worse=-1, score=_thinning),
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Courses:
    """Baseline (K, 4) and yearly rate (K, 4) of the plates `PARTS` by metric; SD of one reading, (4,) by metric."""

    baseline: Mapping[str, FloatArray]
    rate: Mapping[str, FloatArray]
    noise: Mapping[str, FloatArray]

    @property
    def knees(self) -> int:
        """Number of knees."""
        return len(self.baseline["dAB"])

    def values(self, metric: str, *, years: float) -> FloatArray:
        """True values (K, 4) of the plates after ``years``; nothing falls below zero."""
        return np.maximum(self.baseline[metric] + years * self.rate[metric], 0)

    def described(self) -> dict[str, object]:
        """Mean yearly rate, its SD and the SD of one reading of every plate."""
        return {
            f"{part} {metric}": {
                "mean rate a year": float(self.rate[metric][:, i].mean()),
                "SD of rates": float(self.rate[metric][:, i].std()),
                "SD of one reading": float(self.noise[metric][i]),
            }
            for metric in METRICS
            for i, part in enumerate(PARTS)
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chain:
    """What measures.

    Parameters
    ----------
    name, source : str
        What it is, and where its noise was measured.
    noise : mapping
        SD of one measurement of every plate, (4,) by metric. Bare area that is not there has no noise: readers and
        rules do not invent any in a healthy plate.
    """

    name: str
    source: str
    noise: Mapping[str, FloatArray]

    def seen(
        self, metric: str, first: FloatArray, last: FloatArray, rng: np.random.Generator
    ) -> tuple[FloatArray, FloatArray]:
        """Measured values of both visits for the true ones (..., 4)."""
        if metric != "dAB":
            return tuple(v + rng.normal(size=v.shape) * self.noise[metric] for v in (first, last))  # type: ignore[return-value]
        noisy = [np.where(v > 0, v + rng.normal(size=v.shape) * self.noise[metric], 0) for v in (first, last)]
        return np.maximum(noisy[0], 0), np.maximum(noisy[1], 0)


def read_courses(readings: Path) -> Courses:
    """Fit rates and reading noise of every plate to the manual readings of knees of K-L 2 to 4."""
    rows = select_rows(read_table(readings), SELECTION)
    long = check_values(to_regions(rows, READINGS, "the readings"), "the readings")
    long = long.assign(year=long["visit"].astype(float) / 12).dropna(subset=["value"])
    baseline, rate, noise = {}, {}, {}
    for metric in METRICS:
        tables = [_by_year(long, part, metric) for part in PARTS]
        knees = sorted(set.intersection(*(set(_long_enough(t)) for t in tables)))
        fits = [variance_parts(t) for t in tables]
        noise[metric] = np.array([f[0] ** 0.5 for f in fits])
        baseline[metric] = np.column_stack([t.loc[knees, 0.0] for t in tables])
        rate[metric] = np.column_stack([_rates(t.loc[knees], *f) for t, f in zip(tables, fits, strict=True)])
    shortest = min(len(b) for b in baseline.values())
    assert all(len(b) == shortest for b in baseline.values())
    return Courses(baseline=baseline, rate=rate, noise=noise)


def variance_parts(table: pd.DataFrame) -> tuple[float, float]:
    """Variance of one reading and of yearly rates, from the changes between all pairs of visits of (K, visits).

    Plates that are bare at no visit say nothing of either and are left out.
    """
    table = table[(table.fillna(0) != 0).any(axis=1)]
    pairs = [(b - a, (table[b] - table[a]).dropna()) for a, b in combinations(sorted(table.columns), 2)]
    design = np.array([[2.0, gap**2] for gap, change in pairs if len(change) > 10])
    found = np.array([change.var() for _, change in pairs if len(change) > 10])
    # the standard error of a variance is in proportion to it
    weight = np.sqrt([len(change) for _, change in pairs if len(change) > 10]) / found
    reading, rates = nnls(design * weight[:, None], found * weight)[0]
    return float(reading), float(rates)


def _by_year(long: pd.DataFrame, part: str, metric: str) -> pd.DataFrame:
    chosen = long[(long["region"] == part) & (long["metric"] == metric)]
    return chosen.pivot_table(index=["participant_id", "side"], columns="year", values="value")


def _long_enough(table: pd.DataFrame) -> pd.Index:
    last = table.notna().mul(table.columns.to_numpy()).max(axis=1)
    return table.index[table[0.0].notna() & (last >= SHORTEST_YEARS)]


def _rates(table: pd.DataFrame, reading: float, rates: float) -> FloatArray:
    """Rates over the longest interval, shrunk so that their variance is that of true rates."""
    years = table.notna().mul(table.columns.to_numpy()).max(axis=1).to_numpy(dtype=np.float64)
    last = table.ffill(axis=1).iloc[:, -1].to_numpy(dtype=np.float64)
    raw = (last - table[0.0].to_numpy(dtype=np.float64)) / years
    expected = rates + 2 * reading / years**2
    shrunk = raw.mean() + (raw - raw.mean()) * np.sqrt(rates / expected)
    return np.where(raw == 0, 0.0, shrunk)  # a plate that is never bare stays whole


def chains(courses: Courses, segmenter: Path) -> list[Chain]:
    """Manual reading, and label maps without error: the noise of scans, poses and measuring alone, without a reader."""
    results = json.loads(segmenter.read_text(encoding="utf-8"))
    return [
        Chain(name="manual reading", source="variance of changes in the OAI readings", noise=courses.noise),
        Chain(
            name="label maps without error",
            source="benchmarks/segmenter.py, part repeats",
            noise=_noise(courses, results["repeats"]["true label maps"]),
        ),
    ]


def _noise(courses: Courses, repeats: Mapping[str, float]) -> dict[str, FloatArray]:
    """SD of one measurement of every plate from repeat scans of the same knees."""
    cv = repeats["RMS CV of ThCtAB %"] / 100
    area = np.full(len(PARTS), repeats["SDC of dAB mm2"] / SDC_OF_ONE)
    return {m: cv * courses.baseline[m].mean(axis=0) for m in ("ThCtAB_aMe", "VC")} | {"dAB": area}
