"""Training in pieces that resume, whatever the network: a feed of drawn crops, and the state of a run."""

from __future__ import annotations

import csv
import queue
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.multiprocessing as mp
from network import CLASSES
from torch import nn

from mriseg.splits import Split, load_splits

Tensor = torch.Tensor
Arrays = tuple[np.ndarray, ...]
CARTILAGES = (2, 4, 6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What decides the result, whatever the network."""

    voxel_mm: float
    size: tuple[int, int, int]
    batch: int = 1
    peak_rate: float = 1.5e-3
    flat: float = 0.5
    weight_decay: float = 1e-4
    clip: float = 2.0
    ema: float = 0.998
    replay: int = 120
    seed: int = 20260101


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is learnt.

    Parameters
    ----------
    make : callable
        Gives the network with its first weights.
    produce : callable
        Draws for ever what travels between processes: (cache, config, seed, queue).
    unpack : callable
        Tensors of what travelled, without the axis of a batch: what the network is shown, and last the target.
    again : callable
        Changes tensors that were shown before, so that they are new: (tensors, random numbers).
    loss : callable
        Of logits and targets.
    """

    make: Callable[[], nn.Module]
    produce: Callable[[Path, Config, int, mp.Queue], None]
    unpack: Callable[[Arrays], tuple[Tensor, ...]]
    again: Callable[[tuple[Tensor, ...], np.random.Generator], tuple[Tensor, ...]]
    loss: Callable[[Tensor, Tensor], Tensor]


def knees(cache: Path, split: Split) -> list[Path]:
    """Prepared knees of one split."""
    return load_splits().chosen((p for p in cache.glob("sub-*.npy") if ".part" not in p.name), split)


class Run:
    """State of one training that can be put down and taken up."""

    def __init__(self, folder: Path, config: Config, task: Task, device: str = "cpu") -> None:
        torch.manual_seed(config.seed)
        self.folder, self.config, self.task, self.device = folder, config, task, device
        self.model, self.mean = task.make().to(device), task.make().to(device).eval()
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

    def learn(self, batch: tuple[Tensor, ...], share: float) -> float:
        """Take one step at ``share`` of the planned time; return the loss."""
        fall = np.clip((1 - share) / (1 - self.config.flat), 0, 1)
        rate = self.config.peak_rate * min(1, (self.step + 1) / 40) * fall
        for group in self.optimizer.param_groups:
            group["lr"] = float(rate) + 1e-6
        self.model.train()
        *shown, target = (tensor.to(self.device) for tensor in batch)
        with torch.autocast(self.device, torch.bfloat16, enabled=self.device == "cuda"):
            logits = self.model(*shown)
        loss = self.task.loss(logits.float(), target)
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        self.optimizer.step()
        self.step += 1
        keep = min(self.config.ema, self.step / (self.step + 10))
        with torch.no_grad():
            for slow, fast in zip(self.mean.parameters(), self.model.parameters(), strict=True):
                slow.lerp_(fast, 1 - keep)
        return float(loss.detach())

    @torch.no_grad()
    def validate(self, crops: list[tuple[Tensor, ...]]) -> list[float]:
        """Mean :func:`scores_of` of the averaged weights over the validation crops."""
        if not crops:
            return [float("nan")] * 7
        scores = []
        for crop in crops:
            *shown, target = (tensor[None].to(self.device) for tensor in crop)
            scores.append(scores_of(self.mean(*shown), target))
        return [float(v) for v in np.nanmean(np.array(scores), axis=0)]


def scores_of(logits: Tensor, target: Tensor) -> list[float]:
    """Dice of labels 1 to 6 after argmax, and the share of lost cartilage that is not called one; NaN where absent."""
    found, truth = logits.argmax(1), target[:, :CLASSES].argmax(1)
    pairs = [(found == n, truth == n) for n in range(1, CLASSES)]
    scores = [float(2 * (a & b).sum() / (a.sum() + b.sum())) if int(b.sum()) > 60 else float("nan") for a, b in pairs]
    filled, kept = (sum(labels == n for n in CARTILAGES).bool() for labels in (found, truth))
    lost = (target[:, CLASSES] > 0.5) & ~kept
    return [*scores, float((lost & ~filled).sum() / lost.sum()) if int(lost.sum()) > 60 else float("nan")]


class Feed:
    """Batches from processes that draw knees; while none is new, recent ones are shown again."""

    def __init__(self, cache: Path, config: Config, task: Task, seed: int, workers: int) -> None:
        context = mp.get_context("spawn")
        self.config, self.task, self.rng = config, task, np.random.default_rng(seed)
        self.fresh: mp.Queue = context.Queue(maxsize=4 * workers)
        self.held: list[Arrays] = []
        self.new = 0
        self.workers = [
            context.Process(target=task.produce, args=(cache, config, seed + 1 + n, self.fresh), daemon=True)
            for n in range(workers)
        ]
        for worker in self.workers:
            worker.start()

    def crop(self) -> tuple[Tensor, ...]:
        """Tensors of one crop: new if there is one, else seen before and changed."""
        try:
            self.held = [*self.held[-self.config.replay + 1 :], self.next_new(wait=len(self.held) < 8)]
        except queue.Empty:
            seen = self.held[self.rng.integers(len(self.held))]
            return self.task.again(self.task.unpack(seen), self.rng)
        self.new += 1
        return self.task.unpack(self.held[-1])

    def next_new(self, *, wait: bool) -> Arrays:
        """Take the next crop that was never shown; where no process is left to draw one, say so and do not wait."""
        while True:
            try:
                return self.fresh.get(block=wait, timeout=5)
            except queue.Empty:
                if not any(worker.is_alive() for worker in self.workers):
                    raise RuntimeError("Every process that draws knees has ended; its error stands above.") from None
                if not wait:
                    raise

    def batch(self) -> tuple[Tensor, ...]:
        """As many crops as the configuration asks for, stacked."""
        crops = zip(*(self.crop() for _ in range(self.config.batch)), strict=True)
        return tuple(torch.stack(tensors) for tensors in crops)

    def close(self) -> None:
        """End the processes."""
        for worker in self.workers:
            worker.terminate()
            worker.join()


def log_row(path: Path, row: list[object], names: list[str]) -> None:
    """Append one row to a CSV file."""
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(names)
        writer.writerow(row)


def train(
    run: Run, cache: Path, held_out: list[tuple[Tensor, ...]], *, minutes: float, plan_minutes: float, workers: int = 1
) -> None:
    """Train for ``minutes``; losses, and scores on crops ``held_out``, go to CSV files in the run's folder."""
    feed = Feed(cache, run.config, run.task, run.config.seed + run.step, workers)
    start, already, losses, last_check, last_save = time.time(), run.spent, [], 0.0, time.time()
    while (time.time() - start) < minutes * 60:
        batch = feed.batch()
        run.spent = already + time.time() - start
        losses.append(run.learn(batch, run.spent / 60 / plan_minutes))
        if run.step % 10 == 0:
            row = [run.step, round(run.spent), round(float(np.mean(losses[-10:])), 4), feed.new]
            log_row(run.folder / "loss.csv", row, ["step", "seconds", "loss", "new_pairs"])
        if time.time() - last_check > 420:
            last_check = time.time()
            scores = [round(v, 4) for v in run.validate(held_out)]
            names = ["step", "seconds", "femur", "femoral_cartilage", "tibia", "tibial_cartilage"]
            names += ["patella", "patellar_cartilage", "lost_seen"]
            log_row(run.folder / "validation.csv", [run.step, round(run.spent), *scores], names)
        if time.time() - last_save > 180:
            last_save = time.time()
            run.save()
    run.save()
    feed.close()
