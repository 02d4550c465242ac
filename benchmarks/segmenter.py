"""Figures of the shipped segmenter: held-out simulated knees, repeat scans, real echoes, time and memory.

    python benchmarks/segmenter.py [--parts accuracy repeats echoes speed peer] [--knees 4] [--kinds dess spgr ...]

Prints tables and writes benchmarks/results/segmenter.json, part by part: parts that are not run keep their figures as
long as the network is the same. ``--prepare`` simulates the images (segmenter_images.py) and stops.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from itertools import combinations
from pathlib import Path
from typing import Any

import edt
import numpy as np
from segmenter_images import KINDS, PLATES, VALIDATION, Case, kept_case, plate_figures
from segmenter_peer import peer

from mriseg.nifti import read_volume, write_volume
from mriseg.segment import Network, load_network, segment
from mriseg.types import Bone, FloatArray, Label, Side, Volume

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "segmenter.json"
PARTS = ("accuracy", "repeats", "echoes", "speed", "peer")
FIRST = {"dess": 6, "spgr": 6, "tse-fs": 6, "random": 2, "stack": 2}  # knees of each kind unless --knees says otherwise
DENUDED_PCT, MISSED_PCT = 15.0, 5.0
Row = dict[str, Any]


def dice(a: np.ndarray, b: np.ndarray) -> float:
    """Overlap of two masks; NaN where both are empty."""
    total = int(a.sum() + b.sum())
    return float(2 * (a & b).sum() / total) if total else float("nan")


def surface_distance_mm(a: np.ndarray, b: np.ndarray, spacing_mm: FloatArray) -> float:
    """Average symmetric distance in mm between the borders of two masks; NaN where one is empty."""
    if not a.any() or not b.any():
        return float("nan")
    box = tuple(slice(max(0, n.min() - 2), n.max() + 3) for n in np.nonzero(a | b))
    step = tuple(spacing_mm.tolist())
    borders, distances = [], []
    for mask in (a[box], b[box]):
        inside = edt.edt(np.ascontiguousarray(mask), anisotropy=step)
        outside = edt.edt(np.ascontiguousarray(~mask), anisotropy=step)
        borders.append(mask & (inside <= 1.01 * max(step)))
        distances.append(np.where(mask, np.maximum(inside - min(step), 0), outside))
    gaps = np.r_[distances[1][borders[0]], distances[0][borders[1]]]
    return float(gaps.mean())


def judged(case: Case, network: Network) -> Row:
    """Segment one simulated image and compare with its truth; plates are measured on images of the DESS contrast."""
    start = time.perf_counter()
    result = segment(case.image, side=Side.RIGHT, network=network)
    row: Row = {"seconds": time.perf_counter() - start, "verdict": result.verdict, "reasons": list(result.reasons)}
    for label in Label:
        a, b = result.label_map.data == label, case.truth.data == label
        row[f"dice {label.name.lower()}"] = dice(a, b)
        row[f"assd {label.name.lower()}"] = surface_distance_mm(a, b, case.image.grid.spacing_mm)
    if case.kind in {"dess", "repeat"}:
        row["truth"], row["found"] = case.plates, plate_figures(result.label_map)
    return row


def accuracy(arguments: argparse.Namespace, network: Network) -> list[Row]:
    """Dice, surface distance and plates of every kind of image; each row is kept at once."""
    grades = grades_of(arguments.data / "labels" / "labels.tsv")
    rows = []
    for kind in arguments.kinds:
        for knee in VALIDATION[: arguments.knees or FIRST[kind]]:
            case = kept_case(arguments.images, arguments.data / "labels", knee, kind)
            if arguments.prepare:
                continue
            row = {"knee": knee, "kl": grades[knee], "kind": kind, **judged(case, network)}
            scores = "  ".join(f"{row[f'dice {label.name.lower()}']:.3f}" for label in Label)
            print(f"{knee:20} KL {row['kl']:8} {kind:7} dice {scores}  {row['seconds']:.0f} s", flush=True)
            keep("accuracy", [row], network)
            rows.append(row)
    return rows


def grades_of(table: Path) -> dict[str, str]:
    """K-L grade of each knee of the label maps, ``unknown`` where none is published."""
    with table.open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return {row["file"].split("_side")[0]: row["kl_grade"] or "unknown" for row in rows}


def plate_summary(rows: list[Row]) -> dict[str, float]:
    """Errors of dAB% and mean thickness over the plates of the DESS images, and how many denuded plates were missed."""
    pairs = [(r["truth"], r["found"]) for r in rows if r["kind"] == "dess"]
    both = {m: _paired(pairs, m) for m in ("dABp", "ThCtAB_aMe")}
    denuded, thick = both["dABp"], both["ThCtAB_aMe"]
    if not len(denuded):
        return {}
    bare = denuded[:, 0] > DENUDED_PCT
    return {
        "plates": len(denuded),
        "plates not measured": sum(f"{p} dABp" in t and f"{p} dABp" not in f for t, f in pairs for p in PLATES),
        "dAB% largest error": float(np.abs(denuded[:, 1] - denuded[:, 0]).max()),
        "dAB% mean absolute error": float(np.abs(denuded[:, 1] - denuded[:, 0]).mean()),
        "dAB% within 8 points, share": float((np.abs(denuded[:, 1] - denuded[:, 0]) <= 8).mean()),
        "plates truly above 15 %": int(bare.sum()),
        "of these called below 5 %": int((denuded[bare, 1] < MISSED_PCT).sum()),
        "thickness bias mm": float((thick[:, 1] - thick[:, 0]).mean()),
        "thickness mean absolute error mm": float(np.abs(thick[:, 1] - thick[:, 0]).mean()),
    }


def _paired(pairs: list[tuple[dict[str, float], dict[str, float]]], metric: str) -> FloatArray:
    keys = [f"{plate} {metric}" for plate in PLATES]
    return np.array([(one[k], two[k]) for one, two in pairs for k in keys if k in one and k in two])


def repeats(arguments: argparse.Namespace, network: Network) -> Row:
    """Two scans of one knee in another pose with other noise: RMS CV of thickness, SDC of denuded area."""
    pairs, truths = [], []
    for knee in VALIDATION[: arguments.knees or 3]:
        cases = [kept_case(arguments.images, arguments.data / "labels", knee, kind) for kind in ("dess", "repeat")]
        if not arguments.prepare:
            maps = [segment(c.image, side=Side.RIGHT, network=network).label_map for c in cases]
            pairs.append((plate_figures(maps[0]), plate_figures(maps[1])))
            truths.append((cases[0].plates, cases[1].plates))
    return {"segmented": spread(pairs), "true label maps": spread(truths)} if pairs else {}


def spread(pairs: list[tuple[dict[str, float], dict[str, float]]]) -> dict[str, float]:
    """RMS CV (%) of mean thickness and smallest detectable change of dAB over knees and plates.

    The standard deviation of a pair is |a - b| / sqrt(2); SDC is 1.96 sqrt(2) times its root mean square.
    """
    thick = _paired(pairs, "ThCtAB_aMe")
    refused = sum(not one or not two for one, two in pairs)
    result = {"pairs of plates": float(len(thick)), "knees": len(pairs), "knees that measuring refuses": refused}
    if len(thick):
        cv = np.abs(thick[:, 0] - thick[:, 1]) / np.sqrt(2) / thick.mean(axis=1)
        result["RMS CV of ThCtAB %"] = float(100 * np.sqrt((cv**2).mean()))
    for metric, unit in (("dAB", "mm2"), ("dABp", "points")):
        values = _paired(pairs, metric)
        if len(values):
            result[f"SDC of {metric} {unit}"] = float(1.96 * np.sqrt(((values[:, 0] - values[:, 1]) ** 2).mean()))
    return result


def echoes(data: Path, network: Network) -> dict[str, float]:
    """Agreement between the five brightest echoes of the real multi-echo series, as mean and least pairwise Dice."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "mriseg.cli", "convert", str(data / "dicom" / "ge-mese-t2"), folder]
        subprocess.run(command, check=True, capture_output=True)
        volumes = [read_volume(p) for p in sorted(Path(folder).rglob("*.nii.gz"))]
    brightest = sorted(volumes, key=lambda v: -float(v.data.mean()))[:5]
    maps = [segment(v, side=Side.RIGHT, network=network).label_map for v in brightest]
    result: dict[str, float] = {}
    for name, group in (("bone", [b.label for b in Bone]), ("cartilage", [b.cartilage for b in Bone])):
        scores = [dice(p.mask(*group), q.mask(*group)) for p, q in combinations(maps, 2)]
        result |= {f"{name} mean": float(np.mean(scores)), f"{name} least": float(np.min(scores))}
    return result


def speed(image: Volume, threads: int) -> dict[str, float]:
    """Time and peak memory of the whole command, from NIfTI to label map, on one DESS volume.

    CPU seconds do not depend on what else the machine does; wall seconds do.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, out = f"{folder}/image.nii.gz", f"{folder}/out_dseg.nii.gz"
        write_volume(Path(source), image)
        command = [sys.executable, "-m", "mriseg.cli", "segment", source, out, "--side", "R", "--threads", str(threads)]
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    timed = {"threads": threads, "voxels": image.data.size, "seconds": seconds, "cpu_seconds": cpu}
    return timed | {"peak_gib": after.ru_maxrss / 2**20, "load_average": os.getloadavg()[0]}


def mean_scores(rows: list[Row]) -> dict[str, dict[str, float]]:
    """Mean Dice and surface distance of each structure by kind of image, and of the DESS images by K-L grade."""
    groups = {f"kind {k}": [r for r in rows if r["kind"] == k] for k in KINDS}
    dess = groups["kind dess"]
    groups |= {f"dess, K-L {g}": [r for r in dess if r["kl"] == g] for g in sorted({str(r["kl"]) for r in dess})}
    names = [f"{m} {label.name.lower()}" for m in ("dice", "assd") for label in Label]
    return {
        group: {"knees": len(chosen), **{n: float(np.nanmean([float(str(r[n])) for r in chosen])) for n in names}}
        for group, chosen in groups.items()
        if chosen
    }


def figures_of(part: str, arguments: argparse.Namespace, network: Network) -> Any:
    """Run one part."""
    if part == "accuracy":
        return accuracy(arguments, network)
    if part == "repeats":
        return repeats(arguments, network)
    if part == "echoes":
        return echoes(arguments.data, network)
    if part == "speed":
        case = kept_case(arguments.images, arguments.data / "labels", VALIDATION[0], "dess")
        return speed(case.image, arguments.threads)
    return peer(arguments.threads)


def keep(part: str, figures: Any, network: Network) -> Row:
    """Put the figures of one part into the file of results; return what concerns it."""
    report = load_report(network)
    if part == "accuracy":
        kept = [r for r in report.get("cases", []) if not any(_same(r, n) for n in figures)]
        report["cases"] = kept + figures
        report["plates"], report["scores"] = plate_summary(report["cases"]), mean_scores(report["cases"])
    else:
        report[part] = figures
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(report, indent=1) + "\n")
    return {k: report[k] for k in (("plates", "scores") if part == "accuracy" else (part,))}


def _same(one: Row, other: Row) -> bool:
    return (one["knee"], one["kind"]) == (other["knee"], other["kind"])


def load_report(network: Network) -> Row:
    """Figures measured so far; those of another network are dropped, but for the peer's."""
    old: Row = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if old.get("network") == network.identity:
        return old
    return {"network": network.identity} | ({"peer": old["peer"]} if "peer" in old else {})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--kinds", nargs="+", choices=list(FIRST), default=list(FIRST))
    parser.add_argument("--knees", type=int, help="how many of the held-out knees; by default 2 to 6, see FIRST")
    parser.add_argument("--threads", type=int, default=2, help="threads of the timed runs")
    parser.add_argument("--images", type=Path, default=Path(tempfile.gettempdir()) / "mriseg-segmenter-benchmark")
    parser.add_argument("--prepare", action="store_true", help="simulate the images and stop")
    arguments = parser.parse_args()
    network = load_network()
    for part in arguments.parts:
        if arguments.prepare and part not in {"accuracy", "repeats"}:
            continue
        figures = figures_of(part, arguments, network)
        if not arguments.prepare and figures:
            print(part, json.dumps(keep(part, figures, network), indent=1), flush=True)


if __name__ == "__main__":
    main()
