"""Cortical bone, dark in every contrast, belongs to the bone that a network drew without it."""

from __future__ import annotations

import numpy as np
import pytest

from mriseg.segment.cortex import draw_cortex
from mriseg.types import Label

SPACING = np.array([0.8, 0.4, 0.4])
SHAPE = (50, 100, 100)
RADIUS_MM = 14.0


def radius() -> np.ndarray:
    axes = [(np.arange(n) - (n - 1) / 2) * step for n, step in zip(SHAPE, SPACING, strict=True)]
    i, j, k = np.meshgrid(*axes, indexing="ij")
    return np.sqrt(i**2 + j**2 + k**2)


def ball(radius_mm: float) -> np.ndarray:
    """A femur as a ball, under a cap of cartilage."""
    labels = np.where(radius() < radius_mm, Label.FEMUR, 0).astype(np.uint8)
    cap = (radius() >= radius_mm) & (radius() < RADIUS_MM + 2)
    cap[:, :, :70] = False
    labels[cap] = Label.FEMORAL_CARTILAGE
    return labels


def seen(marrow: float, around: float, cortex_mm: float = 1.0) -> np.ndarray:
    far = radius()
    image = np.select([far < RADIUS_MM - cortex_mm, far < RADIUS_MM], [marrow, 0.03], around)
    image[ball(RADIUS_MM) == Label.FEMORAL_CARTILAGE] = 0.6
    return np.asarray(np.abs(image + np.random.default_rng(2).normal(0, 0.04, SHAPE)), dtype=np.float32)


def dice(labels: np.ndarray) -> float:
    """Agreement with the whole ball, away from its cartilage."""
    found, truth = (values[:, :, :66] == Label.FEMUR for values in (labels, ball(RADIUS_MM)))
    return float(2 * (found & truth).sum() / (found.sum() + truth.sum()))


@pytest.mark.parametrize(("marrow", "around"), [(0.2, 0.4), (0.9, 0.4), (0.9, 0.9), (0.15, 0.15)])
def test_a_bone_drawn_without_its_cortex_gets_it_back(marrow: float, around: float) -> None:
    before = ball(RADIUS_MM - 0.9)
    after = draw_cortex(before, seen(marrow, around), SPACING)
    assert 1 - dice(after) < 0.5 * (1 - dice(before))


@pytest.mark.parametrize(("marrow", "around"), [(0.2, 0.4), (0.9, 0.4)])
def test_a_bone_drawn_with_its_cortex_moves_by_less_than_a_voxel(marrow: float, around: float) -> None:
    assert dice(draw_cortex(ball(RADIUS_MM), seen(marrow, around), SPACING)) > 0.965  # 0.3 mm of the radius


def test_cartilage_and_the_bone_under_it_stay() -> None:
    before = ball(RADIUS_MM - 0.9)
    after = draw_cortex(before, seen(0.2, 0.4), SPACING)
    layer = before == Label.FEMORAL_CARTILAGE
    assert np.array_equal(after == Label.FEMORAL_CARTILAGE, layer)


def test_an_image_without_contrast_moves_no_surface_by_more_than_a_voxel() -> None:
    before = ball(RADIUS_MM)
    after = draw_cortex(before, np.zeros(SHAPE, np.float32), SPACING)
    assert (radius()[after != before] - RADIUS_MM).max(initial=0) < 0.8


def test_without_bone_nothing_changes() -> None:
    nothing = np.zeros(SHAPE, np.uint8)
    assert np.array_equal(draw_cortex(nothing, seen(0.2, 0.4), SPACING), nothing)


def test_the_mirrored_image_gives_the_mirrored_bone() -> None:
    before, image = ball(RADIUS_MM - 0.9), seen(0.2, 0.4)
    after = draw_cortex(before, image, SPACING)
    mirrored = draw_cortex(before[::-1].copy(), image[::-1].copy(), SPACING)
    assert (mirrored[::-1] != after).mean() < 1e-4
