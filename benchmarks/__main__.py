"""Measure the figures anew, one benchmark after the other.

    python -m benchmarks all                all that the data and packages at hand allow; goes on where it was stopped
    python -m benchmarks all --quick        a small part of each, to see that they run; keeps no results
    python -m benchmarks registration       one benchmark, whatever was measured before
    python -m benchmarks page               docs/evidence.md and the table of the README from the results

A benchmark is measured again by `all` when its own files or the package changed since.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shlex
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.evidence import HERE, RESULTS, Run, read_evidence, write_page

LEDGER = RESULTS / "runs.json"


def main() -> int:
    """Run what is asked for; return how many benchmarks failed."""
    runs, _ = read_evidence()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", choices=["all", "page", *[r.name for r in runs]])
    parser.add_argument("--quick", action="store_true", help="a small part of each; results stay as they were")
    parser.add_argument(
        "--real", type=Path, default=os.environ.get("MRISEG_REAL_DATA", HERE.parent.parent / "shared/data")
    )
    options = parser.parse_args()
    failed = 0
    for run in runs:
        if "all" in options.names or run.name in options.names:
            failed += not _measured(run, Path(options.real), quick=options.quick, anew=run.name in options.names)
    if not options.quick:
        write_page()
    return min(failed, 1)


def _measured(run: Run, real: Path, *, quick: bool, anew: bool) -> bool:
    """Run one benchmark unless its last run still counts; say why where it cannot run. False where it failed."""
    ledger = _ledger()
    if "{real}" in run.command and not real.is_dir():
        print(f"{run.name}: skipped, no folder of real data (MRISEG_REAL_DATA)")
        return True
    if missing := [name for name in run.needs if find_spec(name) is None]:
        print(f"{run.name}: skipped, needs {', '.join(missing)}")
        return True
    state = _state(run)
    if not quick and not anew and ledger.get(run.name, {}).get("state") == state:
        print(f"{run.name}: up to date ({ledger[run.name]['date']})")
        return True
    started = time.perf_counter()
    code = _call(run, real, quick=quick)
    print(
        f"{run.name}: {'done' if code == 0 else f'failed ({code})'}, {time.perf_counter() - started:.0f} s", flush=True
    )
    if code == 0 and not quick:
        entry = {"state": state, "date": datetime.now(UTC).date().isoformat(), "machine": _machine()}
        LEDGER.write_text(json.dumps(_ledger() | {run.name: entry}, indent=2) + "\n", encoding="utf-8")
    return code == 0


def _call(run: Run, real: Path, *, quick: bool) -> int:
    """Run the command of a benchmark; a quick run's results are put back to what they were."""
    line = (run.quick or run.command) if quick else run.command
    words = [word.replace("{real}", str(real)) for word in shlex.split(line)]
    target = RESULTS / f"{run.name}.json"
    kept = target.read_bytes() if quick and target.exists() else None
    try:
        return subprocess.run(
            [sys.executable, str(HERE / words[0]), *words[1:]], cwd=HERE.parent, check=False
        ).returncode
    finally:
        if kept is not None:
            target.write_bytes(kept)


def _ledger() -> dict[str, Any]:
    return json.loads(LEDGER.read_text(encoding="utf-8")) if LEDGER.exists() else {}


def _state(run: Run) -> str:
    """Hash over the command, the scripts of this benchmark and the package."""
    digest = hashlib.sha256(run.command.encode())
    family = run.name.split("_")[0]
    files = [*sorted(HERE.glob(f"{family}*.py")), *sorted((HERE.parent / "mriseg").rglob("*.py"))]
    for file in files:
        digest.update(file.relative_to(HERE.parent).as_posix().encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def _machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GiB, Python {platform.python_version()}"


if __name__ == "__main__":
    os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    sys.exit(main())
