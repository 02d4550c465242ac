"""Hodges-Lehmann shift between two arms with a distribution-free interval."""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy import stats

from mriseg.compare.interval import Interval
from mriseg.types import FloatArray

ALL_PAIRS = 4_000_000
EXACT_BELOW = 50


def hodges_lehmann(reference: FloatArray, treated: FloatArray, *, alpha: float = 0.05) -> Interval:
    """Median of all differences treated minus reference, with the interval of the Mann-Whitney test.

    Parameters
    ----------
    reference, treated : array, (N,), (M,)
        Finite values, usually changes, in any unit. An empty arm gives NaN.
    alpha : float
        One minus the confidence level; exact for fewer than 50 in both arms, by the normal approximation above.

    Returns
    -------
    Interval

    References
    ----------
    Hodges & Lehmann 1963, doi:10.1214/aoms/1177704172; Hollander, Wolfe & Chicken 2014, section 4.2-4.3.
    """
    n, m = len(reference), len(treated)
    if n == 0 or m == 0:
        return Interval(estimate=np.nan, low=np.nan, high=np.nan)
    pairs = n * m
    rank = _lower_rank(n, m, alpha)
    middle = [(pairs - 1) // 2, pairs // 2]
    picked = _order_statistics(reference, treated, [rank, *middle, pairs - 1 - rank])
    return Interval(estimate=(picked[1] + picked[2]) / 2, low=picked[0], high=picked[3])


def _lower_rank(n: int, m: int, alpha: float) -> int:
    """Index of the difference that bounds the interval from below, from 0."""
    if n < EXACT_BELOW and m < EXACT_BELOW:
        rank = int(np.searchsorted(_mann_whitney_cdf(n, m), alpha / 2))
    else:
        rank = round(n * m / 2 - float(stats.norm.ppf(1 - alpha / 2)) * float(np.sqrt(n * m * (n + m + 1) / 12)))
    return max(rank, 1) - 1


@cache
def _mann_whitney_cdf(n: int, m: int) -> FloatArray:
    """Exact null distribution function of the Mann-Whitney statistic, by its Gaussian binomial coefficient."""
    counts = np.zeros(n * m + 1)
    counts[0] = 1.0
    for i in range(1, n + 1):
        grown = counts.copy()
        grown[m + i :] -= counts[: len(counts) - m - i]
        for start in range(i):
            grown[start::i] = np.cumsum(grown[start::i])
        counts = grown
    return np.asarray(np.cumsum(counts) / counts.sum(), dtype=np.float64)


def _order_statistics(reference: FloatArray, treated: FloatArray, ranks: list[int]) -> list[float]:
    """Differences treated - reference of the given ranks, without forming all pairs when there are too many."""
    if len(reference) * len(treated) <= ALL_PAIRS:
        differences = np.subtract.outer(treated, reference).ravel()
        differences.partition(sorted(set(ranks)))
        return [float(differences[rank]) for rank in ranks]
    ordered = np.sort(reference)
    return [_bisect(ordered, treated, rank) for rank in ranks]


def _bisect(ordered: FloatArray, treated: FloatArray, rank: int) -> float:
    """Difference of one rank by bisection on the number of pairs at or below a value."""
    low, high = float(treated.min() - ordered[-1]), float(treated.max() - ordered[0])
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        at_most = int((len(ordered) - np.searchsorted(ordered, treated - middle, side="left")).sum())
        low, high = (low, middle) if at_most > rank else (middle, high)
    return high
