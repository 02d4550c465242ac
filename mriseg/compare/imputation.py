"""Multiple imputation of the primary endpoint over everybody randomised, and how far it may be wrong."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy import stats

from mriseg.compare.design import common_columns, full_rows, independent
from mriseg.compare.interval import Interval
from mriseg.compare.plan import AnalysisPlan
from mriseg.compare.trial import Trial
from mriseg.errors import AnalysisError
from mriseg.types import FloatArray

DELTAS = np.linspace(-3, 3, 61)  # shifts of imputed values in residual SD


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooled:
    """An effect pooled by Rubin's rules; ``missing_information`` is the fraction of information lost."""

    effect: Interval
    p: float
    df: float
    missing_information: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Imputed:
    """Primary effect over everybody randomised.

    ``imputed`` counts imputed follow-ups by arm, reference first; ``imputed_baselines`` the same for baselines.
    ``tipping`` are shifts of the imputed follow-ups of the treated arm, in the unit of the endpoint, nearest to zero
    at which the verdict at level alpha turns over, downwards and upwards; NaN where none within three residual SD does.
    ``curve`` holds (shift, estimate, low, high, p).
    """

    pooled: Pooled
    n: tuple[int, int]
    imputed: tuple[int, int]
    imputed_baselines: tuple[int, int]
    imputations: int
    tipping: tuple[float, float]
    curve: tuple[tuple[float, float, float, float, float], ...]


def impute(trial: Trial, plan: AnalysisPlan) -> Imputed:
    """Impute missing values by proper draws, then shift the imputed follow-ups until the verdict turns.

    Every draw comes from the posterior of a normal linear model of the complete knees, which assumes that values are
    missing at random [1]_: a follow-up on arm, baseline, strata and covariates; a baseline on the follow-up and the
    same, or, where both are missing, on strata and covariates alone, blind to the arm. The shift drops the assumption
    for the treated arm.

    Raises
    ------
    AnalysisError
        Nothing is missing, the plan asks for no imputation, or too little was observed.

    References
    ----------
    .. [1] Rubin 1987, doi:10.1002/9780470316696; Barnard & Rubin 1999, doi:10.1093/biomet/86.4.948
    """
    column = trial.column(plan.primary)
    pair = np.column_stack([trial.values[trial.at(v), :, column] for v in (plan.baseline, plan.followup)])
    missing = ~np.isfinite(pair)
    if plan.imputations == 0:
        raise AnalysisError("The plan asks for no imputation.")
    if not missing.any():
        raise AnalysisError("Nothing is missing.")
    common = common_columns(trial.people, plan).columns
    arm = trial.treated.astype(np.float64)
    size = _residual_sd(np.column_stack([arm, common, pair[:, 0]]), pair[:, 1], _rows(~missing.any(axis=1)))
    shifts = DELTAS * size
    where = (missing[:, 1] & trial.treated).astype(np.float64)[:, None]
    rng = np.random.default_rng(plan.seed)
    fits = []
    for _ in range(plan.imputations):
        baseline, followup = _complete(pair, arm, common, rng)
        design = np.column_stack([arm, common, baseline])
        design = design[:, independent(design)[0]]
        fits.append(arm_hc3(design, followup[:, None] + where * shifts))
    estimates, variances = (np.array(part) for part in zip(*fits, strict=True))
    df = len(pair) - common.shape[1] - 2
    pooled = [pool(e, v, df, plan.alpha) for e, v in zip(estimates.T, variances.T, strict=True)]
    curve = [(float(d), p) for d, p in zip(shifts, pooled, strict=True)]
    return Imputed(
        pooled=pooled[len(DELTAS) // 2],
        n=_by_arm(np.ones_like(trial.treated), trial.treated),
        imputed=_by_arm(missing[:, 1], trial.treated),
        imputed_baselines=_by_arm(missing[:, 0], trial.treated),
        imputations=plan.imputations,
        tipping=_tipping([(d, p.p) for d, p in curve], plan.alpha),
        curve=tuple((d, p.effect.estimate, p.effect.low, p.effect.high, p.p) for d, p in curve),
    )


def _rows(flags: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    return np.asarray(flags, dtype=np.bool_)


def _by_arm(rows: npt.NDArray[np.bool_], treated: npt.NDArray[np.bool_]) -> tuple[int, int]:
    return int((rows & ~treated).sum()), int((rows & treated).sum())


def _residual_sd(design: FloatArray, y: FloatArray, rows: npt.NDArray[np.bool_]) -> float:
    """Residual SD of ``y`` among the complete ``rows``."""
    x = design[rows][:, independent(design[rows])[0]]
    if len(x) - x.shape[1] < 2:
        raise AnalysisError(f"{len(x)} complete participants cannot carry an imputation model of {x.shape[1]} columns.")
    beta = np.linalg.lstsq(x, y[rows], rcond=None)[0]
    return float(np.sqrt(((y[rows] - x @ beta) ** 2).sum() / (len(x) - x.shape[1])))


def _complete(
    pair: FloatArray, arm: FloatArray, common: FloatArray, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """One completed data set: baseline and follow-up (N,), observed values as they are."""
    missing = ~np.isfinite(pair)
    whole = _rows(~missing.any(axis=1))
    baseline, followup = pair.T.copy()
    known_later = missing[:, 0] & ~missing[:, 1]
    _fill(baseline, np.column_stack([arm, common, followup]), whole, known_later, rng)
    _fill(baseline, common, whole, _rows(missing.all(axis=1)), rng)
    _fill(followup, np.column_stack([arm, common, baseline]), whole, missing[:, 1], rng)
    return baseline, followup


def _fill(
    y: FloatArray,
    design: FloatArray,
    known: npt.NDArray[np.bool_],
    rows: npt.NDArray[np.bool_],
    rng: np.random.Generator,
) -> None:
    """Fill ``rows`` of ``y`` in place by a draw from the posterior predictive of a regression on ``known`` rows."""
    if not rows.any():
        return
    keep = independent(design[known])[0]
    x, target = design[known][:, keep], design[rows][:, keep]
    q, r = np.linalg.qr(x)
    beta = np.linalg.solve(r, q.T @ y[known])
    sigma = np.sqrt(((y[known] - x @ beta) ** 2).sum() / rng.chisquare(len(x) - x.shape[1]))
    beta = beta + sigma * np.linalg.solve(r, rng.standard_normal(len(beta)))
    y[rows] = target @ beta + sigma * rng.standard_normal(len(target))


def arm_hc3(design: FloatArray, outcomes: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Effect and HC3 variance of the first column of ``design`` (N, P) for each column of ``outcomes`` (N, M).

    A participant alone in a stratum (leverage 1) leaves no residual and adds nothing to the variance.
    """
    q, r = np.linalg.qr(design)
    weights = np.linalg.solve(r, q.T)
    slack = np.where(full_rows(design), 1 - (q**2).sum(axis=1), np.inf)
    residuals = outcomes - q @ (q.T @ outcomes)
    scaled = weights[0][:, None] * residuals / slack[:, None]
    return np.asarray(weights[0] @ outcomes, dtype=np.float64), np.asarray((scaled**2).sum(axis=0), dtype=np.float64)


def pool(estimates: FloatArray, variances: FloatArray, df_complete: int, alpha: float) -> Pooled:
    """Pool M estimates by Rubin's rules with the degrees of freedom of Barnard and Rubin."""
    m = len(estimates)
    within, between = float(variances.mean()), float(estimates.var(ddof=1))
    total = within + (1 + 1 / m) * between
    lost = (1 + 1 / m) * between / total
    observed_df = (df_complete + 1) / (df_complete + 3) * df_complete * (1 - lost)
    df = observed_df if lost < 1e-12 else 1 / (1 / observed_df + lost**2 / (m - 1))
    estimate = float(estimates.mean())
    half = float(stats.t.ppf(1 - alpha / 2, df)) * total**0.5
    return Pooled(
        effect=Interval(estimate=estimate, low=estimate - half, high=estimate + half),
        p=float(2 * stats.t.sf(abs(estimate) / total**0.5, df)),
        df=float(df),
        missing_information=lost,
    )


def _tipping(curve: list[tuple[float, float]], alpha: float) -> tuple[float, float]:
    """Shifts nearest to zero, down and up, at which p crosses alpha; interpolated, NaN where it never does."""
    middle = len(curve) // 2
    return _crossing(curve[middle::-1], alpha), _crossing(curve[middle:], alpha)


def _crossing(points: list[tuple[float, float]], alpha: float) -> float:
    for (d0, p0), (d1, p1) in pairwise(points):
        if (p0 < alpha) != (p1 < alpha):
            return d0 + (d1 - d0) * (alpha - p0) / (p1 - p0)
    return float("nan")
