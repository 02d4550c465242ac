"""The permutation test of few participants: every way to give them their arms, and the exact p and interval from it."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mriseg.compare.design import Common
from mriseg.compare.permutation import TIED, clear
from mriseg.types import FloatArray, IntArray

VANISHED = 1e-12  # squared length a participant, in arms of 0 and 1, below which an arm is rounding noise


def count_arrangements(treated: npt.NDArray[np.bool_], cells: IntArray) -> int:
    """Ways to give N participants their arms, as many treated ones in each stratum as there are."""
    strata = [treated[cells == cell] for cell in np.unique(cells)]
    return math.prod(math.comb(len(arms), int(arms.sum())) for arms in strata)


def least_p(treated: npt.NDArray[np.bool_], cells: IntArray) -> float:
    """Smallest two-sided p of all arrangements; where every stratum halves, two that exchange the arms are alike."""
    halved = all(2 * treated[cells == cell].sum() == (cells == cell).sum() for cell in np.unique(cells))
    return (2 if halved else 1) / count_arrangements(treated, cells)


def every_arrangement(treated: npt.NDArray[np.bool_], cells: IntArray) -> npt.NDArray[np.bool_]:
    """All arrangements, shape (A, N), True in the treated arm; within strata as many as in ``treated``."""
    strata = [np.flatnonzero(cells == cell) for cell in np.unique(cells)]
    choices = [itertools.combinations(members, int(treated[members].sum())) for members in strata]
    rows = [list(itertools.chain(*chosen)) for chosen in itertools.product(*choices)]
    arms = np.zeros((len(rows), len(treated)), dtype=np.bool_)
    for row, chosen in zip(arms, rows, strict=True):
        row[chosen] = True
    return arms


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Arranged:
    """What A arrangements make of one endpoint.

    ``along`` (A, 2) are products of each arrangement, cleared of common columns and baseline and brought to length 1,
    with the cleared residuals (first) and the cleared arm as it was (second); ``observed`` (2,) those of the arm as it
    was. An arrangement that the common columns explain has NaN: it counts as extreme, since nothing could be told then.
    """

    along: FloatArray
    observed: FloatArray
    estimate: float
    error: float

    def p(self, effect: float) -> float:
        """Two-sided exact p of the hypothesis that the arm adds ``effect`` to everybody; NaN where nothing varies."""
        out = np.array([1.0, -effect])
        seen = abs(float(self.observed @ out))
        less = np.abs(self.along @ out) < seen * TIED
        return float((~less).mean()) if np.isfinite(seen) else float("nan")


def arrange(
    followup: FloatArray, treated: npt.NDArray[np.bool_], baseline: FloatArray, common: Common
) -> list[Arranged]:
    """Enumerate the arrangements for each of E endpoints, follow-up and baseline (N, E).

    The statistic is the partial correlation of arm and follow-up given baseline and common columns, the same rising
    function of t squared as in `mriseg.compare.permutation.freedman_lane`. Arms change places, values stay: the test is
    exact whatever the values are, where the arms were drawn within strata [1]_.

    References
    ----------
    .. [1] Rosenbaum 2002, doi:10.1214/ss/1042727942; Ernst 2004, doi:10.1214/088342304000000396
    """
    cleared = clear(followup, treated, baseline, common)
    basis, _ = np.linalg.qr(common.columns)
    arms = every_arrangement(treated, common.cells).astype(np.float64)
    arms = arms - (arms @ basis) @ basis.T
    found = []
    for base, residual, effect in zip(cleared.base.T, cleared.residual.T, cleared.effect.T, strict=True):
        length = (arms**2).sum(axis=1) - (arms @ base) ** 2
        length = np.where(length > VANISHED * len(treated), length, np.nan)
        both = np.column_stack([residual, effect])
        own = float(effect @ effect)
        own = own if own > VANISHED * len(treated) and residual.any() else np.nan
        estimate = float(residual @ effect) / own
        left = float(residual @ residual) - estimate**2 * own
        found.append(
            Arranged(
                along=(arms @ both) / np.sqrt(length)[:, None],
                observed=(effect @ both) / np.sqrt(own),
                estimate=estimate,
                error=float(np.sqrt(np.maximum(left, 0.0) / len(treated) / own)),
            )
        )
    return found
