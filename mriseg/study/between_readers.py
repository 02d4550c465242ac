"""How far two readers agree: on verdicts, on voxels, and on the primary endpoint."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
from statsmodels.stats.inter_rater import cohens_kappa

from mriseg.compare.repeatability import LEAST_KNEES, repeatability
from mriseg.errors import StudyError
from mriseg.study.changes import what_changed
from mriseg.study.model import Study
from mriseg.study.reading import primary_endpoint
from mriseg.study.reviews import ReadVerdict, Review

COLUMNS = ["readers", "measure", "n", "value", "low", "high"]


def kappa_of_verdicts(reviews: tuple[Review, ...]) -> pd.DataFrame:
    """Cohen's kappa of accepting a map or not, for every two readers who judged the same maps of one study.

    The last word of a reader on a map counts. ``value`` is NaN where both readers said the same of every map.

    References
    ----------
    Cohen 1960, doi:10.1177/001316446002000104
    """
    last = {(r.participant_id, r.visit, r.map_sha256, r.reader): r.verdict is ReadVerdict.ACCEPT for r in reviews}
    rows = []
    for one, two in combinations(sorted({key[3] for key in last}), 2):
        both = [k[:3] for k in last if k[3] == one and (*k[:3], two) in last]
        if both:
            table = np.zeros((2, 2))
            for key in both:
                table[int(last[*key, one]), int(last[*key, two])] += 1
            rows.append((f"{one}, {two}", "kappa of verdicts", len(both), *_kappa(table)))
    return pd.DataFrame(rows, columns=COLUMNS)


def _kappa(table: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> tuple[float, float, float]:
    if (table.sum(axis=0) == 0).any() and (table.sum(axis=1) == 0).any():
        return float("nan"), float("nan"), float("nan")
    found = cohens_kappa(table)
    return float(found.kappa), float(found.kappa_low), float(found.kappa_upp)


def agreement_of_studies(first: Study, second: Study) -> pd.DataFrame:
    """Dice of every label (mean over visits) and ICC(2,1) of the primary endpoint, of two readings of one trial.

    Each reader reads a copy of the study, so that neither sees what the other one did.

    Raises
    ------
    StudyError
        Where the two studies share no visit with a label map.
    """
    names = f"{first.paths.root.name}, {second.paths.root.name}"
    shared = _shared(first, second)
    if not shared:
        raise StudyError(f"{names}: no visit has a label map in both studies. Expected two readings of one trial.")
    overlaps = []
    for participant, visit in shared:
        one, two = (s.patient(participant).labels(visit) for s in (first, second))
        if not one.grid.same_as(two.grid):
            raise StudyError(f"{participant} {visit}: the label maps of {names} lie on different grids.")
        overlaps.append(what_changed(one, two)["dice"])
    dice = pd.DataFrame(overlaps, dtype=float)
    rows = [
        (
            names,
            f"Dice of {str(label).replace('_', ' ')}",
            int(dice[label].count()),
            dice[label].mean(),
            *_ends(dice[label]),
        )
        for label in dice
        if dice[label].notna().any()
    ]
    return pd.DataFrame([*rows, *_endpoint(first, second, names)], columns=COLUMNS)


def _shared(first: Study, second: Study) -> list[tuple[str, str]]:
    there = {p.id: set(p.visits) for p in second.patients()}
    return [(p.id, v) for p in first.patients() for v in p.visits if v in there.get(p.id, set())]


def _ends(values: pd.Series[float]) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def _endpoint(first: Study, second: Study, names: str) -> list[tuple[str, str, int, float, float, float]]:
    region, metric = primary_endpoint(first)
    keys = ["participant_id", "visit"]
    tables = [s.table("regions") for s in (first, second)]
    own = [t[(t["region"] == region) & (t["metric"] == metric)].set_index(keys)["value"] for t in tables]
    values = pd.concat(own, axis=1).dropna().to_numpy(dtype=np.float64)
    if len(values) < LEAST_KNEES:
        return []
    found = repeatability(values)
    figures = [
        ("ICC(2,1)", found.icc, found.icc_low, found.icc_high),
        ("SDC", found.sdc, found.sdc_low, found.sdc_high),
    ]
    return [(names, f"{figure} of {region} {metric}", found.n, *ends) for figure, *ends in figures]  # type: ignore[misc]
