"""Cartilage is drawn at the resolution of the image, not at that of a network's grid."""

from __future__ import annotations

import numpy as np
import pytest

from mriseg.segment.detail import draw_detail
from mriseg.segment.labelling import label_voxels
from mriseg.segment.resample import apply_axes, there_and_back
from mriseg.types import Label

SHAPE = (48, 64, 64)
SPACING = np.array([0.7, 0.36, 0.36])
SIGNAL = np.array([1.0, 0.2, 0.7, 0.2, 0.7, 0.2, 0.7], np.float32)  # fluid, bone, cartilage as in DESS


def waves() -> np.ndarray:
    """A femur under cartilage whose surface has waves of 0.7 mm, finer than a voxel of 0.6 mm; fluid above."""
    i, j, k = np.meshgrid(*[np.arange(n) for n in SHAPE], indexing="ij")
    surface = 34 + 1.5 * np.sin(j * np.pi / 4) + 0 * i
    labels = np.zeros(SHAPE, np.uint8)
    labels[k < surface] = Label.FEMORAL_CARTILAGE
    labels[k < 28] = Label.FEMUR
    return labels


def seen(labels: np.ndarray, *, invert: bool = False) -> np.ndarray:
    signal = 1.2 - SIGNAL if invert else SIGNAL
    return np.asarray(signal[labels] + np.random.default_rng(1).normal(0, 0.04, SHAPE), dtype=np.float32)


def found(labels: np.ndarray) -> tuple[np.ndarray, tuple]:
    """Fractions of ``labels`` on voxels of 0.6 mm, and the way back."""
    there, back = there_and_back(SHAPE, SPACING, np.full(3, 0.6))
    return np.stack([apply_axes((labels == n).astype(np.float32), there) for n in range(7)]), back


def wrong(labels: np.ndarray, truth: np.ndarray) -> float:
    layer = (labels == Label.FEMORAL_CARTILAGE) != (truth == Label.FEMORAL_CARTILAGE)
    return float(layer.sum() / (truth == Label.FEMORAL_CARTILAGE).sum())


@pytest.mark.parametrize("invert", [False, True])
def test_waves_finer_than_the_grid_of_the_network_are_drawn_in_any_contrast(invert: bool) -> None:
    truth = waves()
    fractions, back = found(truth)
    before = label_voxels(fractions, back)
    after = draw_detail(before, seen(truth, invert=invert), fractions, back, SPACING)
    assert wrong(after, truth) < 0.6 * wrong(before, truth)


def test_the_image_cannot_speak_away_from_cartilage() -> None:
    truth = waves()
    fractions, back = found(truth)
    before = label_voxels(fractions, back)
    image = seen(truth)
    image[:, :, :20] = 0.7  # marrow that looks like cartilage
    image[:, :, 50:] = 0.7
    after = draw_detail(before, image, fractions, back, SPACING)
    assert np.array_equal(after[:, :, :20], before[:, :, :20])
    assert np.array_equal(after[:, :, 50:], before[:, :, 50:])


def test_an_image_without_contrast_keeps_what_the_network_found() -> None:
    truth = waves()
    fractions, back = found(truth)
    before = label_voxels(fractions, back)
    after = draw_detail(before, np.zeros(SHAPE, np.float32), fractions, back, SPACING)
    assert wrong(after, before) < 0.12


def test_where_no_cartilage_was_found_nothing_changes() -> None:
    labels = np.where(waves() == Label.FEMUR, Label.FEMUR, 0).astype(np.uint8)
    fractions, back = found(labels)
    assert np.array_equal(draw_detail(labels, seen(labels), fractions, back, SPACING), labels)


def test_the_mirrored_image_gives_the_mirrored_label_map() -> None:
    truth = waves()
    fractions, back = found(truth)
    image, before = seen(truth), label_voxels(fractions, back)
    after = draw_detail(before, image, fractions, back, SPACING)
    mirrored = draw_detail(before[::-1].copy(), image[::-1].copy(), fractions[:, ::-1].copy(), back, SPACING)
    assert (mirrored[::-1] != after).mean() < 1e-4
