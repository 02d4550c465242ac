"""Registration on simulated visits with known motion: accuracy, exclusion of cartilage, failures, starts, speed.

    python benchmarks/registration.py                                 all parts, seven knees: 42 pairs
    python benchmarks/registration.py --parts accuracy --knees 2      a look
    python benchmarks/registration.py --parts accuracy --first 2      goes on with knee 2 and keeps the rows before it

    pip install "mriseg[benchmark]"                                   itk-elastix and antspyx, beside which
    python benchmarks/registration.py --parts speed                   this program is timed

Visits of one knee differ in pose, flexion, noise, coil, label errors (0.25 mm SD) and cartilage (0, 10, 20, 30 % of the
thickness gone); every two of them make a pair. Results go to benchmarks/results/registration.json knee by knee.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import registration_accuracy as accuracy
import registration_failures as failures
import registration_speed as speed

RESULTS = Path(__file__).parent / "results" / "registration.json"
Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One table: ``rows`` of one knee, their ``summary``, and how many ``knees`` are enough."""

    rows: Callable[[int], Rows]
    summary: Callable[[Rows], dict[str, Any]]
    knees: int


PARTS = {
    "accuracy": Part(rows=accuracy.same_sequence, summary=accuracy.summary, knees=7),
    "across": Part(rows=accuracy.across_sequences, summary=accuracy.summary, knees=4),
    "thick": Part(rows=accuracy.thick_slices, summary=accuracy.summary, knees=2),
    "exclusion": Part(rows=accuracy.exclusion, summary=accuracy.exclusion_summary, knees=3),
    "failures": Part(rows=failures.wrong_pairs, summary=failures.summary, knees=3),
    "starts": Part(rows=failures.starts_within, summary=failures.starts_summary, knees=5),
    "beyond": Part(rows=failures.starts_beyond, summary=failures.starts_summary, knees=2),
    "speed": Part(rows=speed.rows, summary=speed.summary, knees=1),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--knees", type=int, default=7, help="At most, of each part.")
    parser.add_argument("--first", type=int, default=0, help="Knee to go on with.")
    options = parser.parse_args()
    for name in options.parts:
        part = PARTS[name]
        rows = [row for row in _results().get(name, {}).get("rows", []) if row["knee"] < options.first]
        for knee in range(options.first, min(options.knees, part.knees)):
            rows += [{"knee": knee} | row for row in part.rows(knee)]
            table = part.summary(rows)
            _write(name, table | {"rows": rows})
            print(f"{name}, {knee + 1} knees: {json.dumps(table, indent=1)}", flush=True)


def _results() -> dict[str, Any]:
    return dict(json.loads(RESULTS.read_text())) if RESULTS.exists() else {}


def _write(name: str, table: dict[str, Any]) -> None:
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(_results() | {name: table}, indent=1) + "\n")


if __name__ == "__main__":
    main()
