"""A second network refines what the first one found, from evidence that means the same in every contrast."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mriseg.errors import SegmentationError
from mriseg.segment import Network
from mriseg.segment.refine import refine
from mriseg.segment.resample import apply_axes, there_and_back
from mriseg.types import LabelMap, Volume


@pytest.fixture(scope="module")
def part(knee: tuple[Volume, LabelMap]) -> tuple[np.ndarray, np.ndarray]:
    """Image at 0.6 mm about the joint, and the true fractions at 1.2 mm."""
    image, truth = knee
    joint = tuple(slice(n // 4, 3 * n // 4) for n in image.grid.shape)
    labels, spacing = truth.data[joint], image.grid.spacing_mm
    coarse, fine = (there_and_back(labels.shape, spacing, np.full(3, 1.2), parts=n)[0] for n in (1, 2))
    fractions = np.stack([apply_axes((labels == n).astype(np.float32), coarse) for n in range(7)])
    return apply_axes(image.data[joint], fine), fractions


def test_refined_fractions_sum_to_one_on_voxels_of_half_the_width(
    network: Network, part: tuple[np.ndarray, np.ndarray]
) -> None:
    image, fractions = part
    refined = refine(image, fractions, network, threads=2)
    assert refined.shape == (7, *image.shape)
    assert np.abs(refined.sum(axis=0) - 1).max() < 1e-4


def test_brighter_images_are_refined_alike(network: Network, part: tuple[np.ndarray, np.ndarray]) -> None:
    image, fractions = part
    one, two = (refine(shown, fractions, network, threads=2) for shown in (image, image * 3 + 100))
    assert np.abs(one - two).max() < 0.02


def test_any_size_is_taken(network: Network) -> None:
    fractions = np.full((7, 5, 7, 9), 1 / 7, np.float32)
    image = np.random.default_rng(0).random((10, 14, 18)).astype(np.float32)
    assert refine(image, fractions, network).shape == (7, 10, 14, 18)


def test_a_network_without_a_refiner_is_named(network: Network) -> None:
    alone = dataclasses.replace(network, refiner=None)
    with pytest.raises(SegmentationError, match=f"{network.spec.name}: has no refiner"):
        refine(np.zeros((4, 4, 4), np.float32), np.zeros((7, 2, 2, 2), np.float32), alone)
