"""Random numbers of the generator: small ones from numpy, whole images of them on the device that draws."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as fn

Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class Chance:
    """A stream of random numbers; the same ``rng`` and ``device`` give the same stream."""

    rng: np.random.Generator
    device: str = "cpu"
    white: torch.Generator = field(init=False, repr=False)

    def __post_init__(self) -> None:
        white = torch.Generator(self.device).manual_seed(int(self.rng.integers(2**31)))
        object.__setattr__(self, "white", white)

    def uniform(self, low: float, high: float) -> float:
        """Return a number between two others."""
        return float(self.rng.uniform(low, high))

    def log_uniform(self, low: float, high: float) -> float:
        """Return a number between two others, small and large ones alike."""
        return float(np.exp(self.rng.uniform(np.log(low), np.log(high))))

    def normal(self, mean: float, sd: float) -> float:
        """Return a number of a normal distribution."""
        return float(self.rng.normal(mean, sd))

    def happens(self, share: float) -> bool:
        """Whether something happens that happens in this share of cases."""
        return bool(self.rng.random() < share)

    def one_of(self, odds: dict[str, float]) -> str:
        """One key, by its odds, which need not sum to 1."""
        weights = np.array(list(odds.values()))
        return list(odds)[self.rng.choice(len(weights), p=weights / weights.sum())]

    def waves(self, shape: tuple[int, ...], scale: float) -> Tensor:
        """Smooth noise of about unit SD with features of ``scale`` voxels."""
        nodes = [max(2, int(np.ceil(n / scale)) + 1) for n in shape]
        coarse = torch.from_numpy(self.rng.standard_normal((1, 1, *nodes)).astype(np.float32)).to(self.device)
        return fn.interpolate(coarse, size=shape, mode="trilinear", align_corners=True)[0, 0] * 1.5

    def noise(self, shape: tuple[int, ...]) -> Tensor:
        """White noise of unit SD."""
        return torch.randn(shape, generator=self.white, device=self.device)
