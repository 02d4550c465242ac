"""Change within one arm: described, and never judged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mriseg.compare.interval import Interval, t_interval
from mriseg.types import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmChange:
    """Change within one arm: ``mean`` with its t interval, ``median`` and quartiles, in the unit of the endpoint."""

    n: int
    baseline_mean: float
    followup_mean: float
    mean: Interval
    sd: float
    median: float
    quartiles: tuple[float, float]


def arm_changes(
    baseline: FloatArray, followup: FloatArray, treated: npt.NDArray[np.bool_], *, alpha: float
) -> tuple[ArmChange, ArmChange]:
    """Describe the change of each arm, reference first, from complete values (N,) with at least two in each arm.

    No test is made: "significant here, not there" does not compare two arms [1]_.

    References
    ----------
    .. [1] Bland & Altman 2011, doi:10.1186/1745-6215-12-264
    """
    return _describe(baseline[~treated], followup[~treated], alpha), _describe(
        baseline[treated], followup[treated], alpha
    )


def _describe(baseline: FloatArray, followup: FloatArray, alpha: float) -> ArmChange:
    change = followup - baseline
    n, sd = len(change), float(change.std(ddof=1))
    low, median, high = np.quantile(change, [0.25, 0.5, 0.75])
    return ArmChange(
        n=n,
        baseline_mean=float(baseline.mean()),
        followup_mean=float(followup.mean()),
        mean=t_interval(float(change.mean()), sd / n**0.5, n - 1, alpha),
        sd=sd,
        median=float(median),
        quartiles=(float(low), float(high)),
    )
