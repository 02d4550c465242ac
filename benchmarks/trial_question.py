"""Could 12 against 12 knees have answered the question after six months? Simulated trials through the noise of a chain.

Usage: python benchmarks/trial_question.py [FOLDER_OF_REAL_DATA] [--trials 200]

Knees of K-L 2 to 4 grow as the manual readings of the Osteoarthritis Initiative say (`trial_courses.py`), and are
measured with the noise of manual reading, or of label maps without error (the floor of any segmenter). Writes
benchmarks/results/trial_question.json, from which docs/trial-question.md takes its tables.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats
from trial_courses import ENDPOINTS, Chain, Courses, chains, read_courses

from mriseg.compare.batch import Batch, batch_ancova
from mriseg.compare.design import Common
from mriseg.compare.permutation import freedman_lane
from mriseg.types import FloatArray

HERE = Path(__file__).parent
TARGET = HERE / "results" / "trial_question.json"
MONTHS = (6, 12, 24)
LARGEST = 3000  # participants an arm beyond which no trial of this kind is run


@dataclass(frozen=True, slots=True, kw_only=True)
class Trials:
    """Values of T trials of 2 n knees, (T, 2 n) at both visits; ``truth`` is what treatment makes of the mean."""

    baseline: FloatArray
    followup: FloatArray
    treated: FloatArray
    truth: float

    def fit(self) -> Batch:
        """ANCOVA of every trial."""
        return batch_ancova(self.baseline, self.followup, self.treated > 0)

    def permuted(self, shift: float = 0.0) -> FloatArray:
        """Permutation p of every trial for the hypothesis that the difference is ``shift``."""
        n = self.treated.size
        common = Common(columns=np.ones((n, 1)), names=("i",), grid=np.ones(1), cells=np.zeros(n, dtype=int), notes=())
        moved = self.followup - shift * self.treated
        return freedman_lane(moved.T, self.treated > 0, self.baseline.T, common, permutations=1999, seed=2)


def draw(
    courses: Courses, chain: Chain, endpoint: str, *, years: float, per_arm: int, trials: int, halted: float, seed: int
) -> Trials:
    """Draw trials in which treatment takes away the share ``halted`` of each knee's own true change."""
    rng = np.random.default_rng([seed, per_arm, round(12 * years)])
    knees = rng.integers(courses.knees, size=(trials, 2 * per_arm))
    treated = (np.arange(2 * per_arm) >= per_arm).astype(float)
    reading = ENDPOINTS[endpoint]
    true = {v: courses.values(reading.metric, years=v * years) for v in (0, 1)}
    halfway = true[0] + (1 - halted) * (true[1] - true[0])
    last = np.where(treated[None, :, None] > 0, halfway[knees], true[1][knees])
    baseline, followup = reading.score(*chain.seen(reading.metric, true[0][knees], last, rng))
    truth = np.subtract(reading.score(true[0], halfway)[1], reading.score(true[0], true[1])[1]).mean()
    return Trials(baseline=baseline, followup=followup, treated=treated, truth=float(truth))


def one_size(
    courses: Courses, chain: Chain, endpoint: str, months: int, *, trials: int, per_arm: int = 12
) -> dict[str, float]:
    """Power, bias and coverage of a complete halt, and what null trials of the same size say."""
    common = {"years": months / 12, "per_arm": per_arm, "trials": trials}
    halted = draw(courses, chain, endpoint, halted=1.0, seed=11, **common)
    null = draw(courses, chain, endpoint, halted=0.0, seed=12, **common)
    fit = halted.fit()
    return {
        "true difference": halted.truth,
        "power %": 100 * float((halted.permuted() <= 0.05).mean()),
        "bias": float(fit.effect.mean() - halted.truth),
        "standard error": float(fit.effect.std()),
        "coverage %": 100 * float((halted.permuted(halted.truth) > 0.05).mean()),
        "null trials significant %": 100 * float((null.permuted() <= 0.05).mean()),
        "null trials: control worse, treated not significant %": pair_of_statements(null, endpoint),
        "halted trials: control worse, treated not significant %": pair_of_statements(halted, endpoint),
    }


def pair_of_statements(trials: Trials, endpoint: str) -> float:
    """Share of trials, in percent, that read "no change under treatment, significantly worse in controls"."""
    change = ENDPOINTS[endpoint].worse * (trials.followup - trials.baseline)
    arms = [stats.ttest_1samp(change[:, trials.treated == arm], 0, axis=1) for arm in (0, 1)]
    worse = (arms[0].pvalue < 0.05) & (arms[0].statistic > 0)
    return 100 * float((worse & (arms[1].pvalue >= 0.05)).mean())


def sample_size(courses: Courses, chain: Chain, endpoint: str, months: int, *, halted: float) -> int | None:
    """Participants an arm that find the effect in 80 % of 1,000 trials (equal-variance t); None above 3,000."""

    def found(per_arm: int) -> bool:
        drawn = draw(courses, chain, endpoint, years=months / 12, per_arm=per_arm, trials=1000, halted=halted, seed=13)
        return bool((drawn.fit().p() <= 0.05).mean() >= 0.8)

    low, high = 3, 8
    while not found(high):
        low, high = high, 2 * high
        if high > LARGEST:
            return None
    while high - low > max(1, low // 50):
        middle = (low + high) // 2
        low, high = (low, middle) if found(middle) else (middle, high)
    return high


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = HERE.parent.parent / "shared" / "data"
    parser.add_argument("real", nargs="?", type=Path, default=Path(os.environ.get("MRISEG_REAL_DATA", default)))
    parser.add_argument("--trials", type=int, default=200)
    options = parser.parse_args()
    courses = read_courses(options.real / "oai_manual_readings.tsv")
    results: dict[str, object] = {"knees": courses.knees, "trials": options.trials, "readings": courses.described()}
    rows = []
    for chain in chains(courses, HERE / "results" / "segmenter.json"):
        for endpoint in ENDPOINTS:
            for months in MONTHS:
                row: dict[str, object] = {"chain": chain.name, "endpoint": endpoint, "months": months}
                row |= one_size(courses, chain, endpoint, months, trials=options.trials)
                row |= {
                    f"an arm for 80 %, {words}": sample_size(courses, chain, endpoint, months, halted=share)
                    for words, share in (("complete halt", 1.0), ("half", 0.5))
                }
                rows.append(row)
                print({k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
    TARGET.write_text(json.dumps(results | {"rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
