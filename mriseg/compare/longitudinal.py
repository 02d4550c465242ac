"""More than one follow-up: a mixed model over all visits after baseline."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from mriseg.compare.design import common_columns, independent
from mriseg.compare.interval import Interval, t_interval
from mriseg.compare.plan import AnalysisPlan
from mriseg.compare.reml import fit_repeated
from mriseg.compare.trial import Trial
from mriseg.errors import AnalysisError
from mriseg.types import FloatArray

LEAST_PER_VISIT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitEffect:
    """Effect of the arm at one visit, treated minus reference, with its t interval."""

    visit: str
    n: tuple[int, int]
    effect: Interval
    df: int
    p: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MixedModel:
    """Effect at each visit; ``sd`` (T,) and ``correlation`` (T, T) of what the model leaves over."""

    visits: tuple[VisitEffect, ...]
    sd: tuple[float, ...]
    correlation: tuple[tuple[float, ...], ...]
    method: str


def mixed_model(trial: Trial, plan: AnalysisPlan) -> MixedModel:
    """Fit the primary endpoint at all visits after baseline on arm, baseline, strata and covariates, each by visit.

    Everybody with a baseline and at least one later value enters, which uses the information of those who left early
    as long as values are missing at random. Scatter may differ between visits, and any two visits correlate as they
    do. With nobody missing the effect of each visit is that of its own ANCOVA, with equal variances in the arms.

    Raises
    ------
    AnalysisError
        There is one follow-up alone, a visit has too few knees, or the model does not converge.
    """
    column = trial.column(plan.primary)
    later = [v for v in trial.visits if v != plan.baseline]
    if len(later) < 2:
        raise AnalysisError(f"Only one visit after baseline ({', '.join(later)}); a mixed model needs at least two.")
    baseline = trial.values[trial.at(plan.baseline), :, column]
    values = np.array([trial.values[trial.at(v), :, column] for v in later])
    present = np.isfinite(values) & np.isfinite(baseline)
    entered = np.asarray(present.any(axis=0), dtype=np.bool_)
    counts = [(int((rows & ~trial.treated).sum()), int((rows & trial.treated).sum())) for rows in present]
    for name, count in zip(later, counts, strict=True):
        if min(count) < LEAST_PER_VISIT:
            raise AnalysisError(f"Visit {name} has fewer than {LEAST_PER_VISIT} values in an arm.")
    design = _design(trial, plan, baseline, entered)
    _check(design, present[:, entered], later)
    fit = fit_repeated(np.where(present, values, np.nan)[:, entered], design)
    sd = np.sqrt(np.diag(fit.covariance))
    effects = []
    for i, (name, n) in enumerate(zip(later, counts, strict=True)):
        effect, error, df = float(fit.coefficients[i, 0]), float(fit.errors[i, 0]), sum(n) - design.shape[1]
        p = float(2 * stats.t.sf(abs(effect) / error, df))
        effects.append(VisitEffect(visit=name, n=n, effect=t_interval(effect, error, df, plan.alpha), df=df, p=p))
    return MixedModel(
        visits=tuple(effects),
        sd=tuple(float(s) for s in sd),
        correlation=tuple(tuple(float(c) for c in row) for row in fit.covariance / np.outer(sd, sd)),
        method="REML, free covariance between visits; arm, baseline, strata and covariates by visit",
    )


def _design(trial: Trial, plan: AnalysisPlan, baseline: FloatArray, rows: npt.NDArray[np.bool_]) -> FloatArray:
    """Arm first, then common columns and baseline, of the participants ``rows`` (N,)."""
    others = np.column_stack([common_columns(trial.people[rows], plan).columns, baseline[rows]])
    return np.column_stack([trial.treated[rows].astype(np.float64), others[:, independent(others)[0]]])


def _check(design: FloatArray, present: npt.NDArray[np.bool_], visits: list[str]) -> None:
    """Refuse a visit at which too few were seen for every column of the design."""
    for name, rows in zip(visits, present, strict=True):
        if len(independent(design[rows])[0]) < design.shape[1] or rows.sum() <= design.shape[1]:
            raise AnalysisError(
                f"The {int(rows.sum())} values at visit {name} cannot carry a model of {design.shape[1]} columns: "
                "too few, or an arm or stratum without anybody."
            )
