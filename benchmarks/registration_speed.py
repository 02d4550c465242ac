"""Seconds, memory and error of this program and of others on one pair of full size, for benchmarks/registration.py."""

from __future__ import annotations

import multiprocessing
import pickle
import re
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from registration_pairs import Look, SimulatedVisit, draw_leg, errors_mm, grid_size, scan_visit
from registration_peers import load, peers

from mriseg.register import register
from mriseg.types import Bone, RigidTransform

Row = dict[str, Any]


def rows(knee: int) -> list[Row]:
    """Every program that is installed on one DESS pair of full size, 20 % of the cartilage gone."""
    leg = draw_leg(knee, 2)
    visits = [scan_visit(leg, n, Look(crop=False), loss=0.2 * n) for n in (0, 1)]
    found = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pair.pickle"
        path.write_bytes(pickle.dumps(visits, protocol=5))
        for name in ("mriseg", "mriseg, label maps alone", *peers()):
            found.append({"program": name, "grid": grid_size(visits[0].volume.grid)} | _alone(name, path))
            print(f"knee {knee} {found[-1]}", flush=True)
    return found


def summary(found: list[Row]) -> Row:
    """For each program the mean error, and the longest time and largest memory of a pair."""
    table = {}
    for name in dict.fromkeys(row["program"] for row in found):
        own = [row for row in found if row["program"] == name]
        errors = np.array([list(row["errors_mm"].values()) for row in own])
        table[name] = {
            "pairs": len(own),
            "mean_mm": dict(zip((b.value for b in Bone), errors.mean(axis=0).round(4).tolist(), strict=True)),
            "mean_of_all_mm": round(float(errors.mean()), 4),
            "max_mm": float(errors.max()),
            "clock_seconds": max(row["clock_seconds"] for row in own),
            "processor_seconds": max(row["processor_seconds"] for row in own),
            "peak_gib": max(row["peak_gib"] for row in own),
        }
    return {"programs": table}


def _alone(name: str, path: Path) -> Row:
    """Run one program in a process of its own, so that its memory is its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measured, (name, path))


def measured(name: str, path: Path) -> Row:
    """Read the pair, run the program ``name`` on it, and measure; the peak holds images and interpreter as well."""
    one, two = pickle.loads(path.read_bytes())
    run = _programs()[name]
    load(name)
    processor, clock = time.process_time(), time.perf_counter()
    transforms = run(one, two)
    return {
        "clock_seconds": round(time.perf_counter() - clock, 1),
        "processor_seconds": round(time.process_time() - processor, 1),
        "peak_gib": round(_peak_gib(), 2),
        "errors_mm": {bone.value: round(e, 4) for bone, e in errors_mm(one, two, transforms).items()},
    }


def _peak_gib() -> float:
    """Largest resident memory of this process; getrusage would count that of its parent before the start as well."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) / 2**20 if found else float("nan")


def _programs() -> dict[str, Any]:
    return {"mriseg": _mriseg, "mriseg, label maps alone": _label_maps_alone} | peers()


def _mriseg(one: SimulatedVisit, two: SimulatedVisit) -> dict[Bone, RigidTransform]:
    result = register(one.volume, two.volume, baseline_labels=one.labels, followup_labels=two.labels)
    return {bone: r.transform for bone, r in result.bones.items()}


def _label_maps_alone(one: SimulatedVisit, two: SimulatedVisit) -> dict[Bone, RigidTransform]:
    result = register(None, None, baseline_labels=one.labels, followup_labels=two.labels)
    return {bone: r.transform for bone, r in result.bones.items()}
