"""Analysis of covariance of one endpoint: estimate, robust interval, adjusted means, effect size, detectable effect."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import statsmodels.api as sm
from scipy import stats

from mriseg.compare.design import Common, full_rows, independent
from mriseg.compare.noncentral import detectable_shift, hedges_correction, noncentrality
from mriseg.errors import AnalysisError
from mriseg.types import FloatArray

LEAST_PER_ARM = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """An estimate with its confidence interval, in the unit of the endpoint unless said otherwise."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ancova:
    """What one ANCOVA gives; ``effect`` is treated minus reference.

    ``effect`` and ``p`` rest on HC3 standard errors with ``df`` degrees of freedom, ``model_effect`` and ``model_p`` on
    equal variances. ``means`` are adjusted means, reference first. ``standardised`` is in residual SD, bias-corrected.
    ``detectable`` is the smallest true difference that a two-sided t test with ``model_se`` finds with the planned
    power: a null result rules out nothing smaller.
    """

    n: tuple[int, int]
    effect: Interval
    se: float
    p: float
    model_effect: Interval
    model_se: float
    model_p: float
    df: int
    means: tuple[Interval, Interval]
    residual_sd: float
    r_squared: float
    standardised: Interval
    detectable: float
    notes: tuple[str, ...] = ()


def fit_ancova(
    followup: FloatArray,
    treated: npt.NDArray[np.bool_],
    baseline: FloatArray,
    common: Common,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
) -> Ancova:
    """Fit follow-up on arm, baseline and the common columns by least squares.

    Parameters
    ----------
    followup, baseline : array, (N,)
        Complete values; any unit, both the same.
    treated : array of bool, (N,)
    common : Common
        Intercept, covariates and strata of the same rows.
    alpha, power : float
        Level of interval and test; power of the detectable effect.

    Returns
    -------
    Ancova

    Raises
    ------
    AnalysisError
        An arm holds fewer than two participants, the outcome does not vary, or the arm is confounded.

    References
    ----------
    HC3: MacKinnon & White 1985, doi:10.1016/0304-4076(85)90158-7; Long & Ervin 2000,
    doi:10.1080/00031305.2000.10474549.
    """
    _enough(treated)
    if np.ptp(followup) == 0:
        raise AnalysisError(f"Every follow-up value is {followup[0]:g}: there is no variation to compare.")
    design, grid, notes = _design(treated, baseline, common)
    while not (rows := full_rows(design)).all():
        notes.append(f"{int((~rows).sum())} participant(s) alone in a stratum tell nothing about the arms.")
        kept = independent(design[rows])[0]
        design, grid, followup, treated = design[rows][:, kept], grid[kept], followup[rows], treated[rows]
        _enough(treated)
        if 0 not in kept:
            raise AnalysisError("The arm cannot be told apart from the strata or covariates.")
    return _summarise(followup, treated, design, grid, notes, alpha=alpha, power=power)


def _enough(treated: npt.NDArray[np.bool_]) -> None:
    n = int((~treated).sum()), int(treated.sum())
    if min(n) < LEAST_PER_ARM:
        raise AnalysisError(
            f"Complete values of {n[0]} reference and {n[1]} treated participant(s); "
            f"a comparison needs at least {LEAST_PER_ARM} in each arm."
        )


def _design(
    treated: npt.NDArray[np.bool_], baseline: FloatArray, common: Common
) -> tuple[FloatArray, FloatArray, list[str]]:
    """Arm, common columns, baseline; with the point of adjusted means (arm 0) and notes."""
    others = np.column_stack([common.columns, baseline])
    notes = list(common.notes)
    keep, dropped = independent(others)
    if others.shape[1] - 1 in dropped:
        notes.append("Baseline values do not vary beyond the covariates: the comparison is not adjusted for baseline.")
    design = np.column_stack([treated.astype(float), others[:, keep]])
    if len(independent(design)[0]) < design.shape[1]:
        raise AnalysisError("The arm cannot be told apart from the strata or covariates.")
    grid = np.append(common.grid, baseline.mean())[keep]
    return design, np.append(0.0, grid), notes


def _summarise(
    y: FloatArray,
    treated: npt.NDArray[np.bool_],
    design: FloatArray,
    grid: FloatArray,
    notes: list[str],
    *,
    alpha: float,
    power: float,
) -> Ancova:
    """Turn a least-squares fit into the figures of :class:`Ancova`."""
    if len(y) - design.shape[1] < 1:
        raise AnalysisError(
            f"{len(y)} participants cannot carry a model of {design.shape[1]} columns; use fewer strata or covariates."
        )
    plain = sm.OLS(y, design).fit()
    if plain.ssr <= 1e-18 * float(((y - y.mean()) ** 2).sum()):
        raise AnalysisError("The model fits every value exactly: without residual variation no interval can be given.")
    robust = plain.get_robustcov_results("HC3", use_t=True)
    df = int(plain.df_resid)
    sd = float(np.sqrt(plain.scale))
    grids = [grid.copy(), grid.copy()]
    grids[1][0] = 1.0
    covariance = np.asarray(robust.cov_params())
    means = [_interval(float(g @ plain.params), float(np.sqrt(g @ covariance @ g)), df, alpha) for g in grids]
    se, model_se = float(robust.bse[0]), float(plain.bse[0])
    estimate = float(plain.params[0])
    return Ancova(
        n=(int((~treated).sum()), int(treated.sum())),
        effect=_interval(estimate, se, df, alpha),
        se=se,
        p=float(robust.pvalues[0]),
        model_effect=_interval(estimate, model_se, df, alpha),
        model_se=model_se,
        model_p=float(plain.pvalues[0]),
        df=df,
        means=(means[0], means[1]),
        residual_sd=sd,
        r_squared=float(plain.rsquared),
        standardised=standardised_effect(estimate / model_se, df, model_se / sd, alpha),
        detectable=model_se * detectable_shift(df, alpha=alpha, power=power),
        notes=tuple(notes),
    )


def _interval(estimate: float, se: float, df: int, alpha: float) -> Interval:
    half = float(stats.t.ppf(1 - alpha / 2, df)) * se
    return Interval(estimate=estimate, low=estimate - half, high=estimate + half)


def standardised_effect(t: float, df: int, scale: float, alpha: float = 0.05) -> Interval:
    """Effect in residual SD with Hedges' correction, and its interval from the non-central t distribution.

    Parameters
    ----------
    t : float
        Equal-variance t statistic of the arm.
    df : int
        Residual degrees of freedom.
    scale : float
        Standard error of the arm in residual SD, so that ``t * scale`` is the standardised effect.
    alpha : float
        One minus the confidence level.

    References
    ----------
    Steiger 2004, doi:10.1037/1082-989X.9.2.164
    """
    factor = scale * hedges_correction(df)
    low, high = (noncentrality(t, df, quantile) * factor for quantile in (1 - alpha / 2, alpha / 2))
    return Interval(estimate=t * factor, low=low, high=high)
