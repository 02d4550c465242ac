"""What signals otherwise than cartilage is none, brighter or darker; what signals like it stays."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from mriseg.segment.craters import empty_craters
from mriseg.segment.signal import cartilage_signal, pooled
from mriseg.types import Label

SPACING = np.array([0.7, 0.36, 0.36])
SHAPE = (40, 90, 60)
FINE = 4  # points a voxel along each axis of the slices
BONE_MM, SURFACE_MM = 7.1, 9.5  # heights of the top of the bone and of the joint surface
MUSCLE, CARTILAGE, CORTEX = 30.0, 100.0, 5.0
CENTRE_MM, RADIUS_MM = (13.9, 16.1), 5.0


def places() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Place in mm of fine points; they are averaged to voxels, so that edges are partial volumes."""
    step = SPACING / np.array([1, FINE, FINE])
    count = np.array(SHAPE) * np.array([1, FINE, FINE])
    x, y, z = np.meshgrid(*[(np.arange(n) + 0.5) * s for n, s in zip(count, step, strict=True)], indexing="ij")
    return x, y, z


def to_voxels(fine: np.ndarray) -> np.ndarray:
    i, j, k = SHAPE
    return fine.reshape(i, j, FINE, k, FINE).mean(axis=(2, 4)).astype(np.float32)


def scene(
    filling: float, *, radius_mm: float = RADIUS_MM, left_mm: float = 0.0, coil: float = 0.0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Image of a layer of cartilage on bone with a round crater in it, and the true labels.

    The crater signals ``filling`` and leaves ``left_mm`` of cartilage on its floor.
    """
    x, y, z = places()
    hole = (np.hypot(x - CENTRE_MM[0], y - CENTRE_MM[1]) < radius_mm) & (z > BONE_MM + left_mm) & (z < SURFACE_MM)
    bone, layer = z < BONE_MM, (z >= BONE_MM) & (z < SURFACE_MM)
    fine = np.select([bone, hole, layer], [CORTEX, filling, CARTILAGE], MUSCLE)
    image = to_voxels(fine) * (1 + coil * np.linspace(-1, 1, SHAPE[1], dtype=np.float32)[None, :, None])
    noisy = image + np.random.default_rng(seed).normal(0, 5, SHAPE)
    truth = np.where(to_voxels(bone) >= 0.5, Label.FEMUR, 0)
    truth = np.where((truth == 0) & (to_voxels(layer & ~hole) >= 0.5), Label.FEMORAL_CARTILAGE, truth)
    return noisy.astype(np.float32), truth.astype(np.uint8)


def drawn() -> np.ndarray:
    """What a network that closes craters draws."""
    return scene(CARTILAGE, radius_mm=0.0)[1]


def bare_mm2(labels: np.ndarray) -> float:
    """Area of bone without cartilage right on it."""
    covered = (labels == Label.FEMORAL_CARTILAGE).any(axis=2)
    return float((~covered).sum() * SPACING[0] * SPACING[1])


@pytest.mark.parametrize("coil", [0.0, 0.15])
@pytest.mark.parametrize("filling", [280.0, 170.0, 68.0])
def test_a_crater_is_emptied_whether_it_is_brighter_or_darker(filling: float, coil: float) -> None:
    image, truth = scene(filling, coil=coil)
    after = empty_craters(drawn(), image, SPACING)
    assert bare_mm2(drawn()) == 0
    assert bare_mm2(after) == pytest.approx(np.pi * RADIUS_MM**2, rel=0.12)
    off = (after == Label.FEMORAL_CARTILAGE) != (truth == Label.FEMORAL_CARTILAGE)
    assert off.sum() < 0.015 * (truth == Label.FEMORAL_CARTILAGE).sum()


@pytest.mark.parametrize("filling", [280.0, 68.0])
def test_cartilage_that_is_left_on_the_floor_stays(filling: float) -> None:
    image, truth = scene(filling, left_mm=1.2)
    after = empty_craters(drawn(), image, SPACING)
    assert bare_mm2(after) < 2.0
    off = (after == Label.FEMORAL_CARTILAGE) != (truth == Label.FEMORAL_CARTILAGE)
    assert off.sum() < 0.01 * (truth == Label.FEMORAL_CARTILAGE).sum()


@pytest.mark.parametrize("filling", [CARTILAGE, CARTILAGE - 8.0])
def test_what_signals_like_cartilage_stays_the_networks(filling: float) -> None:
    image, _ = scene(filling)
    assert np.array_equal(empty_craters(drawn(), image, SPACING), drawn())


def test_uneven_cartilage_is_not_full_of_craters() -> None:
    image, _ = scene(CARTILAGE)
    grain = ndimage.gaussian_filter(np.random.default_rng(1).standard_normal(SHAPE), 0.8 / SPACING)
    uneven = image + np.float32(12) * (grain / grain.std()).astype(np.float32)
    after = empty_craters(drawn(), uneven, SPACING)
    assert (after != drawn()).sum() < 0.01 * (drawn() == Label.FEMORAL_CARTILAGE).sum()


def test_neither_scale_nor_offset_of_the_image_matters() -> None:
    image, _ = scene(280.0)
    after = empty_craters(drawn(), image, SPACING)
    assert (empty_craters(drawn(), 3 * image + 200, SPACING) != after).mean() < 1e-5


def test_mirrored_images_give_mirrored_craters() -> None:
    image, _ = scene(280.0)
    after = empty_craters(drawn(), image, SPACING)
    mirrored = empty_craters(drawn()[::-1].copy(), image[::-1].copy(), SPACING)
    assert (mirrored[::-1] != after).mean() < 1e-5


def test_nothing_is_emptied_without_contrast_or_cartilage() -> None:
    image, _ = scene(280.0)
    assert np.array_equal(empty_craters(drawn(), np.zeros(SHAPE, np.float32), SPACING), drawn())
    bone = np.where(drawn() == Label.FEMUR, Label.FEMUR, 0).astype(np.uint8)
    assert np.array_equal(empty_craters(bone, image, SPACING), bone)


def test_the_labels_that_are_given_stay_as_they_are() -> None:
    image, _ = scene(280.0)
    given = drawn()
    empty_craters(given, image, SPACING)
    assert np.array_equal(given, drawn())


def test_a_crater_does_not_widen_the_signal_of_cartilage() -> None:
    sound, hurt = (cartilage_signal(drawn(), scene(v)[0], SPACING) for v in (CARTILAGE, 280.0))
    assert sound is not None
    assert hurt is not None
    assert hurt.spread == pytest.approx(sound.spread, rel=0.15)
    height = np.clip((np.arange(SHAPE[2]) + 0.5) * SPACING[2] - BONE_MM, 0, None).astype(np.float32)
    level = hurt.level(tuple(slice(0, n) for n in SHAPE), np.broadcast_to(height, SHAPE), SPACING)
    assert np.abs(level[drawn() == Label.FEMORAL_CARTILAGE] - CARTILAGE).max() < 5.0  # the SD of the noise


def test_visits_share_one_spread_whatever_their_scale_and_order() -> None:
    noisy, quiet = (cartilage_signal(drawn(), scene(280.0, seed=s)[0], SPACING) for s in (1, 2))
    scaled = cartilage_signal(drawn(), 4 * scene(280.0, seed=2)[0], SPACING)
    assert noisy is not None
    assert quiet is not None
    assert scaled is not None
    one, other = pooled([noisy, scaled]), pooled([scaled, noisy])
    assert one == other[::-1]
    assert one[1].spread == pytest.approx(4 * pooled([noisy, quiet])[1].spread, rel=1e-3)


def test_images_without_cartilage_share_nothing_and_stop_nothing() -> None:
    assert pooled([]) == []
