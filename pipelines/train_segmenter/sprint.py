"""All of a training in one go and in a given time: cache, both networks, validation, exported files.

    bash sprint.sh MINUTES LABELS ANATOMY.nrrd WORK OUT

For a GPU that is there for some minutes. The cache is made on all cores (about a minute on 16). Crops for the segmenter
are drawn on the device that learns, those for the refiner by processes, since its evidence is taken on CPUs. Both begin
with the shipped weights, unless WORK holds a run already: then they go on. OUT receives ``segmenter.onnx`` with its
specification, ``segmenter_refiner.onnx``, and ``runs.tar.gz`` with configuration, losses and validation scores: no file
above 16 MiB. To go on elsewhere, begin with the files of an earlier sprint: ``--weights OUT``.
"""

from __future__ import annotations

import argparse
import tarfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import prepare
import train
import train_refiner
import warm_start
from export import export
from loop import Run
from loop import train as learn

MIB = 2**20
LARGEST_MIB = 16
EXPORT_SHARE = 0.05  # of the time, for the last export


def fill_cache(labels: Path, anatomy: Path, cache: Path, workers: int) -> None:
    """Prepare the knees of training and validation on that many cores."""
    if workers == 1:
        prepare.fill(labels, anatomy, cache)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        parts = [pool.submit(prepare.fill, labels, anatomy, cache, slice(n, None, workers)) for n in range(workers)]
        for part in parts:
            part.result()


def run_segmenter(given: argparse.Namespace, minutes: float) -> Run:
    """Train the segmenter for some minutes, on crops drawn on the device."""
    folder = given.work / "segmenter"
    if not (folder / "checkpoint.pt").exists():
        warm_start.begin(given.weights / "segmenter.onnx", folder, refines=False)
    config = replace(train.USUAL, size=tuple(given.size), batch=given.batch, peak_rate=given.rate)
    run = train.begin(folder, config, train.SEGMENTER, 1)
    if given.share > 0:
        held_out = train.validation_set(given.cache, config, run.device)
        learn(run, train.feed_of(run, given.cache, workers=0), held_out, **paces(run, minutes))
    return run


def run_refiner(given: argparse.Namespace, segmenter: Path, minutes: float) -> Run:
    """Train the refiner for some minutes, on what the exported segmenter finds."""
    folder = given.work / "refiner"
    if not (folder / "checkpoint.pt").exists():
        warm_start.begin(given.weights / "segmenter_refiner.onnx", folder, refines=True)
    config = replace(train_refiner.USUAL, size=tuple(given.fine_size), field=tuple(given.field), batch=given.fine_batch)
    config = replace(config, peak_rate=given.rate)
    run = train.begin(folder, config, train_refiner.task(segmenter), 1)
    feed = train.feed_of(run, given.cache, workers=given.workers)  # its processes draw while validation crops are drawn
    held_out = train_refiner.validation_set(given.cache, config, segmenter)
    learn(run, feed, held_out, **paces(run, minutes))
    return run


def paces(run: Run, minutes: float) -> dict[str, float]:
    """Arguments of one piece of training that uses up its plan: the learning rate falls to nothing at its end."""
    return {"minutes": minutes, "plan_minutes": run.spent / 60 + minutes, "check_s": minutes * 12}


def collect(given: argparse.Namespace) -> None:
    """Pack what says how the runs went, and check that every file may travel."""
    with tarfile.open(given.out / "runs.tar.gz", "w:gz") as archive:
        for name in ("segmenter", "refiner"):
            for path in sorted([*(given.work / name).glob("*.json"), *(given.work / name).glob("*.csv")]):
                archive.add(path, path.relative_to(given.work))
    large = [path.name for path in given.out.iterdir() if path.stat().st_size > LARGEST_MIB * MIB]
    if large:
        raise SystemExit(f"{', '.join(large)}: larger than {LARGEST_MIB} MiB; lower the widths of the network.")


def main() -> None:
    """Run the sprint."""
    start, given = time.time(), arguments()
    given.out.mkdir(parents=True, exist_ok=True)
    given.cache = given.work / "cache"

    def left() -> float:
        return max(1e-3, given.minutes * (1 - EXPORT_SHARE) - (time.time() - start) / 60)

    fill_cache(given.labels, given.anatomy, given.cache, given.workers)
    print(f"cache ready, {left():.1f} minutes left", flush=True)
    first = run_segmenter(given, left() * given.share)
    segmenter = export(first.path, given.out, given.name)
    print(f"segmenter at step {first.step}, {left():.1f} minutes left", flush=True)
    second = run_refiner(given, segmenter, left())
    export(first.path, given.out, given.name, second.path)
    collect(given)
    print(f"refiner at step {second.step}; done in {(time.time() - start) / 60:.1f} minutes", flush=True)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("minutes", type=float, help="of all together")
    for name in ("labels", "anatomy", "work", "out"):
        parser.add_argument(name, type=Path)
    assets = Path(prepare.__file__).resolve().parents[2] / "mriseg" / "assets"
    parser.add_argument("--weights", type=Path, default=assets, help="folder of the ONNX files to begin with")
    parser.add_argument("--share", type=float, default=0.45, help="of the time for the segmenter; 0 keeps it as it is")
    parser.add_argument("--size", type=int, nargs=3, default=(96, 128, 128), help="voxels of a crop of the segmenter")
    parser.add_argument("--fine-size", type=int, nargs=3, default=(64, 96, 96), help="the same of the refiner")
    parser.add_argument("--field", type=int, nargs=3, default=train_refiner.USUAL.field, help="which it is taken from")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--fine-batch", type=int, default=8)
    parser.add_argument("--rate", type=float, default=train.USUAL.peak_rate)
    parser.add_argument("--workers", type=int, default=16, help="processes, a core each")
    parser.add_argument("--name", default="mriseg knee segmenter 5")
    return parser.parse_args()


if __name__ == "__main__":
    main()
