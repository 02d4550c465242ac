"""Who is missing, why, and in which arm: counts, CONSORT flow and table 1."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from mriseg.compare.design import numbers_in
from mriseg.compare.people import yes_no
from mriseg.compare.plan import AnalysisPlan
from mriseg.compare.trial import Availability, Trial
from mriseg.errors import AnalysisError
from mriseg.words import known

MOST_LEVELS = 12  # a column of more different words is left out of table 1


def missingness(trial: Trial, plan: AnalysisPlan) -> dict[str, Any]:
    """Availability of the primary endpoint by visit and arm, with Fisher's exact p of "not available" between arms.

    Returns
    -------
    dict
        visit -> ``{"arms": {arm: {reason: count}}, "p_between_arms": float}``. The p describes; it is no endpoint.
    """
    column = trial.column(plan.primary)
    out: dict[str, Any] = {}
    for t, visit in enumerate(trial.visits):
        counts = {arm: _reasons(trial.availability[t, rows, column]) for arm, rows in _arms(trial, plan).items()}
        got = np.array([[c["measured"], sum(c.values()) - c["measured"]] for c in counts.values()])
        out[visit] = {"arms": counts, "p_between_arms": float(stats.fisher_exact(got).pvalue)}
    return out


def _arms(trial: Trial, plan: AnalysisPlan) -> dict[str, npt.NDArray[np.bool_]]:
    return {plan.reference: ~trial.treated, plan.treated: trial.treated}


def _reasons(states: npt.NDArray[np.int8]) -> dict[str, int]:
    order = (Availability.MEASURED, Availability.NOT_SCANNED, Availability.FAILED, Availability.NEEDS_REVIEW)
    counts = {reason.words: int((states == reason).sum()) for reason in order}
    rejected = int((states == Availability.REJECTED).sum())
    return counts | ({Availability.REJECTED.words: rejected} if rejected else {})


def consort_flow(trial: Trial, plan: AnalysisPlan, *, analysed: npt.NDArray[np.bool_], enrolled: int) -> dict[str, Any]:
    """Counts of a CONSORT diagram.

    Parameters
    ----------
    trial : Trial
    plan : AnalysisPlan
    analysed : array of bool, (N,)
        Who entered the primary analysis.
    enrolled : int
        Participants listed in the study, randomised or not.

    Returns
    -------
    dict
        ``enrolled``, ``not_randomised``, ``randomised`` and per arm ``allocated``, the primary endpoint at each of the
        two visits by reason, ``analysed`` and ``excluded`` by its first reason in time.
    """
    column = trial.column(plan.primary)
    first, last = (trial.availability[trial.at(v), :, column] for v in (plan.baseline, plan.followup))
    deciding = np.where(first != Availability.MEASURED, first, last)
    arms = {
        arm: {
            "allocated": int(rows.sum()),
            plan.baseline: _reasons(first[rows]),
            plan.followup: _reasons(last[rows]),
            "analysed": int((analysed & rows).sum()),
            "excluded": _excluded(deciding[rows & ~analysed]),
        }
        for arm, rows in _arms(trial, plan).items()
    }
    n = len(trial.participants)
    return {"enrolled": enrolled, "not_randomised": enrolled - n, "randomised": n, "arms": arms}


def _excluded(states: npt.NDArray[np.int8]) -> dict[str, int]:
    """Count the reasons of those left out; who was measured and is left out has full leverage in the model."""
    return {"full leverage" if k == "measured" else k: v for k, v in _reasons(states).items() if v}


def per_protocol(trial: Trial, plan: AnalysisPlan) -> npt.NDArray[np.bool_] | None:
    """Who belongs to the per-protocol set, (N,); None where the plan names no column."""
    if plan.per_protocol is None:
        return None
    if plan.per_protocol not in trial.people:
        raise AnalysisError(f"participants.tsv lacks the column {plan.per_protocol!r} that the plan names.")
    return yes_no(trial.people[plan.per_protocol], plan.per_protocol).to_numpy(dtype=bool)


def table_one(trial: Trial, plan: AnalysisPlan) -> tuple[dict[str, Any], ...]:
    """Baseline of all randomised by arm: numbers as mean, SD, median and quartiles, text as counts; no tests.

    Each row names ``variable``, ``level`` ('' for a number) and under each arm the figures with the number known; a row
    of a column that is mostly numbers and holds other text has no arms, and says so in ``refused``.
    """
    skipped = {"participant_id", "randomised", plan.per_protocol}
    rows: list[dict[str, Any]] = []
    for name in [c for c in trial.people.columns if c not in skipped]:
        rows += _table_rows(str(name), trial.people[name], trial, plan)
    column = trial.column(plan.primary)
    baseline = pd.Series(trial.values[trial.at(plan.baseline), :, column], index=trial.people.index)
    name = f"{plan.primary} at {plan.baseline}, {trial.units[column]}".removesuffix(", ")
    return (*rows, *_table_rows(name, baseline, trial, plan))


def _table_rows(name: str, column: pd.Series[Any], trial: Trial, plan: AnalysisPlan) -> list[dict[str, Any]]:
    arms = _arms(trial, plan)
    try:
        numbers = numbers_in(column, f"{name} of")
    except AnalysisError as error:
        return [{"variable": name, "level": "", "arms": {}, "refused": str(error)}]
    if numbers is not None:
        found = np.isfinite(numbers)
        return [{"variable": name, "level": "", "arms": {a: _spread(numbers[r & found]) for a, r in arms.items()}}]
    text = known(column)
    levels = sorted(set(text) - {""})
    if len(levels) > MOST_LEVELS:
        return []
    answered = (text != "").to_numpy(dtype=bool)
    return [
        {"variable": name, "level": level, "arms": {a: _share(text[r & answered] == level) for a, r in arms.items()}}
        for level in levels
    ]


def _spread(numbers: npt.NDArray[np.float64]) -> dict[str, float]:
    if len(numbers) == 0:
        return {"n": 0}
    low, median, high = np.quantile(numbers, [0.25, 0.5, 0.75])
    sd = numbers.std(ddof=1) if len(numbers) > 1 else np.nan
    values = {"mean": numbers.mean(), "sd": sd, "median": median, "q1": low, "q3": high}
    return {"n": len(numbers), **{k: float(v) for k, v in values.items()}}


def _share(hits: pd.Series[bool]) -> dict[str, float]:
    return {"n": len(hits), "count": int(hits.sum())}
