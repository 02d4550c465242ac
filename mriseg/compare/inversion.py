"""The interval that belongs to the Freedman-Lane test: all effects of the arm that it does not reject."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from mriseg.compare.design import Common
from mriseg.compare.interval import Interval
from mriseg.compare.permutation import CHUNK, TIED, Cleared, clear, orders
from mriseg.types import FloatArray

NEAR, FARTHEST = 6.0, 50.0  # standard errors from the estimate where an end is looked for; beyond, there is none
STEPS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Permuted:
    """Permutation test of one endpoint: ``p`` of no effect, and the ``interval`` of effects that are not rejected.

    ``interval`` is None where the test was not inverted, or no permutation drawn.
    """

    p: float
    interval: Interval | None
    permutations: int


class Test(Protocol):
    """A test of any effect of the arm, with the estimate and about one standard error of it."""

    @property
    def estimate(self) -> float:
        """Coefficient of the arm."""

    @property
    def error(self) -> float:
        """About one standard error of the estimate."""

    def p(self, effect: float) -> float:
        """Two-sided p of the hypothesis that the arm adds ``effect``."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Products:
    """Inner products of P permuted residuals (first column) and permuted effects (second) of one endpoint.

    ``arm``, ``base`` (P, 2) and ``moving`` (P, K, 2) are products with the columns of `Cleared`; ``squares`` (2, 2) are
    those of residual and effect with each other, ``observed`` (2,) those with the arm, not permuted.
    """

    arm: FloatArray
    base: FloatArray
    moving: FloatArray
    squares: FloatArray
    observed: FloatArray
    participants: int

    @property
    def estimate(self) -> float:
        """Coefficient of the arm."""
        return float(self.squares[0, 1] / self.squares[1, 1])

    @property
    def error(self) -> float:
        """About one standard error of the estimate."""
        left = float(self.squares[0, 0]) - self.estimate**2 * float(self.squares[1, 1])
        return float(np.sqrt(max(left, 0.0) / self.participants / float(self.squares[1, 1])))

    def p(self, effect: float) -> float:
        """Two-sided p of the hypothesis that the arm adds ``effect``; what it adds is taken out before permuting."""
        out = np.array([1.0, -effect])
        left = float(out @ self.squares @ out) - (self.base @ out) ** 2 - ((self.moving @ out) ** 2).sum(axis=1)
        seen = float(self.observed @ out) ** 2 / float(out @ self.squares @ out)
        with np.errstate(divide="ignore", invalid="ignore"):
            hits = int(((self.arm @ out) ** 2 / left >= seen * TIED).sum())
        return (1 + hits) / (1 + len(self.arm))


def invert_freedman_lane(
    followup: FloatArray,
    treated: npt.NDArray[np.bool_],
    baseline: FloatArray,
    common: Common,
    *,
    alpha: float,
    permutations: int,
    seed: int,
) -> list[Permuted]:
    """Test the arm by `freedman_lane` and invert the test, for each of E endpoints.

    An effect of size d shifts the residuals by d times the cleared arm. Both are permuted once, and the p of any d
    follows from inner products already at hand, so that interval and p rest on the same permutations and never
    contradict each other [1]_. Ends are found by bisection.

    Parameters
    ----------
    followup, baseline : array, (N, E)
        Complete values of endpoints that share participants.
    treated : array of bool, (N,)
    common : Common
    alpha : float
        One minus the confidence level.
    permutations, seed : int
        As for `freedman_lane`; without permutations p is NaN and there is no interval.

    Returns
    -------
    list of Permuted, E of them
        An end is NaN where the test rejects nothing within 50 standard errors on that side; the estimate in each
        interval is that of the ANCOVA.

    References
    ----------
    .. [1] Ernst 2004, doi:10.1214/088342304000000396
    """
    if permutations == 0:
        return [Permuted(p=np.nan, interval=None, permutations=0)] * followup.shape[1]
    products = _products(clear(followup, treated, baseline, common), common, permutations=permutations, seed=seed)
    return [Permuted(p=q.p(0.0), interval=invert(q, alpha), permutations=len(q.arm)) for q in products]


def _products(cleared: Cleared, common: Common, *, permutations: int, seed: int) -> list[_Products]:
    """Permute residuals and effects of every endpoint once."""
    both = np.stack([cleared.residual, cleared.effect], axis=2)
    arm, base, moving = [], [], []
    for order in orders(common.cells, permutations, max(1, CHUNK // max(1, both.size)), seed):
        permuted = both[order]
        arm.append(np.einsum("cnes,ne->ecs", permuted, cleared.arm))
        base.append(np.einsum("cnes,ne->ecs", permuted, cleared.base))
        moving.append(np.einsum("cnes,nk->ecks", permuted, cleared.moving))
    arms, bases, movings = (np.concatenate(part, axis=1) for part in (arm, base, moving))
    return [
        _Products(
            arm=arms[e],
            base=bases[e],
            moving=movings[e],
            squares=both[:, e].T @ both[:, e],
            observed=cleared.arm[:, e] @ both[:, e],
            participants=len(both),
        )
        for e in range(both.shape[1])
    ]


def invert(test: Test, alpha: float) -> Interval:
    """Interval of all effects that a test does not reject; an end is NaN where none is found."""
    low, high = (_end(test, side, alpha) for side in (-1, 1))
    return Interval(estimate=test.estimate, low=low, high=high)


def _end(test: Test, side: int, alpha: float) -> float:
    """Outermost effect on one side (-1 below, 1 above) that is not rejected; NaN where none is found."""
    inner = test.estimate
    reach = (inner + side * steps * test.error for steps in (NEAR, FARTHEST))
    outer = next((effect for effect in reach if test.p(effect) <= alpha), None)
    if outer is None:
        return float("nan")
    for _ in range(STEPS):
        middle = (inner + outer) / 2
        inner, outer = (inner, middle) if test.p(middle) <= alpha else (middle, outer)
    return (inner + outer) / 2
