"""False alarms of the checks on label maps: is the side of real knees told, and are they taken for contradictions.

Usage: python benchmarks/side_check.py LABELS [--poses 5] [--jobs 1]
LABELS is the folder of *_dseg.nii.gz with labels.tsv.

Every map is judged as it is and in simulated poses: turned in the coil (by up to 15 degrees of flexion, 10 of
abduction, 25 of rotation) in a field of view that cuts bones and rims at random, on voxels of 1.4 x 1.1 x 1.1 mm. Each
is judged twice, as the right knee that it is and as its mirror image, a left knee; each with both sides said of it.
Writes benchmarks/results/side_check.json: false blocks, false notes, what is caught and noted of wrong sides, and the
distribution of the figure that tells the side (logarithm of the ratio of the two fits).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import ndimage
from scipy.spatial.transform import Rotation

from mriseg.anatomy.bones import laid
from mriseg.anatomy.examine import examine_laid
from mriseg.anatomy.side import opinion
from mriseg.geometry import MIRROR, apply_affine, reorient, thin
from mriseg.nifti import read_label_map
from mriseg.types import Bone, Grid, LabelMap, Side

RESULTS = Path(__file__).parent / "results" / "side_check.json"
SPACING_MM = (1.4, 1.1, 1.1)
TURN_DEG = (15.0, 10.0, 25.0)  # about the axes to the right, forward and up
LOW_MM = ((42.0, 60.0), (45.0, 75.0), (35.0, 70.0))  # from the middle of the cartilage to the left, back and below
HIGH_MM = ((42.0, 60.0), (45.0, 70.0), (30.0, 75.0))  # to the right, front and above


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--poses", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    table = pd.read_csv(options.labels / "labels.tsv", sep="\t")
    rows: list[dict[str, Any]] = []
    with ProcessPoolExecutor(options.jobs) as pool:
        work = partial(one_map, options.labels, poses=options.poses)
        for found in pool.map(work, enumerate(table["file"])):
            rows += found
            print(f"{found[0]['file']} {len(rows)}", flush=True)
    summary = summarise(pd.DataFrame(rows))
    RESULTS.write_text(json.dumps({"summary": summary, "maps": rows}, indent=1) + "\n")
    print(json.dumps(summary, indent=1))


def one_map(folder: Path, numbered: tuple[int, str], *, poses: int) -> list[dict[str, Any]]:
    number, name = numbered
    labels = reorient(read_label_map(folder / name))
    shown = [thin(labels, SPACING_MM[0]), *posed(labels, np.random.default_rng(number), poses)]
    return [row for pose, knee in enumerate(shown) for row in judged(name, pose, knee)]


def judged(name: str, pose: int, knee: LabelMap) -> Iterator[dict[str, Any]]:
    """Judge a right knee, and its mirror image, with both sides said of them.

    The fits of the mirror image are those of the knee with the sides exchanged, and so is what contradicts anatomy
    (``tests/anatomy``); both are made once.
    """
    lays = laid(knee)
    mirror = LabelMap(data=knee.data, grid=Grid(shape=knee.grid.shape, affine=MIRROR @ knee.grid.affine))
    exchanged = {b: {Side.RIGHT: f[Side.LEFT], Side.LEFT: f[Side.RIGHT]} for b, f in lays.items()}
    ratio = {b.value: float(np.log(f[Side.LEFT].residual_mm / f[Side.RIGHT].residual_mm)) for b, f in lays.items()}
    best = {b.value: min(f.residual_mm for f in fits.values()) for b, fits in lays.items()}
    for true, shown, fits in ((Side.RIGHT, knee, lays), (Side.LEFT, mirror, exchanged)):
        for said in Side:
            side = opinion(fits)
            seen = examine_laid(shown, fits, said).contradictions if true is said is Side.RIGHT else ()
            yield {
                "file": name,
                "pose": pose,
                "true": true.value,
                "said": said.value,
                "blocked": side.contradicts(said),
                "noted": side.doubts(said),
                "opinion": str(side),
                "contradictions": list(seen),
                "log_ratio": ratio,
                "best_residual_mm": best,
            }


def posed(labels: LabelMap, rng: np.random.Generator, count: int) -> Iterator[LabelMap]:
    """Turn a knee in the coil and cut the field of view, ``count`` times."""
    cartilage = np.argwhere(np.isin(labels.data[::4, ::4, ::4], [bone.cartilage for bone in Bone])) * 4.0
    centre = apply_affine(labels.grid.affine, cartilage).mean(axis=0)
    for _ in range(count):
        turn = Rotation.from_euler("xyz", rng.uniform(-1, 1, 3) * TURN_DEG, degrees=True).as_matrix()
        low, high = (np.array([rng.uniform(*ends) for ends in part]) for part in (LOW_MM, HIGH_MM))
        yield turned(labels, turn, centre, centre - low, centre + high)


def turned(labels: LabelMap, turn: np.ndarray, centre: np.ndarray, low: np.ndarray, high: np.ndarray) -> LabelMap:
    """Turn labels (3, 3) about ``centre`` and cut the box ``low`` to ``high``, RAS mm; nearest neighbour."""
    affine = np.diag([*SPACING_MM, 1.0])
    affine[:3, 3] = low
    shape = tuple(((high - low) / SPACING_MM).astype(int) + 1)
    back = np.eye(4)
    back[:3, :3], back[:3, 3] = turn.T, centre - turn.T @ centre
    index = np.linalg.inv(labels.grid.affine) @ back @ affine
    data = ndimage.affine_transform(labels.data, index[:3, :3], index[:3, 3], output_shape=shape, order=0)
    return LabelMap(data=data, grid=Grid(shape=data.shape, affine=affine))


def summarise(rows: pd.DataFrame) -> dict[str, Any]:
    """Counts over all judgements, and quantiles of what they rest on."""
    right = rows["true"] == rows["said"]
    summary: dict[str, Any] = {
        "maps": int(rows["file"].nunique()),
        "judgements with the true side": int(right.sum()),
        "blocked wrongly": int(rows.loc[right, "blocked"].sum()),
        "noted wrongly": int(rows.loc[right, "noted"].sum()),
        "taken for a contradiction": int((rows.loc[right, "contradictions"].str.len() > 0).sum()),
        "judgements with the wrong side": int((~right).sum()),
        "wrong side blocked": int(rows.loc[~right, "blocked"].sum()),
        "wrong side noted": int((rows.loc[~right, "noted"] & ~rows.loc[~right, "blocked"]).sum()),
        "wrong side passed": int((~rows.loc[~right, "noted"] & ~rows.loc[~right, "blocked"]).sum()),
    }
    told = rows[right]
    told = told[told["true"] == Side.RIGHT]
    for bone in (b.value for b in Bone):
        ratio = told["log_ratio"].map(lambda value, b=bone: value.get(b, np.nan)).to_numpy(dtype=float)
        best = told["best_residual_mm"].map(lambda value, b=bone: value.get(b, np.nan)).to_numpy(dtype=float)
        ratio, best = ratio[np.isfinite(ratio)], best[np.isfinite(best)]
        summary[f"{bone} log ratio"] = {
            "n": len(ratio),
            "mean": round(float(ratio.mean()), 3),
            "sd": round(float(ratio.std(ddof=1)), 3),
            "min, 1 %, 5 %, 50 %": np.round(np.quantile(ratio, (0, 0.01, 0.05, 0.5)), 3).tolist(),
        }
        summary[f"{bone} best residual mm, 50 %, 99 %, max"] = np.round(np.quantile(best, (0.5, 0.99, 1)), 2).tolist()
    return summary


if __name__ == "__main__":
    main()
