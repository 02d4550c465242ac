"""Where crops to learn from come from: processes that draw beside the training, or the device that learns."""

from __future__ import annotations

import queue
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
import torch.multiprocessing as mp
from chance import Chance
from generator import load_knee
from task import Arrays, Config, Task, knees

from mriseg.splits import Split

Tensor = torch.Tensor


class Feed(Protocol):
    """Batches without end; ``new`` counts the crops that were drawn for them."""

    new: int

    def batch(self) -> tuple[Tensor, ...]:
        """Tensors of a batch: what the network is shown, and last the target."""

    def close(self) -> None:
        """End what draws."""


class ProcessFeed:
    """Batches from processes that draw knees; while none is new, recent ones are shown again."""

    def __init__(self, cache: Path, config: Config, task: Task, *, seed: int, device: str, workers: int) -> None:
        context = mp.get_context("spawn")
        self.config, self.task, self.device, self.rng = config, task, device, np.random.default_rng(seed)
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
            return self.task.again(self.task.unpack(seen, self.device), self.rng)
        self.new += 1
        return self.task.unpack(self.held[-1], self.device)

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


class DeviceFeed:
    """Batches drawn on the device that learns: one new pose a batch, and beside it crops that were shown before."""

    def __init__(self, cache: Path, config: Config, task: Task, *, seed: int, device: str) -> None:
        if task.draw is None:
            raise ValueError("This task cannot be drawn on a device; expected processes that draw.")
        self.config, self.task, self.draw = config, task, task.draw
        self.chance = Chance(np.random.default_rng(seed), device)
        self.knees = [load_knee(path, device) for path in knees(cache, Split.TRAINING)]
        self.held: list[tuple[Tensor, ...]] = []
        self.new = 0

    def batch(self) -> tuple[Tensor, ...]:
        """As many crops as the configuration asks for, stacked."""
        rng = self.chance.rng
        fresh = self.draw(self.knees[rng.integers(len(self.knees))], self.config, self.chance)[: self.config.batch]
        self.new += len(fresh)
        seen = [self.held[rng.integers(len(self.held))] for _ in range(self.config.batch - len(fresh)) if self.held]
        crops = fresh + [self.task.again(crop, rng) for crop in seen]
        self.held = [*self.held, *fresh][-self.config.replay :]
        return tuple(torch.stack(tensors) for tensors in zip(*crops, strict=True))

    def close(self) -> None:
        """Let the drawn crops go."""
        self.held.clear()
