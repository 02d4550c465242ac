"""More than one follow-up: a mixed model over all visits after baseline."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import statsmodels.api as sm
from scipy import stats

from mriseg.compare.design import common_columns, independent
from mriseg.compare.interval import Interval
from mriseg.compare.plan import AnalysisPlan
from mriseg.compare.trial import Trial
from mriseg.errors import AnalysisError
from mriseg.types import FloatArray

LEAST_PER_VISIT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitEffect:
    """Effect of the arm at one visit, treated minus reference, with a normal interval."""

    visit: str
    n: tuple[int, int]
    effect: Interval
    p: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MixedModel:
    """Random-intercept model: ``participant_sd`` between and ``residual_sd`` within participants."""

    visits: tuple[VisitEffect, ...]
    participant_sd: float
    residual_sd: float
    method: str


def mixed_model(trial: Trial, plan: AnalysisPlan) -> MixedModel:
    """Fit the primary endpoint at all visits after baseline on arm by visit, baseline by visit, strata and covariates.

    Everybody with a baseline and at least one later value enters, which uses the information of those who left early
    as long as values are missing at random.

    Raises
    ------
    AnalysisError
        There is one follow-up alone, a visit has too few knees, or the model does not converge.

    References
    ----------
    Laird & Ware 1982, doi:10.2307/2529876
    """
    column = trial.column(plan.primary)
    later = [v for v in trial.visits if v != plan.baseline]
    if len(later) < 2:
        raise AnalysisError(f"Only one visit after baseline ({', '.join(later)}); a mixed model needs at least two.")
    baseline = trial.values[trial.at(plan.baseline), :, column]
    values = np.array([trial.values[trial.at(v), :, column] for v in later])
    present = np.isfinite(values) & np.isfinite(baseline)
    counts = [(int((rows & ~trial.treated).sum()), int((rows & trial.treated).sum())) for rows in present]
    for name, count in zip(later, counts, strict=True):
        if min(count) < LEAST_PER_VISIT:
            raise AnalysisError(f"Visit {name} has fewer than {LEAST_PER_VISIT} values in an arm.")
    visit, person = np.nonzero(present)
    design = _design(trial, plan, visit, person, baseline)
    fit = _fit(values[visit, person], design, person)
    return MixedModel(
        visits=tuple(
            VisitEffect(visit=name, n=counts[i], **_effect(float(fit.fe_params[i]), float(fit.bse_fe[i]), plan.alpha))
            for i, name in enumerate(later)
        ),
        participant_sd=float(np.sqrt(max(0.0, float(np.asarray(fit.cov_re)[0, 0])))),
        residual_sd=float(np.sqrt(fit.scale)),
        method="REML, random intercept of the participant; arm by visit, baseline by visit",
    )


def _design(
    trial: Trial, plan: AnalysisPlan, visit: npt.NDArray[np.intp], person: npt.NDArray[np.intp], baseline: FloatArray
) -> FloatArray:
    """One row a value: arm at each visit first, then visit, baseline at each visit, strata and covariates."""
    indicators = (visit[:, None] == np.unique(visit)).astype(np.float64)
    people = common_columns(trial.people, plan).columns[person][:, 1:]
    arm = indicators * trial.treated[person][:, None]
    design = np.hstack([arm, indicators, indicators * baseline[person][:, None], people])
    keep, _ = independent(design)
    if keep[: arm.shape[1]] != list(range(arm.shape[1])):
        raise AnalysisError("The arm cannot be told apart from the visits.")
    return np.asarray(design[:, keep], dtype=np.float64)


def _fit(
    y: FloatArray, design: FloatArray, person: npt.NDArray[np.intp]
) -> sm.regression.mixed_linear_model.MixedLMResults:
    """Fit by REML; warnings on the way count only where the fit does not converge."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            fit = sm.MixedLM(y, design, groups=person).fit(reml=True, method=["bfgs", "lbfgs", "powell"])
        except (np.linalg.LinAlgError, ValueError) as error:
            raise AnalysisError(f"The mixed model cannot be fitted: {error}.") from None
    if not fit.converged or not np.isfinite(fit.bse_fe).all():
        raise AnalysisError("The mixed model did not converge; its figures are withheld.")
    return fit


def _effect(estimate: float, se: float, alpha: float) -> dict[str, Any]:
    half = float(stats.norm.ppf(1 - alpha / 2)) * se
    p = float(2 * stats.norm.sf(abs(estimate) / se))
    return {"effect": Interval(estimate=estimate, low=estimate - half, high=estimate + half), "p": p}
