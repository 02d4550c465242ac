"""Train the segmenter on drawn knees, in pieces that resume.

    python train.py CACHE_DIR RUN_DIR --minutes 25 --plan-minutes 75 [--threads 2]
    python train.py CACHE_DIR RUN_DIR --plan-minutes 300 --voxel 0.8 --size 96 128 128 --batch 4 --workers 12

The learning rate follows the share of the planned time that is used: it stays at its peak, then falls linearly to
nothing, so that it always comes down by the end, however slow the machine is. Training never waits for the generator:
while no new knee is ready, a recent one is shown again, mirrored and with other noise.
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

    voxel_mm: float = 1.2
    size: tuple[int, int, int] = (48, 80, 64)
    batch: int = 1
    peak_rate: float = 1.5e-3
    flat: float = 0.5
    weight_decay: float = 1e-4
    ema: float = 0.998
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
        for image, target in draw(pool[path], config.size, rng, voxel_mm=config.voxel_mm):
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
        knee = load_knee(paths[n % len(paths)])
        pairs += draw(knee, config.size, rng, voxel_mm=config.voxel_mm, contrasts=2)
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
        state |= {"voxel_mm": self.config.voxel_mm, "spent": self.spent}
        torch.save({**state, "optimizer": self.optimizer.state_dict()}, part)
        part.rename(self.path)

    def learn(self, image: Tensor, target: Tensor, share: float) -> float:
        """Take one step at ``share`` of the planned time; return the loss."""
        fall = np.clip((1 - share) / (1 - self.config.flat), 0, 1)
        rate = self.config.peak_rate * min(1, (self.step + 1) / 40) * fall
        for group in self.optimizer.param_groups:
            group["lr"] = float(rate) + 1e-6
        self.model.train()
        with torch.autocast(self.device, torch.bfloat16, enabled=self.device == "cuda"):
            logits = self.model(image.to(self.device))
        loss = loss_of(logits.float(), target.to(self.device))
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


class Feed:
    """Batches from processes that draw knees; while none is new, recent ones are shown again."""

    def __init__(self, cache: Path, config: Config, seed: int, workers: int) -> None:
        context = mp.get_context("spawn")
        self.config, self.rng = config, np.random.default_rng(seed)
        self.fresh: mp.Queue = context.Queue(maxsize=4 * workers)
        self.held: list[tuple[np.ndarray, np.ndarray]] = []
        self.new = 0
        self.workers = [
            context.Process(target=produce, args=(cache, config, seed + 1 + n, self.fresh), daemon=True)
            for n in range(workers)
        ]
        for worker in self.workers:
            worker.start()

    def pair(self) -> tuple[Tensor, Tensor]:
        """Image (1, I, J, K) and fractions (7, I, J, K): new if there is one, else seen before and changed."""
        try:
            self.held = [*self.held[-self.config.replay + 1 :], self.next_new(wait=len(self.held) < 8)]
        except queue.Empty:
            return again(*as_tensors(*self.held[self.rng.integers(len(self.held))]), self.rng)
        self.new += 1
        return as_tensors(*self.held[-1])

    def next_new(self, *, wait: bool) -> tuple[np.ndarray, np.ndarray]:
        """Take the next pair that was never shown; where no process is left to draw one, say so and do not wait."""
        while True:
            try:
                return self.fresh.get(block=wait, timeout=5)
            except queue.Empty:
                if not any(worker.is_alive() for worker in self.workers):
                    raise RuntimeError("Every process that draws knees has ended; its error stands above.") from None
                if not wait:
                    raise

    def batch(self) -> tuple[Tensor, Tensor]:
        """As many pairs as the configuration asks for, stacked."""
        images, targets = zip(*(self.pair() for _ in range(self.config.batch)), strict=True)
        return torch.stack(images), torch.stack(targets)

    def close(self) -> None:
        """End the processes."""
        for worker in self.workers:
            worker.terminate()
            worker.join()


def as_tensors(image: np.ndarray, target: np.ndarray) -> tuple[Tensor, Tensor]:
    """Unpack a pair as it travels between processes: half floats, and fractions in 255ths."""
    fractions = torch.from_numpy(target).float() / 255
    return torch.from_numpy(image).float(), fractions / fractions.sum(0, keepdim=True)


def train(run: Run, cache: Path, *, minutes: float, plan_minutes: float, workers: int = 1) -> None:
    """Train for ``minutes``; losses and validation scores go to CSV files in the run's folder."""
    feed = Feed(cache, run.config, run.config.seed + run.step, workers)
    pairs = validation_set(cache, run.config)
    start, already, losses, last_check, last_save = time.time(), run.spent, [], 0.0, time.time()
    while (time.time() - start) < minutes * 60:
        image, target = feed.batch()
        run.spent = already + time.time() - start
        losses.append(run.learn(image, target, run.spent / 60 / plan_minutes))
        if run.step % 10 == 0:
            row = [run.step, round(run.spent), round(float(np.mean(losses[-10:])), 4), feed.new]
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
    feed.close()


def main() -> None:
    """Run one piece of training."""
    usual = Config()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cache", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--minutes", type=float, default=25)
    parser.add_argument("--plan-minutes", type=float, default=75)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=1, help="processes that draw knees, a core each")
    parser.add_argument("--voxel", type=float, default=usual.voxel_mm, help="mm; the network is exported for it")
    parser.add_argument("--size", type=int, nargs=3, default=usual.size, help="voxels of a crop, multiples of 16")
    parser.add_argument("--batch", type=int, default=usual.batch)
    parser.add_argument("--rate", type=float, default=usual.peak_rate)
    arguments = parser.parse_args()
    arguments.run.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(arguments.threads)
    config = Config(
        voxel_mm=arguments.voxel, size=tuple(arguments.size), batch=arguments.batch, peak_rate=arguments.rate
    )
    (arguments.run / "config.json").write_text(json.dumps(asdict(config) | {"validation": VALIDATION}, indent=1))
    run = Run(arguments.run, config, "cuda" if torch.cuda.is_available() else "cpu")
    plan = arguments.plan_minutes
    train(run, arguments.cache, minutes=arguments.minutes, plan_minutes=plan, workers=arguments.workers)


if __name__ == "__main__":
    main()
