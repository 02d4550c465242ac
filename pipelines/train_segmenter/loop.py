"""Training in pieces that resume, whatever the network: the state of a run, and the steps of a piece."""

from __future__ import annotations

import csv
import time
from pathlib import Path

import numpy as np
import torch
from feed import Feed
from network import CLASSES
from task import Config, Task

Tensor = torch.Tensor
Crops = list[tuple[Tensor, ...]]
CARTILAGES = (2, 4, 6)


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


def log_row(path: Path, row: list[object], names: list[str]) -> None:
    """Append one row to a CSV file."""
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(names)
        writer.writerow(row)


def train(
    run: Run, feed: Feed, held_out: Crops, *, minutes: float, plan_minutes: float, check_s: float = 420.0
) -> None:
    """Train for ``minutes``, one step at least.

    Losses, and scores on the crops ``held_out``, go to CSV files in the run's folder. Scores are taken every
    ``check_s`` and at the end, a checkpoint is kept every three minutes and at the end. The feed is closed at the end.
    """
    start, already, losses = time.time(), run.spent, []
    last_check, last_save = start - check_s, start
    try:
        while not losses or time.time() - start < minutes * 60:
            batch = feed.batch()
            run.spent = already + time.time() - start
            losses.append(run.learn(batch, run.spent / 60 / plan_minutes))
            if run.step % 10 == 0:
                row = [run.step, round(run.spent), round(float(np.mean(losses[-10:])), 4), feed.new]
                log_row(run.folder / "loss.csv", row, ["step", "seconds", "loss", "new_pairs"])
            if time.time() - last_check > check_s:
                last_check = time.time()
                log_scores(run, held_out)
            if time.time() - last_save > 180:
                last_save = time.time()
                run.save()
    finally:
        feed.close()
    log_scores(run, held_out)
    run.save()


def log_scores(run: Run, held_out: Crops) -> None:
    """Append the scores of the averaged weights on the validation crops to the run's table."""
    names = ["step", "seconds", "femur", "femoral_cartilage", "tibia", "tibial_cartilage"]
    names += ["patella", "patellar_cartilage", "lost_seen"]
    scores = [round(v, 4) for v in run.validate(held_out)]
    log_row(run.folder / "validation.csv", [run.step, round(run.spent), *scores], names)
