"""What each tissue looks like: fully random, or as one of the sequences that knees are scanned with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as fn
from chance import Chance

if TYPE_CHECKING:
    from lesions import Lesions

Tensor = torch.Tensor

# The first nine are the codes of prepare.Tissue (index 8, joint space, is replaced before drawing).
TISSUES = (
    "fat", "muscle", "tendon", "fat_pad", "nerve", "vessel", "meniscus", "marrow", "joint",
    "fluid", "synovium", "skin", "air", "cartilage", "cortex",
)  # fmt: skip

# Relative signal of typical knee protocols, read off published images; every draw moves each value by up to a sixth.
SEQUENCES = {
    "dess": "fat .20 muscle .42 tendon .12 fat_pad .22 nerve .35 vessel .60 meniscus .17 marrow .17 fluid 1.0 "
    "synovium .5 skin .35 cartilage .68",
    "spgr_fs": "fat .15 muscle .55 tendon .20 fat_pad .17 nerve .40 vessel .55 meniscus .30 marrow .13 fluid .32 "
    "synovium .4 skin .40 cartilage .85",
    "pd_tse": "fat .95 muscle .45 tendon .10 fat_pad .88 nerve .50 vessel .30 meniscus .13 marrow .85 fluid .85 "
    "synovium .6 skin .40 cartilage .60",
    "pd_tse_fs": "fat .14 muscle .42 tendon .10 fat_pad .17 nerve .45 vessel .45 meniscus .14 marrow .15 fluid 1.0 "
    "synovium .6 skin .35 cartilage .58",
    "t2_tse": "fat .80 muscle .22 tendon .06 fat_pad .72 nerve .35 vessel .20 meniscus .08 marrow .68 fluid 1.0 "
    "synovium .5 skin .25 cartilage .34",
    "t2_tse_fs": "fat .12 muscle .22 tendon .06 fat_pad .14 nerve .40 vessel .35 meniscus .09 marrow .12 fluid 1.0 "
    "synovium .5 skin .25 cartilage .38",
    "t1": "fat 1.0 muscle .40 tendon .10 fat_pad .92 nerve .40 vessel .20 meniscus .15 marrow .88 fluid .28 "
    "synovium .35 skin .45 cartilage .48",
}


RANDOM_SHARE = 0.2  # of images in no known contrast: they keep the network general, and the others make it accurate


def tissue_signal(chance: Chance) -> dict[str, float]:
    """Mean signal of every tissue of one image, about 0 to 1."""
    if chance.happens(RANDOM_SHARE):
        signal = {name: chance.uniform(0.05, 1) for name in TISSUES}
        if chance.happens(0.7):
            signal["fat_pad"] = signal["fat"] * chance.uniform(0.8, 1.1)
        if chance.happens(0.4):
            signal["marrow"] = signal["fat"] * chance.uniform(0.7, 1.1)
        signal["tendon"] = chance.uniform(0.02, 0.4)
    else:
        words = list(SEQUENCES.values())[chance.rng.integers(len(SEQUENCES))].split()
        signal = {n: float(v) * chance.uniform(0.85, 1.18) for n, v in zip(words[::2], words[1::2], strict=True)}
    signal["air"] = chance.uniform(0, 0.04) if chance.happens(0.9) else chance.uniform(0, 0.5)
    signal["cortex"] = chance.uniform(0, 0.15) if chance.happens(0.9) else chance.uniform(0, 0.7)
    signal["joint"] = signal["synovium"]
    return signal


def draw_contrast(fractions: Tensor, lesions: Lesions, tissue: Tensor, chance: Chance) -> Tensor:
    """Clean image (I, J, K) from label fractions (6, I, J, K), a knee with lesions and tissue indices (I, J, K)."""
    shape, distances = tuple(tissue.shape), lesions.distances
    signal = tissue_signal(chance)
    means = torch.tensor([signal[name] for name in TISSUES], device=tissue.device)
    spread = torch.from_numpy(chance.rng.uniform(0, 0.14, len(TISSUES)).astype(np.float32)).to(tissue.device)
    spread[TISSUES.index("air")] *= 0.1
    fine, coarse = chance.waves(shape, chance.uniform(1.2, 3)), chance.waves(shape, chance.uniform(4, 16))
    texture = fine * chance.uniform(0.2, 0.8) + coarse * chance.uniform(0.2, 0.8)
    image = means[tissue] + spread[tissue] * texture
    fibula = (tissue == TISSUES.index("marrow")).float()
    shell = fibula - (fn.avg_pool3d(fibula[None, None], 3, 1, 1)[0, 0] > 0.99).float()
    image = image + shell.clamp(0) * (signal["cortex"] - image) * chance.uniform(0.3, 1)
    image = _blur_edges(image)
    image = image * (1 - fractions.sum(0))
    thickness = chance.uniform(0.2, 1.6)
    marrow = signal["marrow"]
    lesion = ((chance.waves(shape, 9) - chance.uniform(1.2, 3)) * 2).clamp(0, 1) * chance.normal(0, 0.5)
    zone = chance.uniform(-0.35, 0.35)
    for n in (0, 2, 4):
        inside = -distances[n]
        cortex = ((thickness - inside) / 0.5 + 0.5).clamp(0, 1) * chance.uniform(0.5, 1)
        body = marrow * chance.uniform(0.92, 1.08) + spread[7] * texture + lesion * (inside < 14)
        image = image + fractions[n] * (body * (1 - cortex) + signal["cortex"] * cortex)
        depth = distances[n] / (distances[n] - distances[n + 1]).clamp(min=0.3)
        cartilage = signal["cartilage"] * (1 + zone * (2 * depth.clamp(0, 1) - 1)) + spread[13] * texture
        image = image + fractions[n + 1] * cartilage * lesions.repair
    return image.clamp(min=0)


def _blur_edges(image: Tensor) -> Tensor:
    kernel = torch.tensor([0.2, 0.6, 0.2], device=image.device)
    for axis in range(3):
        shape = [1, 1, 1, 1, 1]
        shape[axis + 2] = 3
        pad = [0, 0, 0]
        pad[axis] = 1
        image = fn.conv3d(image[None, None], kernel.reshape(shape), padding=pad)[0, 0]
    return image
