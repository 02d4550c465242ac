"""The intensities of an image sharpen what a network found in it, whatever the contrast."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from mriseg.segment.sharpen import doubled, sharpen
from mriseg.types import Label

BONE, CARTILAGE, FLUID = 0.2, 0.7, 1.0  # as in DESS
COARSE = (24, 24, 24)


def truth(*, hole: bool = False) -> np.ndarray:
    """Labels (48, 48, 48): a femur under 4 voxels of cartilage, bare in the middle if asked; fluid above."""
    labels = np.zeros((48, 48, 48), np.uint8)
    labels[:, :, :20] = Label.FEMUR
    labels[:, :, 20:24] = Label.FEMORAL_CARTILAGE
    if hole:
        labels[16:32, 16:32, 20:24] = 0
    return labels


def image_of(labels: np.ndarray, *, invert: bool = False) -> np.ndarray:
    signal = np.array([FLUID, BONE, CARTILAGE, 0, 0, 0, 0], np.float32)
    clean = (1 - signal if invert else signal)[labels]
    noise = np.random.default_rng(0).normal(0, 0.05, labels.shape)
    return np.asarray(clean + noise, dtype=np.float32)


def found(labels: np.ndarray, *, shift: int = 1) -> np.ndarray:
    """What a poor network says of labels: blurred, and moved by ``shift`` fine voxels along k."""
    moved = np.roll(labels, shift, axis=2)
    moved[:, :, :shift] = Label.FEMUR
    fine = np.stack([ndimage.gaussian_filter((moved == n).astype(np.float32), 2.0, mode="nearest") for n in range(7)])
    return fine.reshape(7, 24, 2, 24, 2, 24, 2).mean(axis=(2, 4, 6)).astype(np.float32)


def wrong(fractions: np.ndarray, labels: np.ndarray) -> int:
    return int((fractions.argmax(axis=0) != labels).sum())


@pytest.mark.parametrize("invert", [False, True])
def test_boundaries_move_to_where_the_image_has_them_in_any_contrast(invert: bool) -> None:
    labels = truth()
    fractions = found(labels)
    sharp = sharpen(image_of(labels, invert=invert), fractions)
    assert sharp.shape == (7, 48, 48, 48)
    assert np.allclose(sharp.sum(axis=0), 1, atol=1e-4)
    assert wrong(sharp, labels) < 0.15 * wrong(doubled(fractions), labels)


def test_bare_bone_that_the_network_closed_is_bare_again() -> None:
    labels = truth(hole=True)
    fractions = 0.8 * found(truth(), shift=0) + 0.2 * found(labels, shift=0)
    covered = doubled(fractions).argmax(axis=0)[20:28, 20:28, 21:23]
    assert (covered == Label.FEMORAL_CARTILAGE).mean() > 0.9
    sharp = sharpen(image_of(labels), fractions).argmax(axis=0)
    assert (sharp[20:28, 20:28, 21:23] == 0).mean() > 0.95


def test_an_image_without_contrast_changes_nothing_but_the_grid() -> None:
    fractions = found(truth())
    sharp = sharpen(np.full((48, 48, 48), 7.0, np.float32), fractions)
    assert np.abs(sharp - doubled(fractions)).max() < 0.1
    assert wrong(sharp, doubled(fractions).argmax(axis=0)) < 0.02 * 48**3


def test_fractions_without_cartilage_are_left_as_they_are() -> None:
    fractions = np.zeros((7, *COARSE), np.float32)
    fractions[0] = 1
    sharp = sharpen(np.random.default_rng(0).random((48, 48, 48), dtype=np.float32), fractions)
    assert np.allclose(sharp[0], 1)


def test_brightness_and_scale_of_the_image_change_nothing() -> None:
    labels = truth()
    image = image_of(labels)
    one, two = sharpen(image, found(labels)), sharpen(image * 250 + 1000, found(labels))
    assert (one.argmax(axis=0) != two.argmax(axis=0)).mean() < 1e-3


def test_the_mirror_image_gives_the_mirrored_fractions() -> None:
    labels = truth(hole=True)
    image, fractions = image_of(labels), found(labels)
    there = sharpen(image, fractions).argmax(axis=0)
    back = sharpen(np.ascontiguousarray(image[::-1]), np.ascontiguousarray(fractions[:, ::-1])).argmax(axis=0)
    assert (there != back[::-1]).mean() < 1e-3


def test_doubling_keeps_the_place_and_the_mean() -> None:
    ramp = np.broadcast_to(np.arange(24, dtype=np.float32), COARSE)[None].copy()
    fine = doubled(ramp)
    assert fine.shape == (1, 48, 48, 48)
    assert fine[0, 0, 0, 1:-1] == pytest.approx(np.arange(1, 47) / 2 - 0.25)
