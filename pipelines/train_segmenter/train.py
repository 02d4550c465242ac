"""Train the segmenter on drawn knees, in pieces that resume.

    python train.py CACHE_DIR RUN_DIR --minutes 25 --plan-minutes 75 [--threads 2]
    python train.py CACHE_DIR RUN_DIR --plan-minutes 300 --voxel 0.8 --size 96 128 128 --batch 4 --workers 12

The learning rate follows the share of the planned time that is used: it stays at its peak, then falls linearly to
nothing, so that it always comes down by the end, however slow the machine is. Training never waits for the generator:
while no new knee is ready, a recent one is shown again, mirrored and with other noise.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
import torch.multiprocessing as mp
import torch.nn.functional as fn
from chance import Chance
from feed import DeviceFeed, Feed, ProcessFeed
from generator import Knee, draw, load_knee
from loop import Run, train
from network import CLASSES, KneeNet
from task import Arrays, Config, Task, knees

from mriseg.splits import Split, load_splits

Tensor = torch.Tensor
COUNTS = 5.0  # a crater of 50 mm2 has some 300 voxels of 0.6 mm in a crop of 250,000
USUAL = Config(voxel_mm=1.2, size=(48, 80, 64))


def produce(cache: Path, config: Config, seed: int, out: mp.Queue) -> None:
    """Draw pairs for ever; knees that are added to the cache meanwhile are picked up."""
    torch.set_num_threads(1)
    chance = Chance(np.random.default_rng(seed))
    pool: dict[Path, object] = {}
    while True:
        for path in knees(cache, Split.TRAINING):
            pool.setdefault(path, None)
        path = list(pool)[chance.rng.integers(len(pool))]
        pool[path] = pool[path] or load_knee(path)
        for image, target in draw(pool[path], config.size, chance, voxel_mm=config.voxel_mm):
            out.put((image.half().numpy(), (target * 255).round().byte().numpy()))


def unpack(pair: Arrays, device: str) -> tuple[Tensor, Tensor]:
    """Unpack a pair as it travels between processes: half floats, and the target in 255ths."""
    image, target = pair
    return torch.from_numpy(image).to(device).float(), unpacked(target, device)


def unpacked(target: np.ndarray, device: str) -> Tensor:
    """Target (8, I, J, K) in 255ths as fractions that sum to 1, and where voxels count more."""
    result = torch.from_numpy(target).to(device).float() / 255
    result[:CLASSES] /= result[:CLASSES].sum(0, keepdim=True).clamp(min=1e-6)
    return result


def again(pair: tuple[Tensor, ...], rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Show a knee a second time: mirrored, with another gamma and more noise."""
    image, target = pair
    if rng.random() < 0.5:
        image, target = image.flip(1), target.flip(1)
    low = image.min()
    image = (image - low) ** float(np.exp(rng.normal(0, 0.25)))
    image = (image - image.mean()) / (image.std() + 1e-6)
    return image + torch.randn_like(image) * float(rng.uniform(0, 0.15)), target


def loss_of(logits: Tensor, target: Tensor, *, weight: float = 2.0, least: int = 60, counts: float = COUNTS) -> Tensor:
    """Cross-entropy against fractions, ``weight`` times, plus soft Dice of labels with at least that many voxels.

    A voxel counts more by ``counts`` times the last channel of the target (N, 8, I, J, K).
    """
    log_share = fn.log_softmax(logits, 1)
    target, more = target[:, :CLASSES], target[:, CLASSES]
    voxels = 1 + counts * more
    cross = -((target * log_share).sum(1) * voxels).sum() / voxels.sum()
    share = log_share.exp()
    axes = (0, 2, 3, 4)
    both, size = (share * target).sum(axes), (share**2).sum(axes) + (target**2).sum(axes)
    present = target.sum(axes) > least
    present[0] = False
    dice = 1 - (2 * both + 1) / (size + 1)
    return cross * weight + (dice[present].mean() if present.any() else 0)


def drawn(knee: Knee, config: Config, chance: Chance) -> list[tuple[Tensor, ...]]:
    """Two images of one pose of a knee, on the device of ``chance``."""
    return list(draw(knee, config.size, chance, voxel_mm=config.voxel_mm, contrasts=2))


SEGMENTER = Task(make=KneeNet, produce=produce, draw=drawn, unpack=unpack, again=again, loss=loss_of)


def validation_set(cache: Path, config: Config, device: str) -> list[tuple[Tensor, ...]]:
    """Return eight crops of knees that are never trained on, the same on each kind of device."""
    chance = Chance(np.random.default_rng(1), device)
    paths = knees(cache, Split.VALIDATION)
    pairs: list[tuple[Tensor, ...]] = []
    for n in range(4 if paths else 0):
        knee = load_knee(paths[n % len(paths)])
        pairs += draw(knee, config.size, chance, voxel_mm=config.voxel_mm, contrasts=2)
    return pairs


def arguments_of(usual: Config, description: str | None) -> argparse.ArgumentParser:
    """Arguments that every training has."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cache", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--minutes", type=float, default=25)
    parser.add_argument("--plan-minutes", type=float, default=75)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=1, help="cores that draw; 0: draw on the device")
    parser.add_argument("--size", type=int, nargs=3, default=usual.size, help="voxels of a crop, multiples of 16")
    parser.add_argument("--batch", type=int, default=usual.batch)
    parser.add_argument("--rate", type=float, default=usual.peak_rate)
    return parser


def begin(folder: Path, config: Config, task: Task, threads: int) -> Run:
    """Make or take up the run in ``folder``, with its configuration written down."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(threads)
    roles = {split.value: sorted(load_splits().members(split)) for split in Split}
    (folder / "config.json").write_text(json.dumps(asdict(config) | roles, indent=1))
    return Run(folder, config, task, "cuda" if torch.cuda.is_available() else "cpu")


def feed_of(run: Run, cache: Path, *, workers: int) -> Feed:
    """Crops for a run, from that many processes, or drawn on the device that learns where there are none."""
    seed = run.config.seed + run.step
    if workers:
        return ProcessFeed(cache, run.config, run.task, seed=seed, device=run.device, workers=workers)
    return DeviceFeed(cache, run.config, run.task, seed=seed, device=run.device)


def main() -> None:
    """Run one piece of training."""
    parser = arguments_of(USUAL, __doc__)
    parser.add_argument("--voxel", type=float, default=USUAL.voxel_mm, help="mm; the network is exported for it")
    given = parser.parse_args()
    config = Config(voxel_mm=given.voxel, size=tuple(given.size), batch=given.batch, peak_rate=given.rate)
    run = begin(given.run, config, SEGMENTER, given.threads)
    feed = feed_of(run, given.cache, workers=given.workers)
    held_out = validation_set(given.cache, config, run.device)
    train(run, feed, held_out, minutes=given.minutes, plan_minutes=given.plan_minutes)


if __name__ == "__main__":
    main()
