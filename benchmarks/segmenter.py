"""Figures of the shipped segmenter: simulated validation knees, real echoes of one knee, time and memory.

    python benchmarks/segmenter.py [--data ../shared/data] [--knees 4] [--sequences dess spgr tse-fs random]

Prints tables and writes benchmarks/results/segmenter.json. The knees are the real label maps that training never saw;
their images come from mriseg.simulate, which shares no code with the generator of the training images.
"""

from __future__ import annotations

import argparse
import csv
import json
import resource
import subprocess
import sys
import tempfile
import time
from itertools import combinations
from pathlib import Path

import edt
import numpy as np

from mriseg.errors import MrisegError
from mriseg.geometry import reorient
from mriseg.measure import measure
from mriseg.nifti import read_label_map, read_volume, write_label_map, write_volume
from mriseg.segment import Network, load_network, segment
from mriseg.simulate.fields import inverse
from mriseg.simulate.knee import Knee, knee_of_labels
from mriseg.simulate.scanner import add_noise, coil_sensitivity, supersampling
from mriseg.simulate.scene import Scene, scan
from mriseg.simulate.signal import SEQUENCES, SequenceName, Tissue, signals
from mriseg.simulate.soft_tissue import Anatomy
from mriseg.types import Bone, Grid, Label, LabelMap, RigidTransform, Side, Volume

RESULTS = Path(__file__).resolve().parent / "results" / "segmenter.json"
VALIDATION = (
    "sub-9013161_ses-00m",
    "sub-9373786_ses-96m",
    "sub-9017909_ses-00m",
    "sub-9357383_ses-96m",
    "sub-9016403_ses-00m",
    "sub-9364232_ses-96m",
)
CARTILAGE = tuple(bone.cartilage for bone in Bone)


def image_of(labels: LabelMap, sequence: str, rng: np.random.Generator) -> tuple[Volume, LabelMap]:
    """Simulate a scan of a label map over its own field of view; ``random`` is DESS geometry in random contrast."""
    protocol = SEQUENCES[SequenceName.DESS if sequence == "random" else SequenceName(sequence)]
    contrast = signals(protocol)
    if sequence == "random":
        contrast = {t: float(rng.uniform(0.02, 1)) for t in contrast} | {Tissue.AIR: 0.0, Tissue.CORTEX: 0.03}
    knee = knee_of_labels(labels, rng)
    scene = Scene(
        knee=knee, pose=dict.fromkeys(Bone, RigidTransform.identity()), defects=(), anatomy=anatomy(knee, rng)
    )
    grid = grid_over(labels.grid, protocol.spacing_mm)
    factors = supersampling(protocol.spacing_mm)
    image, truth = scan(scene, grid, contrast, supersample=factors)
    level = max(contrast[Tissue.CARTILAGE], 0.3 if sequence == "random" else 0.0)
    noisy = add_noise(image * coil_sensitivity(grid, rng) * np.float32(300 / level), 300 / protocol.snr, rng)
    return Volume(data=noisy, grid=grid), truth


def kept_image(folder: Path, name: str, labels: LabelMap, sequence: str, seed: int) -> tuple[Volume, LabelMap]:
    """Simulate as :func:`image_of`, once: image and truth are kept in ``folder``."""
    paths = [folder / f"{name}_{sequence}_{kind}.nii.gz" for kind in ("mri", "dseg")]
    if not all(path.exists() for path in paths):
        image, truth = image_of(labels, sequence, np.random.default_rng(seed))
        write_volume(paths[0], image)
        write_label_map(paths[1], truth)
    return read_volume(paths[0]), read_label_map(paths[1])


def anatomy(knee: Knee, rng: np.random.Generator) -> Anatomy:
    """Draw soft tissue as mriseg.simulate does for a trial."""
    return Anatomy(
        placement=inverse(knee.bones[Bone.FEMUR].to_mean.matrix),
        fat_mm=float(rng.uniform(5.0, 12.0)),
        fluid_mm=float(rng.uniform(0.1, 0.35)),
        effusion=float(rng.beta(1.2, 2.5)),
        girth=float(rng.uniform(0.95, 1.1)),
    )


def grid_over(grid: Grid, spacing_mm: tuple[float, float, float]) -> Grid:
    """Cover the field of view of ``grid`` with other voxels; i, j, k keep their directions."""
    field = grid.spacing_mm * grid.shape
    i, j, k = (int(n) for n in np.floor(field / spacing_mm))
    affine = grid.affine @ np.diag([*(np.array(spacing_mm) / grid.spacing_mm), 1.0])
    return Grid(shape=(i, j, k), affine=affine)


def dice(a: np.ndarray, b: np.ndarray) -> float:
    """Overlap of two masks; NaN where both are empty."""
    total = int(a.sum() + b.sum())
    return float(2 * (a & b).sum() / total) if total else float("nan")


def surface_distance_mm(a: np.ndarray, b: np.ndarray, spacing_mm: np.ndarray) -> float:
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


def plates(label_map: LabelMap) -> dict[str, float]:
    """Thickness ThCtAB (mm) and dAB% of the femorotibial plates; NaN where they cannot be measured."""
    try:
        rows = measure(label_map, None, None, side=Side.RIGHT).baseline.regions
    except MrisegError:
        return {}
    kept = {(r.region, r.metric): r.value for r in rows if r.metric in {"ThCtAB", "dAB%"}}
    return {f"{region} {metric}": kept[region, metric] for region, metric in kept if region in PLATES}


PLATES = ("MT", "LT", "cMF", "cLF", "P")


def one_case(image: Volume, truth: LabelMap, network: Network, *, measured: bool) -> dict[str, object]:
    """Segment one simulated image and compare with its truth."""
    start = time.perf_counter()
    result = segment(image, side=Side.RIGHT, network=network)
    row: dict[str, object] = {"seconds": time.perf_counter() - start, "verdict": result.verdict.value}
    row["reasons"] = list(result.reasons)
    for label in Label:
        a, b = result.label_map.data == label, truth.data == label
        row[f"dice {label.name.lower()}"] = dice(a, b)
        row[f"assd {label.name.lower()}"] = surface_distance_mm(a, b, image.grid.spacing_mm)
    if measured:
        row["truth"], row["found"] = plates(truth), plates(result.label_map)
    return row


def real_echoes(data: Path, network: Network) -> dict[str, float]:
    """Agreement between the five brightest echoes of the real multi-echo series, as pairwise Dice."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "mriseg.cli", "convert", str(data / "dicom" / "ge-mese-t2"), folder]
        subprocess.run(command, check=True, capture_output=True)
        volumes = [read_volume(p) for p in sorted(Path(folder).rglob("*.nii.gz"))]
    brightest = sorted(volumes, key=lambda v: -float(v.data.mean()))[:5]
    maps = [segment(v, side=Side.RIGHT, network=network).label_map for v in brightest]
    groups = {"bone": tuple(b.label for b in Bone), "cartilage": CARTILAGE}
    result = {n: np.mean([dice(p.mask(*g), q.mask(*g)) for p, q in combinations(maps, 2)]) for n, g in groups.items()}
    return {name: float(value) for name, value in result.items()}


def time_and_memory(image: Volume, threads: int) -> dict[str, float]:
    """Wall time and peak memory of the whole command on one volume."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "image.nii.gz"
        write_volume(source, image)
        command = [
            sys.executable,
            "-m",
            "mriseg.cli",
            "segment",
            str(source),
            f"{folder}/out_dseg.nii.gz",
            "--side",
            "R",
        ]
        start = time.perf_counter()
        subprocess.run([*command, "--threads", str(threads)], check=True, capture_output=True)
        seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    return {"threads": threads, "seconds": seconds, "peak_gib": peak}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument("--knees", type=int, default=len(VALIDATION))
    parser.add_argument("--sequences", nargs="+", default=["dess", "spgr", "tse-fs", "random"])
    parser.add_argument("--no-measure", action="store_true", help="leave out thickness and denuded area")
    parser.add_argument("--images", type=Path, default=Path(tempfile.gettempdir()) / "mriseg-segmenter-benchmark")
    parser.add_argument("--only-images", action="store_true", help="simulate the images and stop")
    arguments = parser.parse_args()
    network = load_network()
    with (arguments.data / "labels" / "labels.tsv").open() as file:
        grades = {row["file"]: row["kl_grade"] or "unknown" for row in csv.DictReader(file, delimiter="\t")}
    report: dict[str, object] = {"network": network.spec.sha256, "cases": []}
    for n, knee in enumerate(VALIDATION[: arguments.knees]):
        path = arguments.data / "labels" / f"{knee}_side-R_dseg.nii.gz"
        labels = reorient(read_label_map(path))
        for sequence in arguments.sequences:
            image, truth = kept_image(arguments.images, knee, labels, sequence, 100 + n)
            if arguments.only_images:
                continue
            case = one_case(image, truth, network, measured=not arguments.no_measure)
            report["cases"].append({"knee": knee, "kl": grades[path.name], "sequence": sequence, **case})
            scores = "  ".join(f"{case[f'dice {label.name.lower()}']:.3f}" for label in Label)
            print(f"{knee:22} KL {grades[path.name]:8} {sequence:7} dice {scores}  {case['verdict']}", flush=True)
    if arguments.only_images:
        return
    report["real_echoes"] = real_echoes(arguments.data, network)
    print("real echoes, pairwise Dice:", report["real_echoes"])
    path = arguments.data / "labels" / f"{VALIDATION[0]}_side-R_dseg.nii.gz"
    image, _ = kept_image(arguments.images, VALIDATION[0], reorient(read_label_map(path)), "dess", 100)
    report["time"] = [time_and_memory(image, 2)]
    print("one DESS volume:", report["time"])
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(report, indent=1, default=float) + "\n")


if __name__ == "__main__":
    main()
