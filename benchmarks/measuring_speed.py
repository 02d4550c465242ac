"""Time and memory of measuring one pair of label maps, all metrics and lesions, at growing volume size.

Usage: python benchmarks/measuring_speed.py BASELINE FOLLOWUP [--side R] [--peer]. The maps are resampled to parts of
their size along each axis; every size runs in a fresh process, and imports do not count. `--peer` times the thickness
of both maps by `mskt` (`pip install mskt`) in the same run. Writes benchmarks/results/measuring_speed.json.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np

from mriseg.geometry import apply_affine
from mriseg.measure import measure
from mriseg.nifti import read_label_map
from mriseg.register import register
from mriseg.types import Bone, Grid, LabelMap, Registration, Side

SIZES = (0.5, 0.75, 1.0, 1.25)
RESULTS = Path(__file__).parent / "results" / "measuring_speed.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("baseline", type=Path)
    parser.add_argument("followup", type=Path)
    parser.add_argument("--side", type=Side, default=Side.RIGHT)
    parser.add_argument("--peer", action="store_true")
    options = parser.parse_args()
    pair = (read_label_map(options.baseline), read_label_map(options.followup))
    motion = register(None, None, baseline_labels=pair[0], followup_labels=pair[1])
    context = multiprocessing.get_context("spawn")
    result: dict[str, Any] = {}
    for size in SIZES:
        scaled = tuple(resized(labels, size) for labels in pair)
        with context.Pool(1) as pool:
            row = pool.apply(timed, (*scaled, motion, options.side))
        result["x".join(map(str, scaled[0].grid.shape))] = row
        print(f"{scaled[0].grid.shape}: {row}", flush=True)
    if options.peer:
        with context.Pool(1) as pool:
            result["mskt, thickness alone, full size"] = pool.apply(timed_peer, pair)
        print(result["mskt, thickness alone, full size"])
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")


def resized(labels: LabelMap, size: float) -> LabelMap:
    """Nearest-neighbour copy with ``size`` times as many voxels along each axis over the same field of view."""
    if size == 1.0:
        return labels
    shape = tuple(round(n * size) for n in labels.grid.shape)
    pick = [
        np.minimum(((np.arange(n) + 0.5) / size).astype(int), full - 1)
        for n, full in zip(shape, labels.grid.shape, strict=True)
    ]
    affine = labels.grid.affine @ np.diag([1 / size, 1 / size, 1 / size, 1.0])
    affine[:3, 3] = apply_affine(labels.grid.affine, np.full(3, 0.5 / size - 0.5))
    return LabelMap(data=np.ascontiguousarray(labels.data[np.ix_(*pick)]), grid=Grid(shape=shape, affine=affine))


def timed(baseline: LabelMap, followup: LabelMap, motion: Registration, side: Side) -> dict[str, float]:
    """Seconds and peak memory of one measurement; also how much of the memory was there before."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, cpu = time.perf_counter(), time.process_time()
    measure(baseline, followup, motion, side=side)
    return {
        "wall_s": round(time.perf_counter() - start, 1),
        "cpu_s": round(time.process_time() - cpu, 1),
        "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
        "before_gib": round(before / 2**20, 2),
    }


def timed_peer(baseline: LabelMap, followup: LabelMap) -> dict[str, float]:
    """Seconds of the peer for the thickness of three bones at both visits."""
    from measuring_peer import peer_thickness

    start = time.perf_counter()
    for labels in (baseline, followup):
        for bone in Bone:
            peer_thickness(labels, bone)
    return {"wall_s": round(time.perf_counter() - start, 1)}


if __name__ == "__main__":
    main()
