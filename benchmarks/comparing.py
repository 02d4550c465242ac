"""Error rates, coverage, power and speed of `mriseg compare`.

Usage: python benchmarks/comparing.py [FOLDER_OF_REAL_DATA] [--parts speed errors coverage power]

Trials are drawn from untreated knees of the OAI manual readings; without them only the speed is measured. Prints a
table and writes benchmarks/results/comparing.json; parts that were not asked for keep their figures there.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from mriseg.compare.ancova import fit_ancova
from mriseg.compare.batch import batch_ancova
from mriseg.compare.design import Common
from mriseg.compare.endpoints import compare_endpoint
from mriseg.compare.permutation import freedman_lane
from mriseg.compare.pilot import Pilot, build_pilot
from mriseg.compare.plan import AnalysisPlan, Endpoint
from mriseg.compare.power import Scenario, difference, power_at
from mriseg.compare.tables import read_table
from mriseg.compare.trial import Availability, Trial

HERE = Path(__file__).parent
TARGET = HERE / "results" / "comparing.json"
AREA = Endpoint(region="FT", metric="dAB")
PARTS = ("speed", "errors", "coverage", "power")
SELECTIONS = {
    "K-L 2 to 4": ["kl_grade_baseline=2,3,4"],
    "K-L 2 to 4, never replaced": ["kl_grade_baseline=2,3,4", "case_control=CONTROL"],
}


def intercept(n: int) -> Common:
    return Common(columns=np.ones((n, 1)), names=("i",), grid=np.ones(1), cells=np.zeros(n, dtype=int), notes=())


def draw(pilot: Pilot, per_arm: int, trials: int, seed: int) -> tuple[Any, Any, Any]:
    """Baseline and follow-up (trials, 2 per_arm) of knees drawn with replacement, and who is treated."""
    chosen = np.random.default_rng(seed).integers(len(pilot.baseline), size=(trials, 2 * per_arm))
    return pilot.baseline[chosen], pilot.followup[chosen], np.arange(2 * per_arm) >= per_arm


def as_trial(baseline: Any, followup: Any, treated: Any) -> Trial:
    """One drawn trial as `mriseg compare` sees it after reading its tables."""
    ids = tuple(f"sub-{i:03d}" for i in range(len(treated)))
    values = np.stack([baseline, followup])[:, :, None]
    return Trial(
        participants=ids,
        treated=treated,
        visits=("baseline", "month6"),
        endpoints=(AREA,),
        units=("mm2",),
        values=values,
        availability=np.full(values.shape, Availability.MEASURED, dtype=np.int8),
        people=pd.DataFrame(index=list(ids)),
    )


def null_trials(pilot: Pilot, per_arm: int, trials: int) -> dict[str, float]:
    """Share of null trials that each test calls significant, in percent, and the within-arm fallacy beside it.

    Every trial passes the code of the primary endpoint, permutations of its own seed and inverted interval included.
    """
    base, follow, treated = draw(pilot, per_arm, trials, seed=100 + per_arm)
    found = [
        compare_endpoint(as_trial(b, f, treated), AnalysisPlan(permutations=1999, seed=i))
        for i, (b, f) in enumerate(zip(base, follow, strict=True))
    ]
    p = np.array([(r.comparison.p_permutation, r.ancova.p, r.ancova.model_p) for r in found])
    ends = np.array([(r.permutation.interval.low, r.permutation.interval.high) for r in found])
    change = follow - base
    within = {arm: stats.ttest_1samp(change[:, treated == arm], 0, axis=1) for arm in (False, True)}
    worse = (within[False].pvalue < 0.05) & (within[False].statistic > 0)
    return {
        "permutation test (judges)": 100 * float((p[:, 0] <= 0.05).mean()),
        "its interval excludes no difference": 100 * float(((ends[:, 0] > 0) | (ends[:, 1] < 0)).mean()),
        "HC3 test": 100 * float((p[:, 1] <= 0.05).mean()),
        "equal-variance test": 100 * float((p[:, 2] <= 0.05).mean()),
        "fallacy: control worse, treated not significant": 100 * float((worse & (within[True].pvalue >= 0.05)).mean()),
    }


def coverage(pilot: Pilot, per_arm: int, trials: int, *, proportional: bool) -> dict[str, float]:
    """Share of trials whose 95 % interval holds the true effect, in percent.

    The treatment halves growth: every knee ends lower by the same amount, or each by half of its own change, which
    makes the treated arm less scattered.
    """
    base, follow, treated = draw(pilot, per_arm, trials, seed=200 + per_arm)
    truth = -0.5 * pilot.growth
    follow = follow + treated * (-0.5 * (follow - base) if proportional else truth)
    batch = batch_ancova(base, follow, treated)
    reach = stats.t.ppf(0.975, batch.df)
    # an effect lies in the permutation interval exactly when the test of that effect does not reject
    held = freedman_lane(
        (follow - truth * treated).T, treated, base.T, intercept(2 * per_arm), permutations=1999, seed=2
    )
    return {
        "permutation interval (judges)": 100 * float((held > 0.05).mean()),
        "HC3 interval": 100 * float((np.abs(batch.effect - truth) <= reach * batch.se).mean()),
        "equal-variance interval": 100 * float((np.abs(batch.effect - truth) <= reach * batch.model_se).mean()),
    }


def halted_trials(pilot: Pilot, per_arm: int, trials: int) -> dict[str, float]:
    """Power against a complete halt: trials fitted one by one as `mriseg compare` does, beside `mriseg power`."""
    base, follow, treated = draw(pilot, per_arm, trials, seed=300 + per_arm)
    follow = follow + difference(pilot, Scenario()) * treated
    fits = [fit_ancova(f, treated, b, intercept(2 * per_arm)) for b, f in zip(base, follow, strict=True)]
    permuted = freedman_lane(follow.T, treated, base.T, intercept(2 * per_arm), permutations=1999, seed=3)
    point = power_at(pilot, Scenario(trials=10_000), per_arm)
    return {
        "trials, permutation test (judges)": 100 * float((permuted <= 0.05).mean()),
        "trials, HC3 test": 100 * float(np.mean([fit.p <= 0.05 for fit in fits])),
        "trials, equal-variance test": 100 * float(np.mean([fit.model_p <= 0.05 for fit in fits])),
        "mriseg power, simulated": 100 * point.simulated,
        "mriseg power, by t": 100 * point.by_t,
    }


def speed(participants: int, regions: int) -> dict[str, float]:
    """Wall seconds of `mriseg compare` on a made-up table, reading and writing included."""
    rng = np.random.default_rng(1)
    ids = np.array([f"sub-{i:05d}" for i in range(participants)])
    base = rng.gamma(1.2, 100, (participants, regions))
    values = {"baseline": base, "month6": base + rng.normal(10, 40, base.shape)}
    names = [f"r{i:02d}" for i in range(regions)]
    parts = [
        pd.DataFrame(
            {"participant_id": np.repeat(ids, regions), "region": names * participants, "value": v.ravel()}
        ).assign(visit=visit, side="R", metric="dAB", unit="mm2", state="measured")
        for visit, v in values.items()
    ]
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        pd.concat(parts).to_csv(work / "regions.tsv", sep="\t", index=False)
        arm = np.where(np.arange(participants) % 2, "treated", "control")
        pd.DataFrame({"participant_id": ids, "arm": arm}).to_csv(work / "allocation.csv", index=False)
        people = pd.DataFrame(
            {"participant_id": ids, "site": rng.integers(0, 20, participants), "age": rng.normal(63, 7, participants)}
        )
        people.to_csv(work / "participants.tsv", sep="\t", index=False)
        (work / "plan.toml").write_text('[analysis]\nregion = "r00"\nstrata = ["site"]\ncovariates = ["age"]\n')
        options = {
            "table": "regions.tsv",
            "plan": "plan.toml",
            "participants": "participants.tsv",
            "allocation": "allocation.csv",
            "out": "out",
        }
        command = ["mriseg", "compare", *(part for k, v in options.items() for part in (f"--{k}", str(work / v)))]
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        seconds = time.perf_counter() - start
        found = json.loads((work / "out" / "comparison.json").read_text())
    used = os.times()
    return {
        "wall seconds": seconds,
        "CPU seconds": used.children_user + used.children_system,
        "permutations, primary": found["primary"]["permutations"],
        "permutations, others": found["exploratory"][0]["permutations"],
    }


def show(title: str, figures: dict[str, float]) -> None:
    print(f"{title}")
    for name, value in figures.items():
        print(f"    {name:<50}{value:10.2f}")


def errors_and_power(pilot: Pilot, parts: list[str]) -> dict[str, dict[str, float]]:
    """Every figure of one selection of knees, by title."""
    found = {"pilot": {"knees": len(pilot.baseline), "mean change": pilot.growth, "residual SD": pilot.residual_sd}}
    if "errors" in parts:
        found["2,000 null trials, 12 an arm, percent significant"] = null_trials(pilot, 12, 2000)
    if "coverage" in parts:
        for words, proportional in (("alike", False), ("by its own change", True)):
            for n in (12, 30, 60):
                title = f"coverage of 2,000 trials, {n} an arm, every knee {words}, percent"
                found[title] = coverage(pilot, n, 2000, proportional=proportional)
    if "power" in parts:
        for n in (12, 30, 60):
            title = f"1,000 trials, {n} an arm, complete halt, power in percent"
            found[title] = halted_trials(pilot, n, 1000)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = HERE.parent.parent / "shared" / "data"
    parser.add_argument("real", nargs="?", type=Path, default=Path(os.environ.get("MRISEG_REAL_DATA", default)))
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    options = parser.parse_args()
    results: dict[str, Any] = json.loads(TARGET.read_text()) if TARGET.exists() else {}
    results |= {"python": platform.python_version(), "machine": platform.machine(), "cores": os.cpu_count()}
    if "speed" in options.parts:
        results["10,000 participants x 40 regions"] = speed(10_000, 40)
        show("10,000 participants x 40 regions", results["10,000 participants x 40 regions"])
    readings = options.real / "oai_manual_readings.tsv"
    for name, where in SELECTIONS.items() if readings.exists() else []:
        pilot = build_pilot(read_table(readings), AREA, baseline="0", followup="12", where=where)
        found = errors_and_power(pilot, options.parts)
        results[name] = results.get(name, {}) | found
        for title, figures in found.items():
            show(f"{name}: {title}", figures)
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
