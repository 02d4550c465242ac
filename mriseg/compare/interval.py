"""An estimate with its confidence interval."""

from __future__ import annotations

from dataclasses import dataclass

from scipy import stats


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """An estimate with its confidence interval, in the unit of the endpoint unless said otherwise.

    An end is NaN where the method finds no bound on that side.
    """

    estimate: float
    low: float
    high: float


def detectable_from(interval: Interval, *, alpha: float, power: float) -> float:
    """True effect that a two-sided test at ``alpha`` finds with ``power``, about, from the width of its interval.

    For analyses without a standard error of their own; NaN where an end is.
    """
    reach, aim = float(stats.norm.ppf(1 - alpha / 2)), float(stats.norm.ppf(power))
    return (interval.high - interval.low) / 2 * (reach + aim) / reach


def t_interval(estimate: float, se: float, df: float, alpha: float) -> Interval:
    """Interval at level 1 - ``alpha`` from the t distribution with ``df`` degrees of freedom."""
    half = float(stats.t.ppf(1 - alpha / 2, df)) * se
    return Interval(estimate=estimate, low=estimate - half, high=estimate + half)
