"""The network that refines: evidence about each voxel of 0.6 mm in, fractions of labels in it out.

Like :class:`network.KneeNet` it works on pairs of voxels and answers for each. It has no normalisation: its input means
the same everywhere, so that an answer depends on the surroundings and not on the size of the block. Instead every
residual begins as the identity (Bachlechner et al. 2021, arXiv:2003.04887).
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as fn
from network import CLASSES, Convolution, Mix, fold, unfold
from torch import Tensor, nn

REFINER_WIDTHS = (24, 48, 64)
LEAST = 0.01  # added to evidence before its logarithm


class Conv(nn.Module):
    """3 x 3 x 3 convolution, leaky ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, 3, 3, 3))
        nn.init.kaiming_normal_(self.weight, a=0.1)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, inputs, I, J, K) to (N, outputs, I, J, K)."""
        slow = self.training and x.device.type == "cpu"
        y = Convolution.apply(x, self.weight) if slow else fn.conv3d(x, self.weight, padding=1)
        return fn.leaky_relu(y + self.bias[:, None, None, None], 0.1)


class Gated(nn.Module):
    """Two convolutions added to their input, at first with weight zero."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(Conv(width, width), Conv(width, width))
        self.gate = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape."""
        return x + self.gate * self.body(x)


def fold_each(x: Tensor) -> Tensor:
    """(N, C, 2I, 2J, 2K) -> (N, 8 C, I, J, K)."""
    n, c, *size = x.shape
    folded = fold(x.reshape(n * c, 1, *size))
    return folded.reshape(n, 8 * c, *folded.shape[2:])


class Refiner(nn.Module):
    """Image (N, 1, 2I, 2J, 2K), evidence (N, 7, 2I, 2J, 2K), fractions (N, 7, I, J, K) -> logits (N, 7, 2I, 2J, 2K)."""

    def __init__(self) -> None:
        super().__init__()
        steps = list(pairwise(REFINER_WIDTHS))
        width = REFINER_WIDTHS[0]
        self.mix = Mix(8 + 8 * CLASSES + CLASSES, width)
        self.stem = nn.Sequential(Conv(width, width), Gated(width))
        self.down = nn.ModuleList(nn.Sequential(nn.AvgPool3d(2), Conv(a, b), Gated(b)) for a, b in steps)
        self.reduce = nn.ModuleList(Mix(b, a) for a, b in steps)
        self.up = nn.ModuleList(Gated(a) for a, _ in steps)
        self.head = Mix(width, 8 * CLASSES)
        self.trust = nn.Parameter(torch.full((CLASSES,), 0.4))

    def forward(self, image: Tensor, evidence: Tensor, fractions: Tensor) -> Tensor:
        """Return logits; sizes are multiples of 8 fine voxels."""
        levels = [self.stem(self.mix(torch.cat([fold_each(image), fold_each(evidence), fractions], 1)))]
        for down in self.down:
            levels.append(down(levels[-1]))
        x = levels.pop()
        for reduce, up in zip(reversed(self.reduce), reversed(self.up), strict=True):
            x = up(levels.pop() + fn.interpolate(reduce(x), scale_factor=2.0, mode="nearest"))
        return unfold(self.head(x)) + self.trust[:, None, None, None] * torch.log(evidence + LEAST)
