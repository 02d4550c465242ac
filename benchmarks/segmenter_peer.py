"""nnU-Net's default 3D architecture with random weights, timed on a DESS volume beside the shipped network.

Its accuracy means nothing; its time does not depend on the weights. Needs torch (extra ``train``).
"""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor, nn

VOLUME = (160, 384, 384)
BLOCK = (96, 192, 160)  # about what nnU-Net 2 plans for images of this size and 8 GB of GPU memory
WIDTHS = (32, 64, 128, 256, 320, 320)
CLASSES = 7


def peer(threads: int) -> dict[str, object]:
    """Time one block in a process of its own; a whole volume needs as many blocks as nnU-Net's sliding window has.

    Returns an empty mapping with a note where torch is missing.
    """
    command = [sys.executable, __file__, str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"note": f"not timed: {done.stderr.strip().splitlines()[-1]}"}
    timed: dict[str, object] = json.loads(done.stdout)
    blocks = int(np.prod([np.ceil((n - w) / (w / 2)) + 1 for n, w in zip(VOLUME, BLOCK, strict=True)]))
    return timed | {"blocks": blocks, "seconds_volume": blocks * float(str(timed["seconds_block"]))}


def plain_conv_unet() -> nn.Module:
    """PlainConvUNet of nnU-Net 2 (3d_fullres): two convolutions a stage, strided convolutions, transposed ones up."""
    import torch
    from torch import nn

    def stage(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
        layers: list[nn.Module] = []
        for n in range(2):
            step = stride if n == 0 else 1
            layers += [nn.Conv3d(inputs if n == 0 else outputs, outputs, 3, step, 1)]
            layers += [nn.InstanceNorm3d(outputs, affine=True), nn.LeakyReLU(inplace=True)]
        return nn.Sequential(*layers)

    class PlainConvUNet(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            down = [stage(1, WIDTHS[0]), *(stage(a, b, 2) for a, b in pairwise(WIDTHS))]
            self.down = nn.ModuleList(down)
            backwards = list(pairwise(WIDTHS[::-1]))
            self.grow = nn.ModuleList(nn.ConvTranspose3d(a, b, 2, 2) for a, b in backwards)
            self.up = nn.ModuleList(stage(2 * b, b) for _, b in backwards)
            self.head = nn.Conv3d(WIDTHS[0], CLASSES, 1)

        def forward(self, x: Tensor) -> Tensor:
            levels = []
            for down in self.down:
                x = down(x)
                levels.append(x)
            levels.pop()
            for grow, up in zip(self.grow, self.up, strict=True):
                x = up(torch.cat([grow(x), levels.pop()], 1))
            return self.head(x)

    return PlainConvUNet().eval()


def main() -> None:
    """Time one block and print JSON."""
    import resource
    import time

    import torch

    threads = int(sys.argv[1])
    torch.set_num_threads(threads)
    network = plain_conv_unet()
    image = torch.randn(1, 1, *BLOCK)
    with torch.inference_mode():
        start = time.perf_counter()
        network(image)
        seconds = time.perf_counter() - start
    size = sum(p.numel() for p in network.parameters())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    about = "nnU-Net 2 default 3D architecture (PlainConvUNet), random weights, torch, no mirroring"
    timed = {"what": about, "parameters": size, "threads": threads, "seconds_block": seconds, "peak_gib_block": peak}
    print(json.dumps(timed))


if __name__ == "__main__":
    main()
