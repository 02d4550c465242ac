"""The permutation test of the arm: exact where few arrangements of the arms are possible, by random draws elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mriseg.compare.arrangements import arrange, count_arrangements, least_p
from mriseg.compare.design import Common
from mriseg.compare.interval import Interval
from mriseg.compare.inversion import invert, invert_freedman_lane
from mriseg.compare.permutation import freedman_lane
from mriseg.types import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmTest:
    """Permutation test of one endpoint: ``p`` of no effect, and the ``interval`` of effects that are not rejected.

    ``interval`` is None where the test was not inverted, or nothing permuted. ``permutations`` counts what the p rests
    on, ``arrangements`` the ways to give these participants their arms within strata; where the test is ``exact`` they
    are the same number. ``least_p`` is the smallest p that could have come out; NaN where nothing was permuted.
    """

    p: float
    interval: Interval | None
    permutations: int
    arrangements: int
    exact: bool
    least_p: float


def permute_arms(
    followup: FloatArray,
    treated: npt.NDArray[np.bool_],
    baseline: FloatArray,
    common: Common,
    *,
    alpha: float | None,
    permutations: int,
    seed: int,
) -> list[ArmTest]:
    """Test the arm by permutation for each of E endpoints that share participants.

    Where the arms can be arranged in no more ways than permutations are asked for (the arrangement that was drawn and
    ``permutations`` others), all are gone through and the p is exact; otherwise residuals are permuted at random.

    Parameters
    ----------
    followup, baseline : array, (N, E)
        Complete values of endpoints that share participants.
    treated : array of bool, (N,)
    common : Common
    alpha : float or None
        One minus the confidence level; None leaves the intervals out.
    permutations, seed : int
        As for `freedman_lane`; without permutations p is NaN and there is no interval.

    Returns
    -------
    list of ArmTest, E of them
    """
    arrays = (followup, treated, baseline, common)
    possible = count_arrangements(treated, common.cells)
    exact = permutations > 0 and possible <= permutations + 1
    if exact:
        tests = arrange(*arrays)
        found = [(test.p(0.0), None if alpha is None else invert(test, alpha)) for test in tests]
        least = least_p(treated, common.cells)
    elif alpha is None:
        ps = freedman_lane(*arrays, permutations=permutations, seed=seed)
        found, least = [(float(p), None) for p in ps], 1 / (1 + permutations)
    else:
        drawn = invert_freedman_lane(*arrays, alpha=alpha, permutations=permutations, seed=seed)
        found, least = [(test.p, test.interval) for test in drawn], 1 / (1 + permutations)
    return [
        ArmTest(
            p=p,
            interval=interval,
            permutations=possible if exact else permutations,
            arrangements=possible,
            exact=exact,
            least_p=least if permutations else float("nan"),
        )
        for p, interval in found
    ]
