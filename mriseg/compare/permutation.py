"""Freedman-Lane permutation test of the arm for many endpoints at once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from mriseg.compare.ancova import Ancova, Interval
from mriseg.compare.design import Common
from mriseg.types import FloatArray, IntArray

BUDGET = 400_000_000  # values moved in one call; about a quarter of a minute
LEAST = 999
CHUNK = 4_000_000
INTERVAL_BELOW = 2000  # participants up to which the test is inverted; above, HC3 is as good and far cheaper


def permutations_within(planned: int, participants: int, endpoints: int) -> int:
    """Number of permutations within the work budget: ``planned``, or fewer for very large tables, never below 999."""
    return min(planned, max(LEAST, BUDGET // max(1, participants * endpoints)))


def freedman_lane(
    followup: FloatArray,
    treated: npt.NDArray[np.bool_],
    baseline: FloatArray,
    common: Common,
    *,
    permutations: int,
    seed: int,
) -> FloatArray:
    """Permutation p of the arm, adjusted for baseline and the common columns, one value an endpoint.

    Residuals of the model without the arm are permuted within strata and the t statistic of the arm is computed anew
    [1]_. By the Frisch-Waugh-Lovell theorem each permutation costs two inner products an endpoint: one with the arm
    and one with the baseline, both cleared of everything else.

    Parameters
    ----------
    followup, baseline : array, (N, E)
        Complete values of E endpoints that share participants.
    treated : array of bool, (N,)
    common : Common
        Shared columns and strata of the same rows.
    permutations : int
        0 gives NaN.
    seed : int

    Returns
    -------
    array, (E,)
        ``(1 + hits) / (1 + permutations)``, two-sided; NaN where nothing varies.

    References
    ----------
    .. [1] Freedman & Lane 1983, doi:10.1080/07350015.1983.10509354; Winkler et al. 2014,
       doi:10.1016/j.neuroimage.2014.01.060
    """
    if permutations == 0 or followup.shape[1] == 0:
        return np.full(followup.shape[1], np.nan)
    basis, _ = np.linalg.qr(common.columns)
    base = _unit(_clear(baseline, basis))
    arm = np.repeat(_clear(treated.astype(float)[:, None], basis), followup.shape[1], axis=1)
    arm = _unit(arm - base * (base * arm).sum(axis=0))
    residual = _clear(followup, basis)
    residual = residual - base * (base * residual).sum(axis=0)
    total = (residual**2).sum(axis=0)
    observed = _score(residual[None], arm, base, common.columns[:, :0], total)[0]
    moving = _moving(common)
    hits = np.zeros(followup.shape[1])
    for order in _orders(common.cells, permutations, max(1, CHUNK // followup.size), seed):
        hits += (_score(residual[order], arm, base, moving, total) >= observed * (1 - 1e-9)).sum(axis=0)
    p = (1 + hits) / (1 + permutations)
    return np.where(np.isfinite(observed), p, np.nan)


def permutation_interval(
    followup: FloatArray,
    treated: npt.NDArray[np.bool_],
    baseline: FloatArray,
    common: Common,
    *,
    fit: Ancova,
    alpha: float,
    permutations: int,
    seed: int,
) -> Interval:
    """Interval of all effects that the permutation test does not reject, around the ANCOVA estimate.

    Its coverage holds at small sizes, where HC3 intervals are wider than they need to be. The test is inverted by
    bisection; each side is found to a thousandth of the standard error.

    Parameters
    ----------
    followup, baseline : array, (N,)
        Complete values.
    treated : array of bool, (N,)
    common : Common
    fit : Ancova
        Of the same values; its estimate and equal-variance error start the search.
    alpha : float
        One minus the confidence level.
    permutations, seed : int
        As for `freedman_lane`; 0 gives NaN.

    Returns
    -------
    Interval
        NaN on a side that is not bounded within 50 standard errors.
    """
    estimate, step = fit.effect.estimate, fit.model_se
    if permutations == 0:
        return Interval(estimate=estimate, low=np.nan, high=np.nan)
    arm = treated.astype(np.float64)[:, None]

    def rejected(effects: FloatArray) -> npt.NDArray[np.bool_]:
        shifted = followup[:, None] - arm * effects
        both = np.column_stack([baseline, baseline])
        p = freedman_lane(shifted, treated, both, common, permutations=permutations, seed=seed)
        return np.asarray(p <= alpha, dtype=np.bool_)

    inner = np.array([estimate, estimate])
    outer = np.array([estimate - 50 * step, estimate + 50 * step])
    bounded = rejected(outer)
    nearer = np.array([estimate - 6 * step, estimate + 6 * step])
    outer = np.where(rejected(nearer), nearer, outer)
    for _ in range(16):
        middle = (inner + outer) / 2
        out = rejected(middle)
        inner, outer = np.where(out, inner, middle), np.where(out, middle, outer)
    low, high = np.where(bounded, (inner + outer) / 2, np.nan)
    return Interval(estimate=estimate, low=float(low), high=float(high))


def _clear(values: FloatArray, basis: FloatArray) -> FloatArray:
    """Residuals of the columns of ``values`` (N, E) on an orthonormal ``basis`` (N, Q)."""
    return np.asarray(values - basis @ (basis.T @ values), dtype=np.float64)


def _unit(values: FloatArray) -> FloatArray:
    """Columns scaled to length 1; a column of rounding noise becomes 0."""
    size = np.sqrt((values**2).sum(axis=0))
    floor = 1e-9 * max(1.0, float(size.max(initial=0.0)))
    return np.where(size > floor, values / np.where(size > floor, size, 1), 0.0)


def _score(permuted: FloatArray, arm: FloatArray, base: FloatArray, basis: FloatArray, total: FloatArray) -> FloatArray:
    """Partial R squared of the arm for residuals (C, N, E): a rising function of t squared, shape (C, E)."""
    along = np.einsum("cne,ne->ce", permuted, arm) ** 2
    left = total - np.einsum("cne,ne->ce", permuted, base) ** 2
    left = left - (np.matmul(basis.T, permuted) ** 2).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(along / left, dtype=np.float64)


def _moving(common: Common) -> FloatArray:
    """Orthonormal basis (N, K) of what the common columns hold beyond columns that are constant within strata.

    Residuals permuted within strata stay orthogonal to the constant ones, so that only these few need a product.
    """
    firsts, inverse = np.unique(common.cells, return_index=True, return_inverse=True)[1:]
    constant = (common.columns == common.columns[firsts][inverse]).all(axis=0)
    fixed, _ = np.linalg.qr(common.columns[:, constant])
    basis, _ = np.linalg.qr(_clear(common.columns[:, ~constant], fixed))
    return np.asarray(basis, dtype=np.float64)


def _orders(cells: IntArray, permutations: int, chunk: int, seed: int) -> Iterator[IntArray]:
    """Yield index arrays (C, N) that permute within cells, ``permutations`` rows in all."""
    rng = np.random.default_rng(seed)
    ranks = np.unique(cells, return_inverse=True)[1]
    home = np.argsort(ranks, kind="stable")
    for start in range(0, permutations, chunk):
        count = min(chunk, permutations - start)
        orders = np.empty((count, len(cells)), dtype=np.int64)
        orders[:, home] = np.argsort(ranks + rng.random((count, len(cells))), axis=1)
        yield orders
