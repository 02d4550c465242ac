"""Accuracy, swap, cartilage exclusion and speed of the registration on simulated visits with known motion.

    python benchmarks/registration.py                  all parts, seven knees of four visits: 42 pairs
    python benchmarks/registration.py --parts accuracy --knees 2

Visits of one knee differ in pose, flexion, noise, coil, label errors (0.25 mm SD) and cartilage (0, 10, 20, 30 % of the
thickness gone); every two of them make a pair. Results are added to benchmarks/results/registration.json as they come.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from registration_pairs import Look, SimulatedVisit, apart_mm, draw_leg, errors_mm, grid_size, scan_visit
from registration_peers import peers

from mriseg.register import register
from mriseg.register.band import BandSettings
from mriseg.register.pair import RegisterSettings
from mriseg.simulate.signal import SequenceName
from mriseg.types import Bone, Registration, RigidTransform

RESULTS = Path(__file__).parent / "results" / "registration.json"
LOSSES = (0.0, 0.1, 0.2, 0.3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--knees", type=int, default=7)
    options = parser.parse_args()
    for name in options.parts:
        result = PARTS[name](options.knees)
        content = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(content | {name: result}, indent=1) + "\n")


def accuracy(knees: int) -> dict[str, Any]:
    """DESS against DESS: every two of four visits of each knee."""
    rows, swaps = [], []
    for knee in range(knees):
        leg = draw_leg(knee, len(LOSSES))
        visits = [scan_visit(leg, n, Look(), loss=loss) for n, loss in enumerate(LOSSES)]
        for a, b in combinations(range(len(visits)), 2):
            result, seconds = _timed(visits[a], visits[b])
            rows.append(_row(f"knee {knee} visits {a}-{b}", visits[a], visits[b], result, seconds))
        back, _ = _timed(visits[3], visits[0])
        forth, _ = _timed(visits[0], visits[3])
        swaps.append(
            max(
                float(np.abs(forth.bones[k].transform.matrix @ back.bones[k].transform.matrix - np.eye(4)).max())
                for k in Bone
            )
        )
    return _summary("DESS - DESS", rows) | {"largest_swap_difference": max(swaps)}


def across(knees: int) -> dict[str, Any]:
    """DESS at baseline against FS-SPGR with 1.5 mm slices at follow-up, cartilage 20 % thinner."""
    rows = []
    for knee in range(min(knees, 4)):
        leg = draw_leg(knee, 2)
        one, two = scan_visit(leg, 0, Look()), scan_visit(leg, 1, Look(sequence=SequenceName.SPGR), loss=0.2)
        rows.append(_row(f"knee {knee}", one, two, *_timed(one, two)))
    return _summary("DESS - SPGR", rows)


def thick(knees: int) -> dict[str, Any]:
    """DESS at baseline against a stack of 3 mm slices (FS-TSE) at follow-up."""
    rows = []
    for knee in range(min(knees, 2)):
        leg = draw_leg(knee, 2)
        one, two = scan_visit(leg, 0, Look()), scan_visit(leg, 1, Look(sequence=SequenceName.TSE_FS))
        rows.append(_row(f"knee {knee}", one, two, *_timed(one, two)))
    return _summary("DESS - TSE of 3 mm slices", rows)


def exclusion(knees: int) -> dict[str, Any]:
    """How far the loss of 30 % of the cartilage moves each bone, with and without cartilage left out."""
    everything = RegisterSettings(band=BandSettings(cartilage_mm=0.0, joint_mm=0.0))
    moved: dict[str, list[float]] = {"left out": [], "taken in": []}
    for knee in range(min(knees, 3)):
        leg = draw_leg(knee, 2)
        first = scan_visit(leg, 0, Look())
        healthy, worn = scan_visit(leg, 1, Look()), scan_visit(leg, 1, Look(), loss=0.3)
        for name, settings in (("left out", RegisterSettings()), ("taken in", everything)):
            one, two = (_timed(first, v, settings)[0] for v in (healthy, worn))
            moved[name] += [apart_mm(first.plates[b], _of(one, b), _of(two, b)) for b in Bone]
        print(f"knee {knee}: 30 % loss moves femur, tibia, patella by")
        for name, values in moved.items():
            print(f"   cartilage {name}: " + ", ".join(f"{v:.3f}" for v in values[-3:]) + " mm")
    return {name: {"mean_mm": float(np.mean(v)), "max_mm": max(v)} for name, v in moved.items()}


def speed(knees: int) -> dict[str, Any]:
    """One pair of full DESS size, beside other registration programs where they are installed."""
    del knees
    leg = draw_leg(0, 2)
    one, two = (scan_visit(leg, n, Look(crop=False), loss=0.2 * n) for n in (0, 1))
    result, seconds = _timed(one, two)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    start = time.process_time()
    register(None, None, baseline_labels=one.labels, followup_labels=two.labels)
    labels_only = time.process_time() - start
    row = _row(f"mriseg ({grid_size(one.volume.grid)})", one, two, result, seconds)
    print(f"label maps alone {labels_only:.1f} s; peak memory of this process, simulation included, {peak:.1f} GiB")
    others = {}
    for name, run in peers().items():
        start, clock = time.process_time(), time.perf_counter()
        transforms = run(one, two)
        others[name] = {
            "processor_seconds": time.process_time() - start,
            "clock_seconds": time.perf_counter() - clock,
            "errors_mm": _named(errors_mm(one, two, transforms)),
        }
        print(name, others[name])
    return {"mriseg": row, "labels_only_seconds": labels_only, "peak_gib": peak, "peers": others}


def _timed(
    one: SimulatedVisit, two: SimulatedVisit, settings: RegisterSettings | None = None
) -> tuple[Registration, float]:
    """Result and processor seconds, which are those of the clock on an idle machine: one thread does the work."""
    start = time.process_time()
    result = register(one.volume, two.volume, baseline_labels=one.labels, followup_labels=two.labels, settings=settings)
    return result, time.process_time() - start


def _of(registration: Registration, bone: Bone) -> RigidTransform:
    return registration.bones[bone].transform


def _row(name: str, one: SimulatedVisit, two: SimulatedVisit, result: Registration, seconds: float) -> dict[str, Any]:
    errors = errors_mm(one, two, {bone: r.transform for bone, r in result.bones.items()})
    verdicts = {bone.value: r.verdict.value for bone, r in result.bones.items()}
    print(
        f"{name}: " + ", ".join(f"{b} {e:.3f} mm {verdicts[b]}" for b, e in errors.items()) + f"; {seconds:.1f} s",
        flush=True,
    )
    return {"pair": name, "errors_mm": _named(errors), "verdicts": verdicts, "seconds": seconds}


def _named(errors: dict[Bone, float]) -> dict[str, float]:
    return {bone.value: round(error, 4) for bone, error in errors.items()}


def _summary(title: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    table = {bone.value: np.array([row["errors_mm"][bone.value] for row in rows]) for bone in Bone}
    every = np.concatenate(list(table.values()))
    print(f"{title}, {len(rows)} pairs: mean {every.mean():.3f} mm, 95th percentile {np.percentile(every, 95):.3f} mm")
    return {
        "pairs": len(rows),
        "mean_mm": {k: float(v.mean()) for k, v in table.items()} | {"all": float(every.mean())},
        "p95_mm": {k: float(np.percentile(v, 95)) for k, v in table.items()} | {"all": float(np.percentile(every, 95))},
        "max_mm": float(every.max()),
        "rows": rows,
    }


PARTS: dict[str, Callable[[int], dict[str, Any]]] = {
    "accuracy": accuracy,
    "across": across,
    "thick": thick,
    "exclusion": exclusion,
    "speed": speed,
}

if __name__ == "__main__":
    main()
