"""Primary endpoint, declared secondaries and the rest: who enters, in which role, and Holm's correction."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from statsmodels.stats.multitest import multipletests

from mriseg.compare.group import Group, compare_group
from mriseg.compare.plan import AnalysisPlan, Endpoint
from mriseg.compare.result import EndpointResult
from mriseg.compare.trial import Availability, Measurements, Trial
from mriseg.errors import AnalysisError


def complete_rows(trial: Measurements, plan: AnalysisPlan) -> npt.NDArray[np.bool_]:
    """Who has both visits of each endpoint, shape (N, E)."""
    both = [trial.availability[trial.at(v)] == Availability.MEASURED for v in (plan.baseline, plan.followup)]
    return np.asarray(both[0] & both[1], dtype=np.bool_)


def compare_endpoint(trial: Trial, plan: AnalysisPlan, *, keep: npt.NDArray[np.bool_] | None = None) -> EndpointResult:
    """Compare the arms on the primary endpoint, among the participants ``keep`` (N,) (default: all).

    Raises
    ------
    AnalysisError
        The primary endpoint cannot be estimated; the reason is its text.
    """
    column = trial.column(plan.primary)
    rows = complete_rows(trial, plan)[:, column]
    rows = rows if keep is None else rows & keep
    results, refused = compare_group(trial, plan, Group(columns=[column], rows=rows), "primary")
    if refused:
        reason = " ".join([refused[str(plan.primary)], *waiting(trial, plan)])
        raise AnalysisError(f"The primary endpoint {plan.primary} cannot be compared. {reason}")
    return results[0]


def waiting(trial: Measurements, plan: AnalysisPlan) -> list[str]:
    """Say how many participants wait for a review of the primary endpoint."""
    states = np.array(
        [trial.availability[trial.at(v), :, trial.column(plan.primary)] for v in (plan.baseline, plan.followup)]
    )
    waiting = int((states == Availability.NEEDS_REVIEW).any(axis=0).sum())
    if waiting == 0:
        return []
    return [
        f"{waiting} participant(s) wait for a review: accept their label maps with `mriseg review`, or plan "
        "include_needs_review = true."
    ]


def compare_others(
    trial: Trial, plan: AnalysisPlan
) -> tuple[tuple[EndpointResult, ...], tuple[EndpointResult, ...], dict[str, str]]:
    """Compare declared secondaries and everything else; with the reason of each endpoint that could not be."""
    complete = complete_rows(trial, plan)
    secondary, refused = _compare_many(trial, plan, list(plan.secondary), complete, "secondary")
    rest = [e for e in (*trial.endpoints, *trial.refused) if e != plan.primary and e not in plan.secondary]
    exploratory, also_refused = _compare_many(trial, plan, rest, complete, "exploratory")
    return holm(secondary, plan), exploratory, refused | also_refused


def holm(results: tuple[EndpointResult, ...], plan: AnalysisPlan) -> tuple[EndpointResult, ...]:
    """Adjust the p that judges ``results`` by Holm's method, over all declared secondaries.

    A declared secondary that could not be estimated still counts, with p = 1.
    """
    if not results:
        return results
    unestimated = [1.0] * (len(plan.secondary) - len(results))
    adjusted = multipletests([r.judgement.p for r in results if r.judgement] + unestimated, method="holm")[1]
    return tuple(replace(r, p_holm=float(p)) for r, p in zip(results, adjusted, strict=False))


def _compare_many(
    trial: Trial, plan: AnalysisPlan, endpoints: list[Endpoint], complete: npt.NDArray[np.bool_], role: str
) -> tuple[tuple[EndpointResult, ...], dict[str, str]]:
    """Results in the order of ``endpoints``, and the reasons of those left out."""
    absent = [e for e in endpoints if e not in trial.endpoints]
    refused = {str(e): trial.refused.get(e, "The table holds no such values.") for e in absent}
    groups: dict[bytes, Group] = {}
    for column in (trial.column(e) for e in endpoints if e in trial.endpoints):
        rows = complete[:, column]
        groups.setdefault(rows.tobytes(), Group(columns=[], rows=rows)).columns.append(column)
    found: dict[Endpoint, EndpointResult] = {}
    for group in groups.values():
        results, reasons = compare_group(trial, plan, group, role)
        found |= {r.endpoint: r for r in results}
        refused |= reasons
    return tuple(found[e] for e in endpoints if e in found), refused
