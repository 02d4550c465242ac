"""A patella is marrow within a thin shell; the tendons at its poles are neither."""

from __future__ import annotations

import numpy as np
import pytest

from mriseg.segment.tendon import cut_tendons
from mriseg.types import Label

SPACING = np.array([0.7, 0.4, 0.4])
SHAPE = (64, 80, 130)
HALF_MM = np.array([18.0, 9.0, 17.0])
CORTEX_MM = 1.2


def axes() -> list[np.ndarray]:
    lines = [(np.arange(n) - (n - 1) / 2) * step for n, step in zip(SHAPE, SPACING, strict=True)]
    return list(np.meshgrid(*lines, indexing="ij"))


def ellipsoid(off_mm: float = 0.0) -> np.ndarray:
    return np.asarray(sum((x / (half - off_mm)) ** 2 for x, half in zip(axes(), HALF_MM, strict=True)) < 1)


def tendon() -> np.ndarray:
    """A slab of 14 x 7 mm that goes on from both poles."""
    i, j, _ = axes()
    return np.asarray((np.abs(i) < 7) & (np.abs(j) < 3.5) & ~ellipsoid())


def seen(marrow: float = 0.5, dark: float = 0.08) -> np.ndarray:
    image = np.select([ellipsoid(CORTEX_MM), ellipsoid(), tendon()], [marrow, 0.03, dark], 0.45)
    return np.asarray(image + np.random.default_rng(3).normal(0, 0.04, SHAPE), dtype=np.float32)


def labels(longer_mm: float) -> np.ndarray:
    """The patella, with so much of its upper tendon."""
    _, _, k = axes()
    found = ellipsoid() | (tendon() & (k > 0) & (k < HALF_MM[2] + longer_mm))
    return np.where(found, Label.PATELLA, 0).astype(np.uint8)


def wrong(found: np.ndarray) -> float:
    """Voxels taken for patella wrongly or missed, as a share of it."""
    return float(((found == Label.PATELLA) != ellipsoid()).sum() / ellipsoid().sum())


@pytest.mark.parametrize("longer_mm", [4.0, 8.0, 15.0])
def test_a_tendon_is_cut_from_the_pole(longer_mm: float) -> None:
    before = labels(longer_mm)
    assert wrong(cut_tendons(before, seen(), SPACING)) < 0.4 * wrong(before)


def test_a_patella_without_tendon_keeps_its_cortex() -> None:
    assert wrong(cut_tendons(labels(0), seen(), SPACING)) < 0.01


def test_dark_marrow_inside_the_patella_is_kept() -> None:
    image = seen()
    i, j, k = axes()
    image[np.sqrt((i - 6) ** 2 + j**2 + (k - 4) ** 2) < 5] = 0.05
    assert wrong(cut_tendons(labels(0), image, SPACING)) < 0.01


@pytest.mark.parametrize("marrow", [0.03, 0.05])
def test_where_marrow_is_as_dark_as_cortex_nothing_changes(marrow: float) -> None:
    before = labels(8)
    assert np.array_equal(cut_tendons(before, seen(marrow), SPACING), before)


def test_thick_slices_keep_the_outermost_slice() -> None:
    thick = (slice(None, None, 5), slice(None), slice(None))
    spacing = SPACING * (5, 1, 1)
    after = cut_tendons(labels(0)[thick], seen()[thick], spacing)
    assert (after != labels(0)[thick]).mean() < 0.001


def test_a_patella_of_few_coarse_voxels_is_taken() -> None:
    few = np.zeros((12, 12, 12), np.uint8)
    few[4:7, 4:7, 4:7] = Label.PATELLA
    image = np.random.default_rng(0).random(few.shape).astype(np.float32)
    assert cut_tendons(few, image, np.full(3, 4.0)).shape == few.shape


def test_other_bones_and_empty_maps_stay() -> None:
    other = labels(8)
    other[other > 0] = Label.FEMUR
    assert np.array_equal(cut_tendons(other, seen(), SPACING), other)
    assert not cut_tendons(np.zeros(SHAPE, np.uint8), seen(), SPACING).any()


def test_an_image_without_contrast_changes_nothing() -> None:
    assert np.array_equal(cut_tendons(labels(8), np.zeros(SHAPE, np.float32), SPACING), labels(8))


def test_the_mirrored_image_gives_the_mirrored_patella() -> None:
    before, image = labels(8), seen()
    after = cut_tendons(before, image, SPACING)
    assert np.array_equal(cut_tendons(before[::-1].copy(), image[::-1].copy(), SPACING)[::-1], after)
