"""What is learnt, with which settings, and from which knees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.multiprocessing as mp
from chance import Chance
from generator import Knee
from torch import nn

from mriseg.splits import Split, load_splits

Tensor = torch.Tensor
Arrays = tuple[np.ndarray, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What decides the result, whatever the network.

    ``size`` is that of a crop, ``field`` what the segmenter is shown at once where a refiner learns from its answers;
    both in voxels of ``voxel_mm``.

    Raises
    ------
    ValueError
        Where the field does not fit the segmenter, which sees pairs of its voxels and halves its grid four times.
    """

    voxel_mm: float
    size: tuple[int, int, int]
    field: tuple[int, int, int] = (96, 160, 160)
    batch: int = 1
    peak_rate: float = 1.5e-3
    flat: float = 0.5
    weight_decay: float = 1e-4
    clip: float = 2.0
    ema: float = 0.998
    replay: int = 120
    seed: int = 20260101

    def __post_init__(self) -> None:
        if any(n % 32 for n in self.field):
            raise ValueError(f"The field is {self.field} voxels; expected multiples of 32.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is learnt.

    Parameters
    ----------
    make : callable
        Gives the network with its first weights.
    produce : callable
        Draws for ever what travels between processes: (cache, config, seed, queue).
    draw : callable or None
        Draws crops of one knee on the device of the random numbers: (knee, config, chance); None where some of the
        work has to be done on a CPU.
    unpack : callable
        Tensors, on a device, of what travelled, without the axis of a batch: what the network is shown, and last the
        target.
    again : callable
        Changes tensors that were shown before, so that they are new: (tensors, random numbers).
    loss : callable
        Of logits and targets.
    """

    make: Callable[[], nn.Module]
    produce: Callable[[Path, Config, int, mp.Queue], None]
    draw: Callable[[Knee, Config, Chance], list[tuple[Tensor, ...]]] | None
    unpack: Callable[[Arrays, str], tuple[Tensor, ...]]
    again: Callable[[tuple[Tensor, ...], np.random.Generator], tuple[Tensor, ...]]
    loss: Callable[[Tensor, Tensor], Tensor]


def knees(cache: Path, split: Split) -> list[Path]:
    """Prepared knees of one split."""
    return load_splits().chosen((p for p in cache.glob("sub-*.npy") if ".part" not in p.name), split)
