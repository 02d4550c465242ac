"""The non-central t distribution: detectable effects and intervals of effect sizes."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import optimize, stats
from scipy.special import gammaln, ndtr, stdtrit

from mriseg.compare.interval import Interval
from mriseg.types import FloatArray

NODES = 256
TAIL = 1e-15


@lru_cache(maxsize=4096)
def _chi_nodes(df: int) -> tuple[FloatArray, FloatArray]:
    """Gauss-Legendre nodes and weights of the density of chi / sqrt(df)."""
    x, w = np.polynomial.legendre.leggauss(NODES)
    low, high = float(stats.chi.ppf(TAIL, df)), float(stats.chi.isf(TAIL, df))
    chi = low + (x + 1) * (high - low) / 2
    weights = w * stats.chi.pdf(chi, df) * (high - low) / 2
    return chi / np.sqrt(df), np.asarray(weights / weights.sum(), dtype=np.float64)


def noncentral_t_cdf(t: float, df: int, shift: float) -> float:
    """Probability that a t variable with ``df`` and non-centrality ``shift`` is at most ``t``.

    Integrates the normal distribution over the chi distribution of the standard error; unlike series expansions it
    stays finite for large shifts.
    """
    scale, weight = _chi_nodes(df)
    return float(weight @ ndtr(t * scale - shift))


def power_of_t(shift: float, df: int, *, alpha: float = 0.05) -> float:
    """Power of a two-sided t test whose true effect is ``shift`` standard errors."""
    critical = float(stdtrit(df, 1 - alpha / 2))
    return 1 - noncentral_t_cdf(critical, df, shift) + noncentral_t_cdf(-critical, df, shift)


@lru_cache(maxsize=4096)
def detectable_shift(df: int, *, alpha: float = 0.05, power: float = 0.8) -> float:
    """Smallest true effect, in standard errors, that a two-sided t test finds with ``power``."""
    upper = 1.0
    while power_of_t(upper, df, alpha=alpha) < power:
        upper *= 2
    return float(optimize.brentq(lambda shift: power_of_t(shift, df, alpha=alpha) - power, 0, upper, xtol=1e-10))


def noncentrality(t: float, df: int, quantile: float) -> float:
    """Non-centrality at which the observed ``t`` is the given quantile."""
    spread = 4 * float(np.sqrt(1 + t * t / (2 * df)))
    low = high = t - float(stats.norm.ppf(quantile)) * spread / 4
    while noncentral_t_cdf(t, df, low) < quantile:
        low -= spread
    while noncentral_t_cdf(t, df, high) > quantile:
        high += spread
    return low if low == high else float(optimize.brentq(lambda s: noncentral_t_cdf(t, df, s) - quantile, low, high))


def hedges_correction(df: int) -> float:
    """Factor that takes the bias out of a standardised effect; Hedges 1981, doi:10.3102/10769986006002107."""
    return float(np.exp(gammaln(df / 2) - gammaln((df - 1) / 2) - 0.5 * np.log(df / 2))) if df > 1 else 1.0


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
