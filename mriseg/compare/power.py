"""Sample size and detectable difference, by trials simulated from a pilot and by the t distribution beside them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal

import numpy as np
import numpy.typing as npt

from mriseg.compare.batch import Batch, batch_ancova
from mriseg.compare.noncentral import detectable_shift, power_of_t
from mriseg.compare.pilot import Pilot
from mriseg.errors import AnalysisError
from mriseg.types import FloatArray

LARGEST = 5000
BLOCK = 2_000_000
CLEAR = 3.0  # Monte-Carlo errors from the power aimed at, beyond which a size is judged
MOST_DRAWN = 10_000_000  # knees drawn to judge one size


class Effect(StrEnum):
    """How a treatment acts on the growth of a simulated knee."""

    SHIFT = "shift"  # every treated knee ends lower by the same amount; the reading noise stays
    PROPORTIONAL = "proportional"  # the observed change of every treated knee shrinks, its reading noise too


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A trial to be simulated.

    Parameters
    ----------
    halted : float
        Share of the mean growth that the treatment takes away; 1 is a complete halt.
    time : float
        Length of follow-up in units of the pilot's; mean growth scales with it, scatter stays as the pilot showed.
    dropout : float
        Share lost at random in either arm, 0 to below 1.
    alpha, power : float
        Two-sided level; power aimed at.
    effect : Effect
    judged_by : "permutation" or "hc3"
        Test that judges, as in the analysis plan. The permutation test is stood in for by the equal-variance t test,
        whose power differs by less than two points (measured, docs/statistics.md).
    trials, seed : int
        Number of simulated trials for each figure, and their seed.
    """

    halted: float = 1.0
    time: float = 1.0
    dropout: float = 0.0
    alpha: float = 0.05
    power: float = 0.8
    effect: Effect = Effect.SHIFT
    judged_by: Literal["permutation", "hc3"] = "permutation"
    trials: int = 2000
    seed: int = 1

    def __post_init__(self) -> None:
        if not (0 <= self.dropout < 1 and 0 < self.time < np.inf and self.trials >= 100):
            raise AnalysisError(
                "Dropout lies between 0 and 1, follow-up is positive, and at least 100 trials are needed; found "
                f"{self.dropout}, {self.time} and {self.trials}."
            )
        if not np.isfinite(self.halted):
            raise AnalysisError(f"The effect is a share of the mean growth, such as 0.5; found {self.halted}.")
        if not (0 < self.alpha < 1 and 0 < self.power < 1):
            raise AnalysisError(f"Alpha and power lie between 0 and 1; found {self.alpha} and {self.power}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerPoint:
    """Power at one size: ``simulated`` with its Monte-Carlo standard error, and by the t distribution."""

    per_arm: int
    simulated: float
    error: float
    by_t: float
    detectable: float
    detectable_by_t: float


def difference(pilot: Pilot, scenario: Scenario) -> float:
    """True difference treated minus reference under a scenario, in the unit of the pilot."""
    return -scenario.halted * scenario.time * pilot.growth


def power_at(pilot: Pilot, scenario: Scenario, per_arm: int) -> PowerPoint:
    """Power and detectable difference of a trial of ``per_arm`` randomised participants an arm."""
    null = simulate(pilot, scenario, per_arm, treated_differently=False)
    simulated = _simulated_power(pilot, scenario, per_arm, null)
    se, df = _error(pilot, scenario, per_arm)
    return PowerPoint(
        per_arm=per_arm,
        simulated=simulated,
        error=float(np.sqrt(simulated * (1 - simulated) / scenario.trials)),
        by_t=power_by_t(pilot, scenario, per_arm),
        detectable=_detectable(
            null, scenario, 4 * se * detectable_shift(df, alpha=scenario.alpha, power=scenario.power)
        ),
        detectable_by_t=se * detectable_shift(df, alpha=scenario.alpha, power=scenario.power),
    )


def _simulated_power(pilot: Pilot, scenario: Scenario, per_arm: int, null: Batch | None = None) -> float:
    """Share of the simulated trials that find the effect; ``null`` are those without one, where they are at hand."""
    if scenario.effect is Effect.PROPORTIONAL:
        trials, shift = simulate(pilot, scenario, per_arm, treated_differently=True), 0.0
    else:
        trials = simulate(pilot, scenario, per_arm, treated_differently=False) if null is None else null
        shift = difference(pilot, scenario)
    return float((trials.p(-shift, hc3=scenario.judged_by == "hc3") <= scenario.alpha).mean())


def power_by_t(pilot: Pilot, scenario: Scenario, per_arm: int) -> float:
    """Power by the t distribution with the residual SD of the pilot; nothing is simulated."""
    se, df = _error(pilot, scenario, per_arm)
    return power_of_t(difference(pilot, scenario) / se, df, alpha=scenario.alpha)


def _error(pilot: Pilot, scenario: Scenario, per_arm: int) -> tuple[float, int]:
    """Standard error of the difference and its degrees of freedom, after the expected dropout."""
    left = per_arm * (1 - scenario.dropout)
    return pilot.residual_sd * (2 / left) ** 0.5, max(1, round(2 * left) - 1 - pilot.columns)


def simulate(pilot: Pilot, scenario: Scenario, per_arm: int, *, treated_differently: bool) -> Batch:
    """Fit simulated trials; with ``treated_differently`` the change of treated knees shrinks, else both arms are alike.

    Knees are drawn with replacement. A difference that shifts every treated knee alike moves the estimate by just that
    amount and leaves its standard error, so that it needs no simulation of its own.
    """
    rng = np.random.default_rng([scenario.seed, per_arm])
    treated = np.arange(2 * per_arm) >= per_arm
    parts = []
    for count in _blocks(scenario.trials, 2 * per_arm):
        drawn = rng.integers(len(pilot.baseline), size=(count, 2 * per_arm))
        change = (pilot.followup - pilot.baseline)[drawn] + (scenario.time - 1) * pilot.growth
        if treated_differently:
            change = np.where(treated, (1 - scenario.halted) * change, change)
        baseline = pilot.baseline[drawn]
        present = _stayed(rng, drawn.shape, scenario.dropout, treated)
        parts.append(batch_ancova(baseline, baseline + change, treated, present))
    return Batch(
        **{name: np.concatenate([getattr(p, name) for p in parts]) for name in ("effect", "se", "model_se", "df")}
    )


def _stayed(
    rng: np.random.Generator, shape: tuple[int, ...], dropout: float, treated: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_] | None:
    """Who stays to the end; two an arm always do, since a smaller trial is not analysed."""
    if dropout == 0:
        return None
    stays = rng.random(shape) >= dropout
    for arm in (False, True):
        stays[:, np.flatnonzero(treated == arm)[:2]] = True
    return np.asarray(stays, dtype=np.bool_)


def _blocks(trials: int, width: int) -> list[int]:
    size = max(1, BLOCK // width)
    return [min(size, trials - start) for start in range(0, trials, size)]


def _detectable(null: Batch, scenario: Scenario, upper: float) -> float:
    """Difference that the simulated trials find with the power aimed at, by bisection on the same trials."""
    low, high = 0.0, upper
    for _ in range(40):
        middle = (low + high) / 2
        found = float((null.p(middle, hc3=scenario.judged_by == "hc3") <= scenario.alpha).mean())
        low, high = (middle, high) if found < scenario.power else (low, middle)
    return high


def sample_size(pilot: Pilot, scenario: Scenario, *, simulated: bool = True) -> int | None:
    """Participants an arm that reach the power aimed at, dropout included; None above 5000 an arm.

    Where the power of a size lies within the Monte-Carlo error of the one aimed at, more trials than planned are drawn.
    """

    def reached(per_arm: int) -> bool:
        if simulated:
            return _reaches(pilot, scenario, per_arm)
        return power_by_t(pilot, scenario, per_arm) >= scenario.power

    low, high = 3, 8
    while not reached(high):
        low, high = high, 2 * high
        if high > LARGEST:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high


def _reaches(pilot: Pilot, scenario: Scenario, per_arm: int) -> bool:
    """Whether trials of one size reach the power aimed at, from as many of them as it takes to tell."""
    trials, aim = scenario.trials, scenario.power
    while True:
        power = _simulated_power(pilot, replace(scenario, trials=trials), per_arm)
        clear = abs(power - aim) > CLEAR * (aim * (1 - aim) / trials) ** 0.5
        if clear or 4 * trials * 2 * per_arm > MOST_DRAWN:
            return power >= aim
        trials *= 4


def power_curve(pilot: Pilot, scenario: Scenario, sizes: FloatArray | list[int]) -> list[PowerPoint]:
    """Power at each of ``sizes``, participants an arm."""
    return [power_at(pilot, scenario, int(n)) for n in sizes]
