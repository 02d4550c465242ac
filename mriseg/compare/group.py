"""Endpoints with the same complete participants, compared together: one ANCOVA each, permutations shared."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mriseg.compare.ancova import Ancova, fit_ancova
from mriseg.compare.arm_test import ArmTest, permute_arms
from mriseg.compare.design import Common, common_columns
from mriseg.compare.permutation import permutations_within
from mriseg.compare.plan import AnalysisPlan, Endpoint
from mriseg.compare.rank import hodges_lehmann
from mriseg.compare.result import EndpointResult, Judgement
from mriseg.compare.trial import Trial
from mriseg.compare.within import arm_changes
from mriseg.errors import AnalysisError
from mriseg.types import ArmComparison, FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Group:
    """Endpoints with the same complete participants: ``columns`` of the trial, ``rows`` of its participants."""

    columns: list[int]
    rows: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Values:
    """Complete values of E endpoints, (N, E), and the arms and common columns of the same participants."""

    baseline: FloatArray
    followup: FloatArray
    treated: npt.NDArray[np.bool_]
    common: Common

    def part(self, rows: tuple[int, ...], columns: list[int]) -> _Values:
        """Keep some participants and endpoints."""
        kept = np.isin(np.arange(len(self.treated)), rows)
        return _Values(
            baseline=self.baseline[kept][:, columns],
            followup=self.followup[kept][:, columns],
            treated=self.treated[kept],
            common=self.common.take(kept),
        )


def compare_group(
    trial: Trial, plan: AnalysisPlan, group: Group, role: str
) -> tuple[list[EndpointResult], dict[str, str]]:
    """Compare all endpoints of a group in the given role, with the reason of each that could not be."""
    names = [trial.endpoints[c] for c in group.columns]
    if not group.rows.any():
        return [], {str(e): "No participant has both visits." for e in names}
    values = _Values(
        baseline=trial.values[trial.at(plan.baseline)][group.rows][:, group.columns],
        followup=trial.values[trial.at(plan.followup)][group.rows][:, group.columns],
        treated=trial.treated[group.rows],
        common=common_columns(trial.people[group.rows], plan),
    )
    fits: dict[int, Ancova] = {}
    refused: dict[str, str] = {}
    for i, endpoint in enumerate(names):
        try:
            fits[i] = _fit(values, i, plan)
        except AnalysisError as error:
            refused[str(endpoint)] = str(error)
    count = permutations_within(plan.permutations, int(group.rows.sum()), len(fits))
    tests = _permute(values, fits, plan, permutations=count, invert=role != "exploratory")
    people = np.flatnonzero(group.rows)
    results = [
        EndpointResult(
            endpoint=names[i],
            role=role,
            comparison=_comparison(names[i], trial, plan, fit, tests[i]),
            judgement=None if role == "exploratory" else _judgement(plan, fit, tests[i]),
            ancova=fit,
            permutation=tests[i],
            p_holm=None,
            rows=tuple(int(r) for r in people[list(fit.rows)]),
            **_described(values.part(fit.rows, [i]), plan),
        )
        for i, fit in fits.items()
    ]
    return results, refused


def _fit(values: _Values, column: int, plan: AnalysisPlan) -> Ancova:
    followup, baseline = values.followup[:, column], values.baseline[:, column]
    return fit_ancova(followup, values.treated, baseline, values.common, alpha=plan.alpha, power=plan.power)


def _permute(
    values: _Values, fits: dict[int, Ancova], plan: AnalysisPlan, *, permutations: int, invert: bool
) -> dict[int, ArmTest]:
    """Test every fitted endpoint; those whose ANCOVA rests on the same participants share their permutations."""
    shared: dict[tuple[int, ...], list[int]] = {}
    for i, fit in fits.items():
        shared.setdefault(fit.rows, []).append(i)
    found: dict[int, ArmTest] = {}
    for rows, columns in shared.items():
        own = values.part(rows, columns)
        arrays = (own.followup, own.treated, own.baseline, own.common)
        alpha = plan.alpha if invert else None
        tests = permute_arms(*arrays, alpha=alpha, permutations=permutations, seed=plan.seed)
        found |= dict(zip(columns, tests, strict=True))
    return found


def _comparison(endpoint: Endpoint, trial: Trial, plan: AnalysisPlan, fit: Ancova, test: ArmTest) -> ArmComparison:
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
        p_permutation=test.p,
        detectable_effect=fit.detectable,
        method=_method(plan, fit, test),
    )


def _judgement(plan: AnalysisPlan, fit: Ancova, test: ArmTest) -> Judgement:
    """Take what the plan lets judge; HC3 where no permutation was drawn."""
    if plan.judged_by == "hc3" or test.interval is None:
        return Judgement(method="hc3", p=fit.p, interval=fit.effect)
    return Judgement(method="permutation", p=test.p, interval=test.interval)


def _method(plan: AnalysisPlan, fit: Ancova, test: ArmTest) -> str:
    baseline = ["baseline"] if fit.adjusted_for_baseline else []
    model = ", ".join(["arm", *baseline, *plan.covariates, *plan.strata])
    within = " within strata" if plan.strata else ""
    drawn = f"Freedman-Lane test with {test.permutations} permutations{within}, seed {plan.seed}"
    exact = f"exact permutation test over all {test.arrangements} arrangements of the arms{within}"
    return (
        f"ANCOVA of {plan.followup} on {model}; HC3 standard error, t with {fit.df} degrees of freedom; "
        f"{exact if test.exact else drawn}"
    )


def _described(values: _Values, plan: AnalysisPlan) -> dict[str, Any]:
    """Figures beside the ANCOVA of one endpoint: shift, change within arms, the same fit on the log scale."""
    before, after = values.baseline[:, 0], values.followup[:, 0]
    change = after - before
    return {
        "shift": hodges_lehmann(change[~values.treated], change[values.treated], alpha=plan.alpha),
        "within": arm_changes(before, after, values.treated, alpha=plan.alpha),
        "log1p": _on_log_scale(values, plan),
    }


def _on_log_scale(values: _Values, plan: AnalysisPlan) -> Ancova | None:
    """Fit one endpoint on log(1 + value); None where a value is negative or nothing can be estimated."""
    if min(values.baseline.min(), values.followup.min()) < 0:
        return None
    logs = replace(values, baseline=np.log1p(values.baseline), followup=np.log1p(values.followup))
    try:
        return _fit(logs, 0, plan)
    except AnalysisError:
        return None
