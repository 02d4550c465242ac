"""Analysis of covariance of one endpoint: estimate, robust interval, adjusted means, effect size, detectable effect."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import statsmodels.api as sm

from mriseg.compare.design import Common, full_rows, independent
from mriseg.compare.interval import Interval, t_interval
from mriseg.compare.noncentral import detectable_shift, standardised_effect
from mriseg.errors import AnalysisError
from mriseg.types import FloatArray

LEAST_PER_ARM = 2
LARGEST = 1e100  # in any unit; squares of larger values overflow
EXACT = 1e-18  # share of the squares that is rounding noise
ALONE = (
    "{} participant(s) alone in a stratum, or in a level of a covariate, tell nothing about the arms and are left out."
)
LEVERAGE = (
    "{} participant(s) with full leverage, such as the one baseline value that differs from all others, are fitted "
    "exactly, tell nothing about the arms and are left out."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ancova:
    """What one ANCOVA gives; ``effect`` is treated minus reference.

    ``effect`` and ``p`` rest on HC3 standard errors with ``df`` degrees of freedom, ``model_effect`` and ``model_p`` on
    equal variances. ``means`` are adjusted means, reference first. ``standardised`` is in residual SD, bias-corrected.
    ``detectable`` is the smallest true difference that a two-sided t test with ``model_se`` finds with the planned
    power: a null result rules out nothing smaller. ``rows`` are the indices of those who
    entered, among the participants given.
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
    adjusted_for_baseline: bool
    rows: tuple[int, ...]
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
    refuse_hopeless(followup, baseline, common)
    rows, notes = informative_rows(treated, baseline, common)
    if not rows.all():
        followup, treated, baseline, common = followup[rows], treated[rows], baseline[rows], common.take(rows)
    design, grid, more, adjusted = _design(treated, baseline, common)
    fit = _summarise(followup, treated, design, grid, alpha=alpha, power=power)
    entered = tuple(int(i) for i in np.flatnonzero(rows))
    return replace(fit, adjusted_for_baseline=adjusted, rows=entered, notes=(*notes, *more))


def refuse_hopeless(followup: FloatArray, baseline: FloatArray, common: Common) -> None:
    """Refuse values (N,) that no allocation could make comparable; blind to the arm.

    Raises
    ------
    AnalysisError
        Too few for two arms, absurdly large, without variation, or fewer than the columns of the model.
    """
    if len(followup) < 2 * LEAST_PER_ARM:
        raise AnalysisError(
            f"Complete values of {len(followup)} participant(s); a comparison needs at least {LEAST_PER_ARM} in each "
            "arm."
        )
    largest = float(max(np.abs(followup).max(), np.abs(baseline).max()))
    if largest > LARGEST:
        raise AnalysisError(
            f"A value of {largest:g} is beyond anything that can be measured: look for a slip of the pen."
        )
    if np.ptp(followup) == 0:
        raise AnalysisError(f"Every follow-up value is {followup[0]:g}: there is no variation to compare.")
    design = np.column_stack([common.columns, baseline])
    design = design[:, independent(design)[0]]
    _room(len(followup), design.shape[1] + 1)
    residual = followup - design @ np.linalg.lstsq(design, followup, rcond=None)[0]
    _scatter(float((residual**2).sum()), followup)


def _room(n: int, columns: int) -> None:
    if n - columns < 1:
        raise AnalysisError(
            f"{n} participants cannot carry a model of {columns} columns; use fewer strata or covariates."
        )


def _scatter(left: float, y: FloatArray) -> None:
    """Refuse residual squares that are rounding noise beside those of ``y``."""
    if left <= EXACT * float(((y - y.mean()) ** 2).sum()):
        raise AnalysisError("The model fits every value exactly: without residual variation no interval can be given.")


def informative_rows(
    treated: npt.NDArray[np.bool_], baseline: FloatArray, common: Common
) -> tuple[npt.NDArray[np.bool_], list[str]]:
    """Tell who says anything about the arms, (N,), and why the others do not.

    A participant with full leverage is fitted exactly, whatever the follow-up: alone in a stratum, or with the one
    baseline value that differs. Leaving such a participant out changes no estimate, and HC3 is not defined with one.

    Raises
    ------
    AnalysisError
        Fewer than two participants remain in an arm.
    """
    rows = np.ones(len(treated), dtype=np.bool_)
    notes: list[str] = []
    while True:
        part = common.take(rows)
        design = np.column_stack([treated[rows], part.columns, baseline[rows]])
        full = ~full_rows(design[:, independent(design)[0]])
        if not full.any():
            return rows, notes
        alone = full & ~full_rows(part.columns)
        notes += [text.format(int(n)) for n, text in ((alone.sum(), ALONE), ((full & ~alone).sum(), LEVERAGE)) if n]
        rows[np.flatnonzero(rows)[full]] = False
        _enough(treated[rows])


def _enough(treated: npt.NDArray[np.bool_]) -> None:
    n = int((~treated).sum()), int(treated.sum())
    if min(n) < LEAST_PER_ARM:
        raise AnalysisError(
            f"Complete values of {n[0]} reference and {n[1]} treated participant(s); "
            f"a comparison needs at least {LEAST_PER_ARM} in each arm."
        )


def _design(
    treated: npt.NDArray[np.bool_], baseline: FloatArray, common: Common
) -> tuple[FloatArray, FloatArray, list[str], bool]:
    """Arm, common columns, baseline; with the point of adjusted means (arm 0), notes, and whether baseline is in it."""
    others = np.column_stack([common.columns, baseline])
    notes = list(common.notes)
    keep, dropped = independent(others)
    adjusted = others.shape[1] - 1 not in dropped
    if not adjusted:
        notes.append("Baseline values do not vary beyond the covariates: the comparison is not adjusted for baseline.")
    design = np.column_stack([treated.astype(float), others[:, keep]])
    if len(independent(design)[0]) < design.shape[1]:
        raise AnalysisError("The arm cannot be told apart from the strata or covariates.")
    grid = np.append(common.grid, baseline.mean())[keep]
    return design, np.append(0.0, grid), notes, adjusted


def _summarise(
    y: FloatArray,
    treated: npt.NDArray[np.bool_],
    design: FloatArray,
    grid: FloatArray,
    *,
    alpha: float,
    power: float,
) -> Ancova:
    """Turn a least-squares fit into the figures of :class:`Ancova`."""
    _room(len(y), design.shape[1])
    scale = np.append(1.0, np.linalg.norm(design[:, 1:], axis=0))  # a column of large numbers would hide the others
    design, grid = design / scale, grid / scale
    plain = sm.OLS(y, design).fit()
    _scatter(float(plain.ssr), y)
    robust = plain.get_robustcov_results("HC3", use_t=True)
    df = int(plain.df_resid)
    sd = float(np.sqrt(plain.scale))
    grids = [grid.copy(), grid.copy()]
    grids[1][0] = 1.0
    covariance = np.asarray(robust.cov_params())
    errors = [float(np.sqrt(max(g @ covariance @ g, 0.0))) for g in grids]  # a variance of nothing rounds below zero
    means = [t_interval(float(g @ plain.params), error, df, alpha) for g, error in zip(grids, errors, strict=True)]
    se, model_se = float(robust.bse[0]), float(plain.bse[0])
    estimate = float(plain.params[0])
    return Ancova(
        n=(int((~treated).sum()), int(treated.sum())),
        effect=t_interval(estimate, se, df, alpha),
        se=se,
        p=float(robust.pvalues[0]),
        model_effect=t_interval(estimate, model_se, df, alpha),
        model_se=model_se,
        model_p=float(plain.pvalues[0]),
        df=df,
        means=(means[0], means[1]),
        residual_sd=sd,
        r_squared=float(plain.rsquared),
        standardised=standardised_effect(estimate / model_se, df, model_se / sd, alpha),
        detectable=model_se * detectable_shift(df, alpha=alpha, power=power),
        adjusted_for_baseline=True,
        rows=(),
    )
