"""Yes/no outcomes of one knee: any new denudation, and change beyond what repeats of a scan show."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from mriseg.compare.endpoints import complete_rows
from mriseg.compare.plan import AnalysisPlan, Endpoint
from mriseg.compare.risk import RiskDifference, risk_difference
from mriseg.compare.tables import need_columns, read_numbers
from mriseg.compare.trial import Trial
from mriseg.errors import AnalysisError
from mriseg.types import FloatArray, Region
from mriseg.words import unit_of, word, words

AREA = "dAB"


def smallest_regions(trial: Trial, metric: str) -> list[int]:
    """Columns of the trial that hold ``metric`` in one of the smallest regions, which do not overlap."""
    names = {str(r) for r in Region}
    return [i for i, e in enumerate(trial.endpoints) if e.metric == metric and e.region in names]


def new_denudation(trial: Trial, plan: AnalysisPlan) -> dict[str, Any]:
    """Compare how many knees have a region that was covered at baseline and is denuded at follow-up.

    The smallest regions are looked at, or the primary region where the table has no smaller ones. A region that failed
    at one visit is left out of that knee.

    Returns
    -------
    dict
        ``regions``, ``above_mm2`` and the `RiskDifference` under ``result``.
    """
    columns = smallest_regions(trial, AREA)
    if not columns and plan.metric == AREA:
        columns = [trial.column(plan.primary)]
    if not columns:
        raise AnalysisError("The table holds no denuded area (metric dAB) of single regions.")
    baseline, followup = (trial.values[trial.at(v)][:, columns] for v in (plan.baseline, plan.followup))
    judged = complete_rows(trial, plan)[:, columns].any(axis=1)
    event = ((baseline <= 0) & (followup > plan.new_denudation_mm2)).any(axis=1)
    return {
        "regions": [trial.endpoints[c].region for c in columns],
        "above_mm2": plan.new_denudation_mm2,
        "result": _compare(event[judged], trial.treated[judged], plan.alpha),
    }


def responders(trial: Trial, plan: AnalysisPlan, sdc: pd.DataFrame | None) -> dict[str, Any]:
    """Compare how many knees changed beyond the smallest detectable change, each way.

    Parameters
    ----------
    sdc : DataFrame or None
        Columns region, metric, sdc, as ``mriseg repeatability`` writes them. Without one nobody is a responder.
    """
    if sdc is None:
        raise AnalysisError("No smallest detectable change was given (--sdc); without one nobody is a responder.")
    limit = smallest_detectable(sdc, plan.primary, trial.units[trial.column(plan.primary)])
    rows = complete_rows(trial, plan)[:, trial.column(plan.primary)]
    change: FloatArray = np.subtract(
        *(trial.values[trial.at(v), rows, trial.column(plan.primary)] for v in (plan.followup, plan.baseline))
    )
    treated = trial.treated[rows]
    return {
        "sdc": limit,
        "increase": _compare(change > limit, treated, plan.alpha),
        "decrease": _compare(change < -limit, treated, plan.alpha),
    }


def smallest_detectable(sdc: pd.DataFrame, endpoint: Endpoint, unit: str) -> float:
    """Smallest detectable change of an endpoint, in ``unit``.

    Raises
    ------
    AnalysisError
        The table does not hold one positive number for it in this unit. A table without units is taken at its word.
    """
    table = need_columns(sdc, ["region", "metric", "sdc"], "The SDC table", ["unit", "note"])
    rows = table[(words(table["region"]) == endpoint.region) & (words(table["metric"]) == endpoint.metric)]
    if len(rows) != 1:
        raise AnalysisError(f"The SDC table holds {len(rows)} rows for {endpoint}; expected one.")
    limit = float(read_numbers(rows["sdc"], pd.Series([f"The SDC of {endpoint} is"]))[0])
    if not limit > 0:
        noted = word(rows["note"].iloc[0]) if "note" in rows else ""
        found = "blank" if np.isnan(limit) else f"{limit:g}"
        raise AnalysisError(f"The SDC of {endpoint} is {found}; expected a positive number. {noted}".rstrip())
    given = unit_of(rows["unit"].iloc[0]) if "unit" in rows else ""
    if given and given != unit:
        raise AnalysisError(
            f"The SDC of {endpoint} is in {given}, its values in {unit or 'no unit'}. Bring them to one."
        )
    return limit


def _compare(event: Any, treated: Any, alpha: float) -> RiskDifference:
    """Risk difference of boolean events (N,) between arms (N,)."""
    events = int(event[~treated].sum()), int(event[treated].sum())
    return risk_difference(events, (int((~treated).sum()), int(treated.sum())), alpha=alpha)
