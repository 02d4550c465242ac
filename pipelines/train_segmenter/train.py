"""Train the segmenter on drawn knees, in pieces that resume.

    python train.py CACHE_DIR RUN_DIR --minutes 25 --plan-minutes 75 [--threads 2]

The learning rate follows the share of the planned time that is used: it stays at its peak, then falls linearly to
nothing, so that it always comes down by the end, however slow the machine is. Training never waits for the generator: while no new knee is ready, a recent one is shown again,
mirrored and with other noise.
"""

from __future__ import annotations

import argparse
import csv
import json
import queue
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.multiprocessing as mp
import torch.nn.functional as fn
from generator import draw, load_knee
from network import KneeNet

Tensor = torch.Tensor
# Held out by subject: K-L 3 (9013161, 9016403), K-L 0 (9017909), and late visits with denuded plates.
VALIDATION = ("9013161", "9016403", "9017909", "9357383", "9364232", "9373786")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What decides the result."""

    size: tuple[int, int, int] = (48, 80, 64)
    peak_rate: float = 1.5e-3
    flat: float = 0.75
    weight_decay: float = 1e-4
    ema: float = 0.995
    replay: int = 120
    seed: int = 20260101


def knees(cache: Path, *, validation: bool) -> list[Path]:
    """Prepared knees of one side of the split."""
    paths = [p for p in sorted(cache.glob("sub-*.npy")) if ".part" not in p.name]
    return [p for p in paths if any(v in p.name for v in VALIDATION) == validation]


def produce(cache: Path, config: Config, seed: int, out: mp.Queue) -> None:
    """Draw pairs for ever; knees that are added to the cache meanwhile are picked up."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(seed)
    pool: dict[Path, object] = {}
    while True:
        for path in knees(cache, validation=False):
            pool.setdefault(path, None)
        path = list(pool)[rng.integers(len(pool))]
        pool[path] = pool[path] or load_knee(path)
        for image, target in draw(pool[path], config.size, rng):
            out.put((image.half().numpy(), (target * 255).round().byte().numpy()))


def loss_of(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy against fractions plus soft Dice of the labels that are in the crop."""
    log_share = fn.log_softmax(logits, 1)
    cross = -(target * log_share).sum(1).mean()
    share = log_share.exp()
    axes = (0, 2, 3, 4)
    both, size = (share * target).sum(axes), (share**2).sum(axes) + (target**2).sum(axes)
    present = target.sum(axes) > 60
    present[0] = False
    dice = 1 - (2 * both + 1) / (size + 1)
    return cross * 2 + (dice[present].mean() if present.any() else 0)


def dice_scores(logits: Tensor, target: Tensor) -> list[float]:
    """Dice of labels 1 to 6 after argmax; NaN where a label is absent."""
    found, truth = logits.argmax(1), target.argmax(1)
    result = []
    for n in range(1, 7):
        a, b = found == n, truth == n
        size = int(b.sum())
        result.append(float(2 * (a & b).sum() / (a.sum() + b.sum())) if size > 60 else float("nan"))
    return result


def validation_set(cache: Path, config: Config) -> list[tuple[Tensor, Tensor]]:
    """Return eight fixed crops of knees that are never trained on."""
    rng = np.random.default_rng(1)
    paths = knees(cache, validation=True)
    pairs = []
    for n in range(4 if paths else 0):
        pairs += draw(load_knee(paths[n % len(paths)]), config.size, rng, contrasts=2)
    return pairs


def again(image: Tensor, target: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Show a knee a second time: mirrored, with another gamma and more noise."""
    if rng.random() < 0.5:
        image, target = image.flip(1), target.flip(1)
    low = image.min()
    image = (image - low) ** float(np.exp(rng.normal(0, 0.25)))
    image = (image - image.mean()) / (image.std() + 1e-6)
    return image + torch.randn_like(image) * float(rng.uniform(0, 0.15)), target


class Run:
    """State of one training that can be put down and taken up."""

    def __init__(self, folder: Path, config: Config, device: str) -> None:
        torch.manual_seed(config.seed)
        self.folder, self.config, self.device = folder, config, device
        self.model = KneeNet().to(device)
        self.mean = KneeNet().to(device).eval()
        self.mean.load_state_dict(self.model.state_dict())
        self.optimizer = torch.optim.AdamW(self.model.parameters(), config.peak_rate, weight_decay=config.weight_decay)
        self.step, self.spent = 0, 0.0
        if self.path.exists():
            state = torch.load(self.path, map_location=device, weights_only=True)
            self.model.load_state_dict(state["model"])
            self.mean.load_state_dict(state["mean"])
            if "optimizer" in state:
                self.optimizer.load_state_dict(state["optimizer"])
            self.step, self.spent = state["step"], state["spent"]

    @property
    def path(self) -> Path:
        """File of the checkpoint."""
        return self.folder / "checkpoint.pt"

    def save(self) -> None:
        """Write the checkpoint, in whole or not at all."""
        part = self.path.with_suffix(".part")
        state = {"model": self.model.state_dict(), "mean": self.mean.state_dict(), "step": self.step}
        torch.save({**state, "optimizer": self.optimizer.state_dict(), "spent": self.spent}, part)
        part.rename(self.path)

    def learn(self, image: Tensor, target: Tensor, share: float) -> float:
        """Take one step at ``share`` of the planned time; return the loss."""
        fall = np.clip((1 - share) / (1 - self.config.flat), 0, 1)
        rate = self.config.peak_rate * min(1, (self.step + 1) / 40) * fall
        for group in self.optimizer.param_groups:
            group["lr"] = float(rate) + 1e-6
        self.model.train()
        loss = loss_of(self.model(image.to(self.device)), target.to(self.device))
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 2.0)
        self.optimizer.step()
        self.step += 1
        keep = min(self.config.ema, self.step / (self.step + 10))
        with torch.no_grad():
            for slow, fast in zip(self.mean.parameters(), self.model.parameters(), strict=True):
                slow.lerp_(fast, 1 - keep)
        return float(loss.detach())

    @torch.no_grad()
    def validate(self, pairs: list[tuple[Tensor, Tensor]]) -> list[float]:
        """Mean Dice of labels 1 to 6 of the averaged weights over the validation crops."""
        if not pairs:
            return [float("nan")] * 6
        scores = [dice_scores(self.mean(i[None].to(self.device)), t[None].to(self.device)) for i, t in pairs]
        return [float(v) for v in np.nanmean(np.array(scores), axis=0)]


def log_row(path: Path, row: list[object], names: list[str]) -> None:
    """Append one row to a CSV file."""
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(names)
        writer.writerow(row)


def train(run: Run, cache: Path, *, minutes: float, plan_minutes: float) -> None:
    """Train for ``minutes``; losses and validation scores go to CSV files in the run's folder."""
    config, rng = run.config, np.random.default_rng(run.config.seed + run.step)
    context = mp.get_context("spawn")
    fresh: mp.Queue = context.Queue(maxsize=4)
    seed = config.seed + 1 + run.step
    worker = context.Process(target=produce, args=(cache, config, seed, fresh), daemon=True)
    worker.start()
    held: list[tuple[np.ndarray, np.ndarray]] = []
    pairs = validation_set(cache, config)
    start, already, losses, last_check, last_save, n_new = time.time(), run.spent, [], 0.0, time.time(), 0
    while (time.time() - start) < minutes * 60:
        try:
            pair = fresh.get(block=len(held) < 8)
            held = [*held[-config.replay + 1 :], pair]
            n_new, is_new = n_new + 1, True
        except queue.Empty:
            pair, is_new = held[rng.integers(len(held))], False
        image = torch.from_numpy(pair[0]).float()
        target = torch.from_numpy(pair[1]).float() / 255
        target /= target.sum(0, keepdim=True)
        if not is_new:
            image, target = again(image, target, rng)
        run.spent = already + time.time() - start
        losses.append(run.learn(image[None], target[None], run.spent / 60 / plan_minutes))
        if run.step % 10 == 0:
            row = [run.step, round(run.spent), round(float(np.mean(losses[-10:])), 4), n_new]
            log_row(run.folder / "loss.csv", row, ["step", "seconds", "loss", "new_pairs"])
        if time.time() - last_check > 420:
            last_check = time.time()
            scores = [round(v, 4) for v in run.validate(pairs)]
            names = ["step", "seconds", "femur", "femoral_cartilage", "tibia", "tibial_cartilage"]
            names += ["patella", "patellar_cartilage"]
            log_row(run.folder / "validation.csv", [run.step, round(run.spent), *scores], names)
        if time.time() - last_save > 180:
            last_save = time.time()
            run.save()
    run.save()
    worker.terminate()
    worker.join()


def main() -> None:
    """Run one piece of training."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cache", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--minutes", type=float, default=25)
    parser.add_argument("--plan-minutes", type=float, default=75)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    arguments.run.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(arguments.threads)
    config = Config()
    (arguments.run / "config.json").write_text(json.dumps(asdict(config) | {"validation": VALIDATION}, indent=1))
    run = Run(arguments.run, config, "cuda" if torch.cuda.is_available() else "cpu")
    train(run, arguments.cache, minutes=arguments.minutes, plan_minutes=arguments.plan_minutes)


if __name__ == "__main__":
    main()
