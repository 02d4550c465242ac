"""Difference of two proportions with an exact interval."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from mriseg.compare.interval import Interval
from mriseg.errors import AnalysisError
from mriseg.types import FloatArray

Tail = Callable[[tuple[int, int], tuple[int, int], float], float]
EXACT_TABLES = 40_000
NUISANCE = np.linspace(0, 1, 201)


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskDifference:
    """Share of participants with an event, treated minus reference; ``p`` is Fisher's exact p."""

    n: tuple[int, int]
    events: tuple[int, int]
    effect: Interval
    p: float
    method: str


def risk_difference(events: tuple[int, int], n: tuple[int, int], *, alpha: float = 0.05) -> RiskDifference:
    """Compare two proportions, reference first.

    The interval inverts two one-sided score tests, each with the largest tail over the nuisance proportion, so that
    its coverage is at least the nominal one [1]_. Above 40,000 possible tables the same score tests are inverted
    without the search [2]_, and ``method`` says so.

    Raises
    ------
    AnalysisError
        An arm is empty.

    References
    ----------
    .. [1] Chan & Zhang 1999, doi:10.1111/j.0006-341X.1999.01202.x
    .. [2] Miettinen & Nurminen 1985, doi:10.1002/sim.4780040211
    """
    if min(n) < 1:
        raise AnalysisError(f"{n[0]} reference and {n[1]} treated participant(s) could be judged; both arms need one.")
    exact = (n[0] + 1) * (n[1] + 1) <= EXACT_TABLES
    tail = _exact_tail if exact else _score_tail
    table = np.array([[events[1], n[1] - events[1]], [events[0], n[0] - events[0]]])
    estimate = events[1] / n[1] - events[0] / n[0]
    low = -_upper_limit((events[1], events[0]), (n[1], n[0]), -estimate, tail, alpha)
    high = _upper_limit(events, n, estimate, tail, alpha)
    return RiskDifference(
        n=n,
        events=events,
        effect=Interval(estimate=estimate, low=low, high=high),
        p=float(stats.fisher_exact(table).pvalue),
        method="exact, Chan and Zhang" if exact else "score, Miettinen and Nurminen",
    )


def _upper_limit(events: tuple[int, int], n: tuple[int, int], estimate: float, tail: Tail, alpha: float) -> float:
    """Largest difference (second minus first) that the one-sided test does not reject, by bisection."""
    low, high = estimate, 1.0
    if tail(events, n, 1.0) > alpha / 2:
        return 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if tail(events, n, middle) > alpha / 2 else (low, middle)
    return high


def _z(x0: FloatArray, x1: FloatArray, n: tuple[int, int], difference: float) -> FloatArray:
    """Score statistic of the observed against a given difference (second minus first proportion)."""
    p0, p1 = constrained_proportions(x0, x1, n, difference)
    spread = np.sqrt(p0 * (1 - p0) / n[0] + p1 * (1 - p1) / n[1])
    excess = x1 / n[1] - x0 / n[0] - difference
    with np.errstate(divide="ignore", invalid="ignore"):
        z = excess / spread
    return np.where(np.abs(excess) < 1e-12, 0.0, np.where(spread > 1e-12, z, np.copysign(np.inf, excess)))


def constrained_proportions(
    x0: FloatArray, x1: FloatArray, n: tuple[int, int], difference: float
) -> tuple[FloatArray, FloatArray]:
    """Most likely proportions (first, second) given that second minus first is ``difference``.

    Closed solution of the cubic likelihood equation, Farrington & Manning 1990, doi:10.1002/sim.4780091208.
    """
    theta = n[0] / n[1]
    p1, p0 = x1 / n[1], x0 / n[0]
    a = 1 + theta
    b = -(1 + theta + p1 + theta * p0 + difference * (theta + 2))
    c = difference**2 + difference * (2 * p1 + theta + 1) + p1 + theta * p0
    d = -p1 * difference * (1 + difference)
    v = b**3 / (3 * a) ** 3 - b * c / (6 * a**2) + d / (2 * a)
    u = np.where(v >= 0, 1, -1) * np.sqrt(np.maximum(b**2 / (3 * a) ** 2 - c / (3 * a), 0))
    ratio = np.divide(v, u**3, out=np.zeros_like(v), where=np.abs(u) > 1e-12)
    w = (np.pi + np.arccos(np.clip(ratio, -1, 1))) / 3
    second = np.clip(2 * u * np.cos(w) - b / (3 * a), max(0.0, difference), min(1.0, 1 + difference))
    return second - difference, second


def _exact_tail(events: tuple[int, int], n: tuple[int, int], difference: float) -> float:
    """Largest probability, over the nuisance proportion, of a table at least as low as the observed one."""
    x0, x1 = (a.astype(np.float64) for a in np.meshgrid(np.arange(n[0] + 1), np.arange(n[1] + 1), indexing="ij"))
    z = _z(x0, x1, n, difference)
    low = (z <= z[events[0], events[1]] + 1e-9).astype(np.float64)
    first = NUISANCE[(NUISANCE + difference >= 0) & (NUISANCE + difference <= 1)]
    first = np.append(first, [max(0.0, -difference), min(1.0, 1 - difference)])
    p0 = stats.binom.pmf(np.arange(n[0] + 1), n[0], first[:, None])
    p1 = stats.binom.pmf(np.arange(n[1] + 1), n[1], np.clip(first + difference, 0, 1)[:, None])
    return float(((p0 @ low) * p1).sum(axis=1).max())


def _score_tail(events: tuple[int, int], n: tuple[int, int], difference: float) -> float:
    total = n[0] + n[1]
    z = _z(np.array([float(events[0])]), np.array([float(events[1])]), n, difference)[0]
    return float(stats.norm.cdf(z * np.sqrt((total - 1) / total)))
