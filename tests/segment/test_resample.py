"""Positions survive the way to the network's grid and back."""

from __future__ import annotations

import numpy as np
import pytest

from mriseg.segment.resample import apply_axes, interpolate, part_of, there_and_back

SHAPE = (24, 60, 55)
SPACING = np.array([3.0, 0.5, 0.6])


@pytest.mark.parametrize("target", [0.8, 1.2])
def test_a_ramp_comes_back_as_the_same_ramp(target: float) -> None:
    i, j, k = np.meshgrid(*[np.arange(n) * s for n, s in zip(SHAPE, SPACING, strict=True)], indexing="ij")
    ramp = (0.3 * i + 0.5 * j - 0.2 * k).astype(np.float32)
    there, back = there_and_back(SHAPE, SPACING, np.full(3, target))
    returned = interpolate(apply_axes(ramp, there), back)
    inner = (slice(1, -1), slice(4, -4), slice(4, -4))
    assert returned.shape == SHAPE
    assert np.abs(returned - ramp)[inner].max() < 0.02


def test_equal_grids_change_nothing() -> None:
    image = np.random.default_rng(0).random((9, 10, 11), dtype=np.float32)
    there, back = there_and_back(image.shape, np.full(3, 0.7), np.full(3, 0.7))
    assert np.allclose(interpolate(apply_axes(image, there), back), image, atol=1e-6)


def test_a_mirrored_image_gives_the_mirrored_result() -> None:
    image = np.random.default_rng(1).random(SHAPE, dtype=np.float32)
    there, _ = there_and_back(SHAPE, SPACING, np.full(3, 1.2))
    assert np.allclose(apply_axes(image[::-1], there), apply_axes(image, there)[::-1], atol=1e-5)


def test_the_mean_of_a_fine_pattern_survives_a_coarser_grid() -> None:
    stripes = np.zeros((8, 120, 8), np.float32)
    stripes[:, ::2] = 1
    there, _ = there_and_back(stripes.shape, np.array([1.2, 0.3, 1.2]), np.full(3, 1.2))
    assert np.abs(apply_axes(stripes, there) - 0.5).max() < 0.1


def test_a_part_is_interpolated_as_in_the_whole() -> None:
    image = np.random.default_rng(2).random((12, 14, 13), dtype=np.float32)
    _, back = there_and_back((30, 9, 40), np.array([0.48, 1.8, 0.39]), np.full(3, 1.2))
    box = (slice(3, 9), slice(0, 14), slice(2, 13))
    where, lines = part_of(back, box)
    assert np.allclose(interpolate(image[box], lines), interpolate(image, back)[where], atol=1e-6)
    assert interpolate(image, back)[where].size > 1000
