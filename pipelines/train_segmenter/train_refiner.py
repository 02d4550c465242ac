"""Train the refiner on what the segmenter finds in drawn knees, in pieces that resume.

    python train_refiner.py CACHE_DIR RUN_DIR SEGMENTER.onnx --minutes 25 --plan-minutes 100 --threads 1

Each drawn field of view is shown to the segmenter, and its answer is weighed with the intensities of that field
(``mriseg.segment.sharpen.evidence``), just as when mriseg is used. Crops are taken about cartilage, about what was
wrongly taken for cartilage, and about the surfaces of bones. ``SEGMENTER.json`` must lie beside the network.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.multiprocessing as mp
from chance import Chance
from generator import Knee, draw, load_knee
from loop import train
from network import CLASSES
from refiner import Refiner
from task import Arrays, Config, Task, knees
from train import arguments_of, begin, feed_of, loss_of, unpacked

from mriseg.segment import load_network
from mriseg.segment.inference import open_session, predict_block
from mriseg.segment.sharpen import evidence
from mriseg.splits import Split

Tensor = torch.Tensor
USUAL = Config(voxel_mm=0.6, size=(48, 80, 64), peak_rate=1.2e-3, clip=1.0, replay=400)
CROPS = 14  # of one field
SHELF = 80  # crops that wait, so that neighbours in time are not neighbours in space
LESIONS = 5  # of ten crops about something, so many are about a lesion or a thin layer
MIRRORED = 0.7  # share of fields that the segmenter sees twice


def halved(image: np.ndarray) -> np.ndarray:
    """Mean of each 2 x 2 x 2 voxels of (2I, 2J, 2K), shape (I, J, K)."""
    i, j, k = (n // 2 for n in image.shape)
    return image.reshape(i, 2, j, 2, k, 2).mean(axis=(1, 3, 5))


class Segmenter:
    """The network whose answers are to be refined."""

    def __init__(self, path: Path) -> None:
        self.network = load_network(path)
        self.session = open_session(self.network.model, self.network.spec.name, 1)

    def fractions(self, image: np.ndarray, *, twice: bool) -> np.ndarray:
        """Fractions (7, I, J, K) of an image (I, J, K) in one block; ``twice`` averages with a mirrored look."""
        first = predict_block(self.session, "image", image, self.network)
        if not twice:
            return first
        second = predict_block(self.session, "image", np.ascontiguousarray(image[::-1]), self.network)
        return (first + second[:, ::-1]) / 2


def places(target: np.ndarray, shares: np.ndarray) -> list[np.ndarray]:
    """Voxels (N, 3) to take crops about: lesions, each cartilage, what is wrongly taken for one, surfaces of bones."""
    truth, found = target[:, ::2, ::2, ::2], shares[:, ::2, ::2, ::2]
    bone, cartilage = (sum(truth[c].astype(int) for c in labels) for labels in ((1, 3, 5), (2, 4, 6)))
    wrong = (found[2::2].sum(axis=0) > 0.4) & (cartilage < 60)
    masks = [truth[c] > 128 for c in (2, 4, 6)] + [wrong, (bone > 50) & (bone < 200)]
    masks += [truth[CLASSES] > 128] * LESIONS
    return [np.argwhere(mask) * 2 for mask in masks if mask.sum() > 30]


def crops(knee: Knee, segmenter: Segmenter, config: Config, chance: Chance) -> list[Arrays]:
    """Crops of two images of one knee: image, evidence, fractions and target, the last three in 255ths."""
    result, rng = [], chance.rng
    for drawn, truth in draw(knee, config.field, chance, voxel_mm=config.voxel_mm, contrasts=2):
        image, target = drawn[0].numpy(), (truth * 255).round().byte().numpy()
        prior = segmenter.fractions(halved(image), twice=chance.happens(MIRRORED))
        shares = evidence(image, prior)
        near = places(target, shares)
        for _ in range(CROPS if near else 1):
            chosen = near[rng.integers(len(near))] if near else np.array([config.field]) // 2
            centre = chosen[rng.integers(len(chosen))] + rng.integers(-12, 13, 3)
            bounds = zip(centre, config.size, config.field, strict=True)
            corner = [int(np.clip(c - n // 2, 0, f - n)) // 2 * 2 for c, n, f in bounds]
            fine = tuple(slice(a, a + n) for a, n in zip(corner, config.size, strict=True))
            coarse = tuple(slice(side.start // 2, side.stop // 2) for side in fine)
            shown = [in_255ths(shares[(slice(None), *fine)]), in_255ths(prior[(slice(None), *coarse)])]
            result.append((image[fine].astype(np.float16), *shown, target[(slice(None), *fine)].copy()))
    return result


def in_255ths(fractions: np.ndarray) -> np.ndarray:
    """Fractions as whole numbers, to travel between processes."""
    return (fractions * 255).round().astype(np.uint8)


def produce(cache: Path, config: Config, seed: int, out: mp.Queue, *, network: Path) -> None:
    """Draw crops for ever, in an order that mixes fields."""
    torch.set_num_threads(1)
    chance, segmenter = Chance(np.random.default_rng(seed)), Segmenter(network)
    rng = chance.rng
    pool: dict[Path, Knee] = {}
    shelf: list[Arrays] = []
    while True:
        pool |= {path: load_knee(path) for path in knees(cache, Split.TRAINING) if path not in pool}
        shelf += crops(pool[list(pool)[rng.integers(len(pool))]], segmenter, config, chance)
        while len(shelf) > SHELF or (len(shelf) > 4 and out.empty()):
            out.put(shelf.pop(rng.integers(len(shelf))))


def unpack(crop: Arrays, device: str) -> tuple[Tensor, ...]:
    """Tensors of a crop as it travels between processes."""
    image, shown, prior = (torch.from_numpy(values).to(device).float() for values in crop[:3])
    return image[None], shown / 255, prior / 255, unpacked(crop[3], device)


def again(crop: tuple[Tensor, ...], rng: np.random.Generator) -> tuple[Tensor, ...]:
    """Show a crop once more, mirrored or not, a little brighter or darker."""
    image, *shares = (tensor.flip(1) for tensor in crop) if rng.random() < 0.5 else crop
    return image * float(np.exp(rng.normal(0, 0.15))) + float(rng.normal(0, 0.2)), *shares


def task(network: Path) -> Task:
    """Refining the answers of one segmenter."""
    make = partial(produce, network=network)
    return Task(
        make=Refiner, produce=make, draw=None, unpack=unpack, again=again, loss=partial(loss_of, weight=1, least=500)
    )


def validation_set(cache: Path, config: Config, network: Path) -> list[tuple[Tensor, ...]]:
    """Sixteen fixed crops of knees that are never trained on."""
    chance, segmenter = Chance(np.random.default_rng(1)), Segmenter(network)
    paths = knees(cache, Split.VALIDATION)[:4]
    fields = [crops(load_knee(path), segmenter, config, chance)[::5] for path in paths]
    return [unpack(crop, "cpu") for field in fields for crop in field[:4]]


def main() -> None:
    """Run one piece of training."""
    parser = arguments_of(USUAL, __doc__)
    parser.add_argument("segmenter", type=Path, help="the ONNX file of the network to refine")
    given = parser.parse_args()
    config = replace(USUAL, size=tuple(given.size), batch=given.batch, peak_rate=given.rate)
    run = begin(given.run, config, task(given.segmenter), given.threads)
    feed = feed_of(run, given.cache, workers=given.workers)
    held_out = validation_set(given.cache, config, given.segmenter)
    train(run, feed, held_out, minutes=given.minutes, plan_minutes=given.plan_minutes)


if __name__ == "__main__":
    main()
