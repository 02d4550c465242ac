"""Every endpoint of a trial, one ANCOVA each; endpoints with the same complete participants share permutations."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import stats
from statsmodels.stats.multitest import multipletests

from mriseg.compare.ancova import Ancova, Interval, fit_ancova
from mriseg.compare.design import Common, common_columns
from mriseg.compare.permutation import (
    INTERVAL_BELOW,
    freedman_lane,
    permutation_interval,
    permutations_within,
)
from mriseg.compare.plan import AnalysisPlan, Endpoint
from mriseg.compare.rank import hodges_lehmann
from mriseg.compare.result import ArmChange, EndpointResult
from mriseg.compare.trial import Availability, Trial
from mriseg.errors import AnalysisError
from mriseg.types import ArmComparison, FloatArray

INTERVAL_PERMUTATIONS = 1999


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Group:
    """Endpoints with the same complete participants: ``columns`` of the trial, ``rows`` of its participants."""

    columns: list[int]
    rows: npt.NDArray[np.bool_]


def complete_rows(trial: Trial, plan: AnalysisPlan) -> npt.NDArray[np.bool_]:
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
    results, refused = _compare_group(trial, plan, _Group(columns=[column], rows=rows), "primary")
    if refused:
        raise AnalysisError(f"The primary endpoint {plan.primary} cannot be compared. {refused[str(plan.primary)]}")
    return results[0]


def compare_others(
    trial: Trial, plan: AnalysisPlan
) -> tuple[tuple[EndpointResult, ...], tuple[EndpointResult, ...], dict[str, str]]:
    """Compare declared secondaries and everything else; with the reason of each endpoint that could not be."""
    complete = complete_rows(trial, plan)
    secondary, refused = _compare_many(trial, plan, list(plan.secondary), complete, "secondary")
    rest = [e for e in trial.endpoints if e != plan.primary and e not in plan.secondary]
    exploratory, also_refused = _compare_many(trial, plan, rest, complete, "exploratory")
    return holm(secondary, plan), exploratory, refused | also_refused


def holm(results: tuple[EndpointResult, ...], plan: AnalysisPlan) -> tuple[EndpointResult, ...]:
    """Adjust the ANCOVA p of ``results`` by Holm's method, over all declared secondaries.

    A declared secondary that could not be estimated still counts, with p = 1.
    """
    if not results:
        return results
    unestimated = [1.0] * (len(plan.secondary) - len(results))
    adjusted = multipletests([r.comparison.p_ancova for r in results] + unestimated, method="holm")[1]
    return tuple(replace(r, p_holm=float(p)) for r, p in zip(results, adjusted, strict=False))


def _compare_many(
    trial: Trial, plan: AnalysisPlan, endpoints: list[Endpoint], complete: npt.NDArray[np.bool_], role: str
) -> tuple[tuple[EndpointResult, ...], dict[str, str]]:
    """Results in the order of ``endpoints``, and the reasons of those left out."""
    refused = {str(e): "The table holds no such values." for e in endpoints if e not in trial.endpoints}
    groups: dict[bytes, _Group] = {}
    for column in (trial.column(e) for e in endpoints if e in trial.endpoints):
        rows = complete[:, column]
        groups.setdefault(rows.tobytes(), _Group(columns=[], rows=rows)).columns.append(column)
    found: dict[Endpoint, EndpointResult] = {}
    for group in groups.values():
        results, reasons = _compare_group(trial, plan, group, role)
        found |= {r.endpoint: r for r in results}
        refused |= reasons
    return tuple(found[e] for e in endpoints if e in found), refused


def _compare_group(
    trial: Trial, plan: AnalysisPlan, group: _Group, role: str
) -> tuple[list[EndpointResult], dict[str, str]]:
    """Compare all endpoints of one group, permutations together."""
    rows, treated = group.rows, trial.treated[group.rows]
    names = [trial.endpoints[c] for c in group.columns]
    if not rows.any():
        return [], {str(e): "No participant has both visits." for e in names}
    common = common_columns(trial.people[rows], plan)
    baseline = trial.values[trial.at(plan.baseline)][rows][:, group.columns]
    followup = trial.values[trial.at(plan.followup)][rows][:, group.columns]
    fits: dict[int, Ancova] = {}
    refused: dict[str, str] = {}
    for i, endpoint in enumerate(names):
        try:
            fits[i] = fit_ancova(followup[:, i], treated, baseline[:, i], common, alpha=plan.alpha, power=plan.power)
        except AnalysisError as error:
            refused[str(endpoint)] = str(error)
    kept = list(fits)
    count = permutations_within(plan.permutations, int(rows.sum()), len(kept))
    p = freedman_lane(followup[:, kept], treated, baseline[:, kept], common, permutations=count, seed=plan.seed)
    results = [
        EndpointResult(
            endpoint=names[i],
            role=role,
            comparison=_comparison(names[i], trial, plan, fits[i], permutations=count, p_permutation=float(p_i)),
            ancova=fits[i],
            shift=_shift(baseline[:, i], followup[:, i], treated, plan.alpha),
            within=_within(baseline[:, i], followup[:, i], treated, plan.alpha),
            permutations=count,
            permutation_interval=_inverted(followup[:, i], treated, baseline[:, i], common, fit=fits[i], plan=plan)
            if role == "primary"
            else None,
            p_holm=None,
            log1p=_on_log_scale(baseline[:, i], followup[:, i], treated, common, plan),
            rows=tuple(int(r) for r in np.flatnonzero(rows)),
        )
        for i, p_i in zip(kept, p, strict=True)
    ]
    return results, refused


def _inverted(
    followup: FloatArray,
    treated: npt.NDArray[np.bool_],
    baseline: FloatArray,
    common: Common,
    *,
    fit: Ancova,
    plan: AnalysisPlan,
) -> Interval | None:
    if len(followup) > INTERVAL_BELOW:
        return None
    count = min(plan.permutations, INTERVAL_PERMUTATIONS)
    return permutation_interval(
        followup, treated, baseline, common, fit=fit, alpha=plan.alpha, permutations=count, seed=plan.seed
    )


def _comparison(
    endpoint: Endpoint, trial: Trial, plan: AnalysisPlan, fit: Ancova, *, permutations: int, p_permutation: float
) -> ArmComparison:
    return ArmComparison(
        region=endpoint.region,
        metric=endpoint.metric,
        unit=trial.units[trial.column(endpoint)],
        arms=(plan.reference, plan.treated),
        n=fit.n,
        estimate=fit.effect.estimate,
        ci_low=fit.effect.low,
        ci_high=fit.effect.high,
        p_ancova=fit.p,
        p_permutation=p_permutation,
        detectable_effect=fit.detectable,
        method=_method(plan, fit, permutations),
    )


def _shift(baseline: FloatArray, followup: FloatArray, treated: npt.NDArray[np.bool_], alpha: float) -> Interval:
    change = followup - baseline
    return hodges_lehmann(change[~treated], change[treated], alpha=alpha)


def _within(
    baseline: FloatArray, followup: FloatArray, treated: npt.NDArray[np.bool_], alpha: float
) -> tuple[ArmChange, ArmChange]:
    return _describe(baseline, followup, ~treated, alpha), _describe(baseline, followup, treated, alpha)


def _method(plan: AnalysisPlan, fit: Ancova, permutations: int) -> str:
    beside = ", ".join(["baseline", *plan.covariates, *plan.strata])
    within = " within strata" if plan.strata else ""
    return (
        f"ANCOVA of {plan.followup} on arm, {beside}; HC3 standard error, t with {fit.df} degrees of freedom; "
        f"Freedman-Lane test with {permutations} permutations{within}, seed {plan.seed}"
    )


def _on_log_scale(
    baseline: FloatArray, followup: FloatArray, treated: npt.NDArray[np.bool_], common: Common, plan: AnalysisPlan
) -> Ancova | None:
    if min(baseline.min(), followup.min()) < 0:
        return None
    try:
        return fit_ancova(np.log1p(followup), treated, np.log1p(baseline), common, alpha=plan.alpha, power=plan.power)
    except AnalysisError:
        return None


def _describe(baseline: FloatArray, followup: FloatArray, arm: npt.NDArray[np.bool_], alpha: float) -> ArmChange:
    """Describe the change within one arm (boolean (N,)); no test, since two such verdicts do not compare two arms."""
    change = followup[arm] - baseline[arm]
    n, mean, sd = len(change), float(change.mean()), float(change.std(ddof=1))
    half = float(stats.t.ppf(1 - alpha / 2, n - 1)) * sd / n**0.5
    low, median, high = np.quantile(change, [0.25, 0.5, 0.75])
    return ArmChange(
        n=n,
        baseline_mean=float(baseline[arm].mean()),
        followup_mean=float(followup[arm].mean()),
        mean=Interval(estimate=mean, low=mean - half, high=mean + half),
        sd=sd,
        median=float(median),
        quartiles=(float(low), float(high)),
    )
