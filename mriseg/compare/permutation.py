"""Freedman-Lane permutation test of the arm for many endpoints at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mriseg.compare.design import Common
from mriseg.types import FloatArray, IntArray

BUDGET = 400_000_000  # values moved in one call; about a quarter of a minute
LEAST = 999
CHUNK = 4_000_000
TIED = 1 - 1e-9  # a permuted statistic this close to the observed one is equal to it


def permutations_within(planned: int, participants: int, endpoints: int) -> int:
    """Number of permutations within the work budget: ``planned``, or fewer for very large tables, never below 999."""
    return min(planned, max(LEAST, BUDGET // max(1, participants * endpoints)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cleared:
    """What is left of E endpoints once the model without the arm is taken out of arm and follow-up.

    Parameters
    ----------
    residual, effect : array, (N, E)
        Follow-up, and arm (0 or 1), cleared of the common columns and the baseline: an effect of size d adds
        ``d * effect`` to ``residual``.
    arm, base : array, (N, E)
        The cleared arm, and the baseline cleared of the common columns, both of length 1, or 0 where nothing is left.
    moving : array, (N, K)
        Orthonormal basis of the common columns that are not constant within strata. Residuals permuted within strata
        stay orthogonal to the constant ones, so that only these few need a product.
    """

    residual: FloatArray
    effect: FloatArray
    arm: FloatArray
    base: FloatArray
    moving: FloatArray


def clear(followup: FloatArray, treated: npt.NDArray[np.bool_], baseline: FloatArray, common: Common) -> Cleared:
    """Take baseline and common columns out of follow-up (N, E) and arm (N,), by the Frisch-Waugh-Lovell theorem."""
    basis, _ = np.linalg.qr(common.columns)
    base = _unit(_clear(baseline, basis))
    effect = np.repeat(_clear(treated.astype(float)[:, None], basis), followup.shape[1], axis=1)
    effect = effect - base * (base * effect).sum(axis=0)
    residual = _clear(followup, basis)
    residual = residual - base * (base * residual).sum(axis=0)
    return Cleared(residual=residual, effect=effect, arm=_unit(effect), base=base, moving=_moving(common))


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
    [1]_. Each permutation costs two inner products an endpoint: one with the arm and one with the baseline, both
    cleared of everything else.

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
    cleared = clear(followup, treated, baseline, common)
    total = (cleared.residual**2).sum(axis=0)
    observed = _score(cleared.residual[None], cleared, cleared.moving[:, :0], total)[0]
    hits = np.zeros(followup.shape[1])
    for order in orders(common.cells, permutations, max(1, CHUNK // followup.size), seed):
        hits += (_score(cleared.residual[order], cleared, cleared.moving, total) >= observed * TIED).sum(axis=0)
    p = (1 + hits) / (1 + permutations)
    return np.where(np.isfinite(observed), p, np.nan)


def _clear(values: FloatArray, basis: FloatArray) -> FloatArray:
    """Residuals of the columns of ``values`` (N, E) on an orthonormal ``basis`` (N, Q)."""
    return np.asarray(values - basis @ (basis.T @ values), dtype=np.float64)


def _unit(values: FloatArray) -> FloatArray:
    """Columns scaled to length 1; a column of rounding noise becomes 0."""
    size = np.sqrt((values**2).sum(axis=0))
    floor = 1e-9 * max(1.0, float(size.max(initial=0.0)))
    return np.where(size > floor, values / np.where(size > floor, size, 1), 0.0)


def _score(permuted: FloatArray, cleared: Cleared, moving: FloatArray, total: FloatArray) -> FloatArray:
    """Partial R squared of the arm for residuals (C, N, E): a rising function of t squared, shape (C, E)."""
    along = np.einsum("cne,ne->ce", permuted, cleared.arm) ** 2
    left = total - np.einsum("cne,ne->ce", permuted, cleared.base) ** 2
    left = left - (np.matmul(moving.T, permuted) ** 2).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(along / left, dtype=np.float64)


def _moving(common: Common) -> FloatArray:
    """Orthonormal basis (N, K) of what the common columns hold beyond columns that are constant within strata."""
    firsts, inverse = np.unique(common.cells, return_index=True, return_inverse=True)[1:]
    constant = (common.columns == common.columns[firsts][inverse]).all(axis=0)
    fixed, _ = np.linalg.qr(common.columns[:, constant])
    basis, _ = np.linalg.qr(_clear(common.columns[:, ~constant], fixed))
    return np.asarray(basis, dtype=np.float64)


def orders(cells: IntArray, permutations: int, chunk: int, seed: int) -> Iterator[IntArray]:
    """Yield index arrays (C, N) that permute within cells, ``permutations`` rows in all; ``chunk`` changes nothing."""
    rng = np.random.default_rng(seed)
    ranks = np.unique(cells, return_inverse=True)[1]
    home = np.argsort(ranks, kind="stable")
    for start in range(0, permutations, chunk):
        count = min(chunk, permutations - start)
        permuted = np.empty((count, len(cells)), dtype=np.int64)
        permuted[:, home] = np.argsort(ranks + rng.random((count, len(cells))), axis=1)
        yield permuted
