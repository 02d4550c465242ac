"""Figures of the shipped segmenter: planted lesions, simulated knees, repeat scans, real echoes, time and memory.

    python benchmarks/segmenter.py [--parts lesions accuracy repeats echoes speed peer] [--knees 4] [--kinds dess ...]

Knees are those of validation; ``--split test`` judges once what was chosen by validation. Prints tables and writes
benchmarks/results/segmenter.json (segmenter_test.json), part by part: parts that are not run keep their figures as long
as the network is the same. ``--prepare`` simulates the images (segmenter_images.py, segmenter_planted.py) and stops.
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

import numpy as np
from segmenter_images import Case, kept_case, knees_of, plate_figures
from segmenter_lesions import judged_visits, lesion_summary
from segmenter_peer import peer
from segmenter_planted import VISITS, kept_planted
from segmenter_scores import dice, mean_scores, plate_summary, spread, surface_distance_mm

from mriseg.nifti import read_volume, write_volume
from mriseg.segment import Network, load_network, segment
from mriseg.splits import Split
from mriseg.types import Bone, Label, Side, Volume

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PARTS = ("lesions", "accuracy", "repeats", "echoes", "speed", "peer")
FIRST = {"dess": 6, "spgr": 6, "tse-fs": 6, "random": 2, "stack": 2}  # knees of each kind unless --knees says otherwise
Row = dict[str, Any]


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
        for knee in arguments.chosen[: arguments.knees or FIRST[kind]]:
            case = kept_case(arguments.images, arguments.data / "labels", knee, kind)
            if arguments.prepare:
                continue
            row = {"knee": knee, "kl": grades[knee], "kind": kind, **judged(case, network)}
            scores = "  ".join(f"{row[f'dice {label.name.lower()}']:.3f}" for label in Label)
            print(f"{knee:20} KL {row['kl']:8} {kind:7} dice {scores}  {row['seconds']:.0f} s", flush=True)
            keep("accuracy", [row], network, arguments.results)
            rows.append(row)
    return rows


def lesions(arguments: argparse.Namespace, network: Network) -> list[Row]:
    """Denuded area, its change and single lesions in planted knees; each row is kept at once."""
    grades = grades_of(arguments.data / "labels" / "labels.tsv")
    rows: list[Row] = []
    for kind in (k for k in arguments.kinds if k in VISITS):
        for knee in arguments.chosen[: arguments.knees]:
            cases = kept_planted(arguments.images, arguments.data / "labels", knee, kind)
            if not arguments.prepare:
                own = [{"knee": knee, "kl": grades[knee], "kind": kind, **r} for r in judged_visits(cases, network)]
                print(knee, kind, json.dumps([(r["visit"], r.get("true"), r.get("found")) for r in own]), flush=True)
                keep("lesions", own, network, arguments.results)
                rows += own
    return rows


def grades_of(table: Path) -> dict[str, str]:
    """K-L grade of each knee of the label maps, ``unknown`` where none is published."""
    with table.open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return {row["file"].split("_side")[0]: row["kl_grade"] or "unknown" for row in rows}


def repeats(arguments: argparse.Namespace, network: Network) -> Row:
    """Two scans of one knee in another pose with other noise: RMS CV of thickness, SDC of denuded area."""
    pairs, truths = [], []
    for knee in arguments.chosen[: arguments.knees or 3]:
        cases = [kept_case(arguments.images, arguments.data / "labels", knee, kind) for kind in ("dess", "repeat")]
        if not arguments.prepare:
            maps = [segment(c.image, side=Side.RIGHT, network=network).label_map for c in cases]
            pairs.append((plate_figures(maps[0]), plate_figures(maps[1])))
            truths.append((cases[0].plates, cases[1].plates))
    return {"segmented": spread(pairs), "true label maps": spread(truths)} if pairs else {}


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


def figures_of(part: str, arguments: argparse.Namespace, network: Network) -> Any:
    """Run one part."""
    if part == "lesions":
        return lesions(arguments, network)
    if part == "accuracy":
        return accuracy(arguments, network)
    if part == "repeats":
        return repeats(arguments, network)
    if part == "echoes":
        return echoes(arguments.data, network)
    if part == "speed":
        case = kept_case(arguments.images, arguments.data / "labels", arguments.chosen[0], "dess")
        return speed(case.image, arguments.threads)
    return peer(arguments.threads)


def keep(part: str, figures: Any, network: Network, results: Path) -> Row:
    """Put the figures of one part into the file of results; return what concerns it."""
    report = load_report(network, results)
    if part == "accuracy":
        report["cases"] = _renewed(report.get("cases", []), figures)
        report["plates"], report["scores"] = plate_summary(report["cases"]), mean_scores(report["cases"])
    elif part == "lesions":
        report["lesion images"] = _renewed(report.get("lesion images", []), figures)
        report["lesions"] = lesion_summary(report["lesion images"])
    else:
        report[part] = figures
    results.parent.mkdir(exist_ok=True)
    results.write_text(json.dumps(report, indent=1) + "\n")
    return {k: report[k] for k in (("plates", "scores") if part == "accuracy" else (part,))}


def _renewed(rows: list[Row], new: list[Row]) -> list[Row]:
    """Rows, with those of the same knee, kind and visit replaced by new ones."""
    names = {(r["knee"], r["kind"], r.get("visit")) for r in new}
    return [r for r in rows if (r["knee"], r["kind"], r.get("visit")) not in names] + new


def load_report(network: Network, results: Path) -> Row:
    """Figures measured so far; those of another network are dropped, but for the peer's."""
    old: Row = json.loads(results.read_text()) if results.exists() else {}
    if old.get("network") == network.identity:
        return old
    return {"network": network.identity} | ({"peer": old["peer"]} if "peer" in old else {})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--split", type=Split, choices=[Split.VALIDATION, Split.TEST], default=Split.VALIDATION)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--kinds", nargs="+", choices=list(FIRST), default=list(FIRST))
    parser.add_argument("--knees", type=int, help="how many knees of the split; by default 2 to 6, see FIRST")
    parser.add_argument("--threads", type=int, default=2, help="threads of the timed runs")
    parser.add_argument("--images", type=Path, default=Path(tempfile.gettempdir()) / "mriseg-segmenter-benchmark")
    parser.add_argument("--prepare", action="store_true", help="simulate the images and stop")
    arguments = parser.parse_args()
    network = load_network()
    arguments.chosen = knees_of(arguments.data / "labels", arguments.split)
    name = "segmenter" if arguments.split is Split.VALIDATION else f"segmenter_{arguments.split}"
    arguments.results = RESULTS / f"{name}.json"
    for part in arguments.parts:
        if arguments.prepare and part not in {"lesions", "accuracy", "repeats"}:
            continue
        figures = figures_of(part, arguments, network)
        if not arguments.prepare and figures:
            print(part, json.dumps(keep(part, figures, network, arguments.results), indent=1), flush=True)


if __name__ == "__main__":
    main()
