"""Faults at random points of `mriseg run` on two simulated patients: what is lost, left behind or made unequal.

    python benchmarks/faults.py --runs 60

Every run starts from a study without outputs, or with all of them and a step to redo. At a random moment one fault is
injected; then `mriseg run` is called again, and every output is compared with an undisturbed run, byte for byte.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from mriseg.files import write_json
from mriseg.simulate.run import make_trial, read_plan

RESULTS = Path(__file__).parent / "results" / "faults.json"
SIGNALS = {"kill the run": signal.SIGKILL, "terminate": signal.SIGTERM, "interrupt": signal.SIGINT}
FAULTS = (*SIGNALS, "kill a worker", "cut an output short", "delete an output")
STEPS = ("convert", "segment", "register", "measure", "page")
GONE_S = 5.0  # how long workers may take to go
BOOKKEEPING = {"run.log", ".lock"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=20)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole"
        _simulate(whole)
        began = time.monotonic()
        assert _run(whole).wait() == 0
        length, expected = time.monotonic() - began, outputs(whole)
        found = [_one(whole, Path(folder) / "faulty", expected, length, rng) for _ in range(arguments.runs)]
    tally = Counter(problem for run in found for problem in run["problems"])
    write_json(RESULTS, {"runs": found, "problems": dict(tally)})
    print(f"{len(found)} runs, {sum(not run['problems'] for run in found)} without a problem; {dict(tally)}")


def outputs(study: Path) -> dict[str, str]:
    """Hash of every output but the logs, by its name."""
    root = study / "derivatives" / "mriseg"
    files = [p for p in root.rglob("*") if p.is_file() and p.name not in BOOKKEEPING and p.parent.name != "logs"]
    return {p.relative_to(root).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(files)}


def _simulate(study: Path) -> None:
    plan = read_plan(
        trial="faults", sequence="dess", spacing="2 1 1", crop=True, compress=True, plant=False,
        arms="placebo,active", growth="60,0", growth_sd="20,4", seed=1,
    )  # fmt: skip
    places = {"truth": study.parent / "truth", "allocation": study.parent / "allocation.csv"}
    for _ in make_trial(study, plan, count=2, **places):
        pass


def _run(study: Path, *more: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "mriseg.cli", "run", study, *more]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _one(whole: Path, study: Path, expected: dict[str, str], length: float, rng: random.Random) -> dict[str, object]:
    """One fault; what was wrong afterwards is listed."""
    shutil.rmtree(study, ignore_errors=True)
    redo = rng.choice((None, *STEPS))
    shutil.copytree(whole, study, ignore=None if redo else shutil.ignore_patterns("derivatives"))
    fault, after = rng.choice(FAULTS), rng.uniform(0, length)
    process = _run(study, *(("--redo", redo) if redo else ()))
    until = time.monotonic() + after
    while process.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    _inject(fault, process, study, rng)
    process.wait()
    problems = [] if _gone(study) else ["a worker was left"]
    again = subprocess.run(
        [sys.executable, "-m", "mriseg.cli", "run", str(study)], capture_output=True, text=True, check=False
    )
    if again.returncode:
        problems.append("the next run failed")
    if "Traceback" in again.stderr:
        problems.append("a traceback")
    if outputs(study) != expected:
        problems.append("outputs differ")
    return {"fault": fault, "after_s": round(after, 1), "redo": redo, "problems": problems}


def _inject(fault: str, process: subprocess.Popen[bytes], study: Path, rng: random.Random) -> None:
    if fault in SIGNALS:
        if process.poll() is None:
            process.send_signal(SIGNALS[fault])
    elif fault == "kill a worker":
        for worker in rng.sample(found := workers(study), min(1, len(found))):
            os.kill(worker, signal.SIGKILL)
    else:
        files = sorted(p for p in (study / "derivatives").rglob("sub-*") if p.is_file())
        for file in rng.sample(files, min(1, len(files))):
            data = file.read_bytes()
            file.unlink() if fault.startswith("delete") else file.write_bytes(data[: rng.randrange(len(data) or 1)])


def workers(study: Path) -> list[int]:
    """Processes of workers that have a file of the study open."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            is_worker = b"mriseg.study.worker" in (process / "cmdline").read_bytes()
            links = [str(link.readlink()) for link in (process / "fd").iterdir()] if is_worker else []
        except OSError:
            continue
        if any(link.startswith(str(study)) for link in links):
            found.append(int(process.name))
    return found


def _gone(study: Path) -> bool:
    until = time.monotonic() + GONE_S
    while workers(study) and time.monotonic() < until:
        time.sleep(0.05)
    return not workers(study)


if __name__ == "__main__":
    main()
