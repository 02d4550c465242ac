"""Shafts end at the edge of the image, not where a network lost sight of them."""

from __future__ import annotations

import edt
import numpy as np
import pytest

from mriseg.segment.shaft import extend_shafts
from mriseg.types import Label

SPACING = np.array([0.8, 0.5, 0.5])
SHAPE = (60, 90, 120)
JOINT = 30.0  # mm above the lowest slice


def shaft(tilt: float = 0.0, taper: float = 0.08) -> np.ndarray:
    """A tibia that goes down to the lowest slice: an ellipse that gets thinner and may lean."""
    i, j, k = np.meshgrid(*(np.arange(n) * step for n, step in zip(SHAPE, SPACING, strict=True)), indexing="ij")
    wide = 13 + taper * (k - JOINT)
    inside = np.hypot(i - 24, (j - 22 - tilt * (JOINT - k)) / 0.9) < wide
    return np.where(inside & (k < 50), Label.TIBIA, 0).astype(np.uint8)


def ragged(labels: np.ndarray, height_mm: float, seed: int = 0) -> np.ndarray:
    """The same, short by up to ``height_mm``, with teeth."""
    rng = np.random.default_rng(seed)
    ends = rng.uniform(0.5, 1.0, (SHAPE[0] // 6 + 1, SHAPE[1] // 6 + 1)).repeat(6, axis=0).repeat(6, axis=1)
    height = np.arange(SHAPE[2]) * SPACING[2]
    lost = height[None, None, :] < height_mm * ends[: SHAPE[0], : SHAPE[1], None]
    return np.where(lost, 0, labels).astype(np.uint8)


def image(whole: np.ndarray, cortex: float = 0.05) -> np.ndarray:
    """A shaft with 1.5 mm of cortex in surroundings as bright as its marrow."""
    marrow = edt.edt(whole > 0, anisotropy=tuple(SPACING.tolist())) > 1.5
    values = np.where(marrow | (whole == 0), 0.5, cortex)
    return np.asarray(values + np.random.default_rng(1).normal(0, 0.05, SHAPE), dtype=np.float32)


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return float(2 * ((a > 0) & (b > 0)).sum() / ((a > 0).sum() + (b > 0).sum()))


@pytest.mark.parametrize("tilt", [0.0, 0.15])
@pytest.mark.parametrize("height_mm", [6.0, 12.0, 18.0])
def test_a_ragged_shaft_is_carried_on_to_the_lowest_slice(tilt: float, height_mm: float) -> None:
    whole = shaft(tilt)
    short = ragged(whole, height_mm)
    after = extend_shafts(short, image(whole), SPACING)
    assert (after[:, :, 0] > 0).any()
    assert dice(after, whole) > 0.985 > dice(short, whole)


def test_a_femur_is_carried_on_upwards() -> None:
    whole = shaft()[:, :, ::-1].copy()
    whole[whole > 0] = Label.FEMUR
    short = ragged(whole[:, :, ::-1], 12.0)[:, :, ::-1].copy()
    assert dice(extend_shafts(short, image(whole), SPACING), whole) > 0.985


def test_a_whole_shaft_is_left_alone() -> None:
    assert np.array_equal(extend_shafts(shaft(), image(shaft()), SPACING), shaft())


def test_other_structures_are_never_written_over() -> None:
    short = ragged(shaft(), 12.0)
    short[25:30, 40:45, 5:9] = Label.PATELLA
    assert (extend_shafts(short, image(shaft()), SPACING)[25:30, 40:45, 5:9] == Label.PATELLA).all()


def test_padding_without_signal_holds_no_bone() -> None:
    padded = image(shaft())
    padded[:, :, :10] = 0
    after = extend_shafts(ragged(shaft(), 14.0), padded, SPACING)
    assert (after[:, :, :9] == 0).all()
    assert (after[:, :, 11] > 0).any()


def test_a_bone_that_ends_far_from_the_edge_is_left_alone() -> None:
    short = shaft()
    short[:, :, :80] = 0
    assert np.array_equal(extend_shafts(short, image(shaft()), SPACING), short)


def test_a_bone_that_ends_in_the_image_is_not_carried_on() -> None:
    ended = shaft()
    ended[:, :, :24] = 0
    found = ragged(ended, 16.0)
    after = extend_shafts(found, image(ended), SPACING)
    assert (after[:, :, :20] == 0).all()


@pytest.mark.parametrize("cortex", [0.5, 0.7])
def test_without_dark_cortex_nothing_is_added(cortex: float) -> None:
    short = ragged(shaft(), 12.0)
    assert np.array_equal(extend_shafts(short, image(shaft(), cortex), SPACING), short)


def test_few_slices_and_empty_maps_are_left_alone() -> None:
    nothing = np.zeros(SHAPE, np.uint8)
    assert np.array_equal(extend_shafts(nothing, image(nothing), SPACING), nothing)
    thin = shaft()[:, :, :8].copy()
    assert np.array_equal(extend_shafts(thin, image(shaft())[:, :, :8], np.array([0.8, 0.5, 6.0])), thin)


def test_the_mirrored_image_gives_the_mirrored_shaft() -> None:
    short = ragged(shaft(0.1), 12.0)
    after = extend_shafts(short, image(shaft(0.1)), SPACING)
    mirrored = extend_shafts(short[::-1].copy(), image(shaft(0.1))[::-1].copy(), SPACING)
    assert np.array_equal(mirrored[::-1], after)
