"""What each tissue looks like: fully random, or as one of the sequences that knees are scanned with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as fn

Tensor = torch.Tensor
Rng = np.random.Generator
Noise = Callable[[tuple[int, ...], float, Rng], Tensor]

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


def tissue_signal(rng: Rng) -> dict[str, float]:
    """Mean signal of every tissue of one image, about 0 to 1."""
    if rng.random() < RANDOM_SHARE:
        signal = {name: float(rng.uniform(0.05, 1)) for name in TISSUES}
        if rng.random() < 0.7:
            signal["fat_pad"] = signal["fat"] * float(rng.uniform(0.8, 1.1))
        if rng.random() < 0.4:
            signal["marrow"] = signal["fat"] * float(rng.uniform(0.7, 1.1))
        signal["tendon"] = float(rng.uniform(0.02, 0.4))
    else:
        words = list(SEQUENCES.values())[rng.integers(len(SEQUENCES))].split()
        signal = {n: float(v) * float(rng.uniform(0.85, 1.18)) for n, v in zip(words[::2], words[1::2], strict=True)}
    signal["air"] = float(rng.uniform(0, 0.04)) if rng.random() < 0.9 else float(rng.uniform(0, 0.5))
    signal["cortex"] = float(rng.uniform(0, 0.15)) if rng.random() < 0.9 else float(rng.uniform(0, 0.7))
    signal["joint"] = signal["synovium"]
    return signal


def draw_contrast(fractions: Tensor, distances: Tensor, tissue: Tensor, rng: Rng, noise: Noise) -> Tensor:
    """Clean image (I, J, K) from label fractions (6,), signed distances (6,) in mm and tissue indices."""
    shape = tuple(tissue.shape)
    signal = tissue_signal(rng)
    means = torch.tensor([signal[name] for name in TISSUES])
    spread = torch.from_numpy(rng.uniform(0, 0.14, len(TISSUES)).astype(np.float32))
    spread[TISSUES.index("air")] *= 0.1
    fine, coarse = noise(shape, rng.uniform(1.2, 3), rng), noise(shape, rng.uniform(4, 16), rng)
    texture = fine * float(rng.uniform(0.2, 0.8)) + coarse * float(rng.uniform(0.2, 0.8))
    image = (means + 0 * spread)[tissue] + spread[tissue] * texture
    fibula = (tissue == TISSUES.index("marrow")).float()
    shell = fibula - (fn.avg_pool3d(fibula[None, None], 3, 1, 1)[0, 0] > 0.99).float()
    image = image + shell.clamp(0) * (signal["cortex"] - image) * float(rng.uniform(0.3, 1))
    image = _blur_edges(image)
    image = image * (1 - fractions.sum(0))
    thickness = float(rng.uniform(0.2, 1.6))
    marrow = signal["marrow"]
    lesion = ((noise(shape, 9, rng) - float(rng.uniform(1.2, 3))) * 2).clamp(0, 1) * float(rng.normal(0, 0.5))
    zone = float(rng.uniform(-0.35, 0.35))
    for n in (0, 2, 4):
        inside = -distances[n]
        cortex = ((thickness - inside) / 0.5 + 0.5).clamp(0, 1) * float(rng.uniform(0.5, 1))
        body = marrow * float(rng.uniform(0.92, 1.08)) + spread[7] * texture + lesion * (inside < 14)
        image = image + fractions[n] * (body * (1 - cortex) + signal["cortex"] * cortex)
        depth = distances[n] / (distances[n] - distances[n + 1]).clamp(min=0.3)
        cartilage = signal["cartilage"] * (1 + zone * (2 * depth.clamp(0, 1) - 1)) + spread[13] * texture
        image = image + fractions[n + 1] * cartilage
    return image.clamp(min=0)


def _blur_edges(image: Tensor) -> Tensor:
    kernel = torch.tensor([0.2, 0.6, 0.2])
    for axis in range(3):
        shape = [1, 1, 1, 1, 1]
        shape[axis + 2] = 3
        pad = [0, 0, 0]
        pad[axis] = 1
        image = fn.conv3d(image[None, None], kernel.reshape(shape), padding=pad)[0, 0]
    return image
