"""Sub-voxel labelling against shapes whose volume is known."""

from __future__ import annotations

import numpy as np
import pytest

from mriseg.segment.labelling import label_voxels
from mriseg.segment.resample import there_and_back
from mriseg.types import Label

FINE, COARSE = 0.4, 1.2
SIZE = 150  # 60 mm


def fractions(thickness_mm: float, *, bare_above_mm: float = 99.0) -> np.ndarray:
    """A ball of bone of 20 mm radius under a layer of cartilage, bare above a height; partial volumes are kept."""
    n = int(SIZE * FINE / COARSE)
    sub = (np.arange(n * 6) + 0.5) / 6 - n / 2
    x, y, z = np.meshgrid(*[sub * COARSE] * 3, indexing="ij", sparse=True)
    radius = np.sqrt(x**2 + y**2 + z**2)
    layer = (radius >= 20) & (radius < 20 + thickness_mm) & (z < bare_above_mm)
    blocks = [radius < 20, layer]
    bone, cartilage = (b.reshape(n, 6, n, 6, n, 6).mean(axis=(1, 3, 5), dtype=np.float32) for b in blocks)
    result = np.zeros((7, n, n, n), np.float32)
    result[Label.FEMUR], result[Label.FEMORAL_CARTILAGE] = bone, cartilage
    result[0] = 1 - bone - cartilage
    return result


def label(values: np.ndarray) -> np.ndarray:
    _, back = there_and_back((SIZE,) * 3, np.full(3, FINE), np.full(3, COARSE))
    return label_voxels(values, back)


@pytest.mark.parametrize("thickness", [1.0, 1.5, 2.5])
def test_a_layer_as_thin_as_a_coarse_voxel_keeps_its_thickness(thickness: float) -> None:
    labels = label(fractions(thickness))
    bone = (labels == Label.FEMUR).sum() * FINE**3
    cartilage = (labels == Label.FEMORAL_CARTILAGE).sum() * FINE**3
    radius = (3 * bone / 4 / np.pi) ** (1 / 3)
    outer = (3 * (bone + cartilage) / 4 / np.pi) ** (1 / 3)
    assert radius == pytest.approx(20, abs=0.06)
    assert outer - radius == pytest.approx(thickness, abs=0.06)


def test_bare_bone_stays_bare() -> None:
    labels = label(fractions(2.0, bare_above_mm=12))
    above = labels[:, :, int((12 + 1.5 + 30) / FINE) :]
    assert (above == Label.FEMUR).any()
    assert not (above == Label.FEMORAL_CARTILAGE).any()


def test_a_faint_film_of_cartilage_is_not_drawn() -> None:
    values = fractions(0.15)
    assert not (label(values) == Label.FEMORAL_CARTILAGE).any()


def test_nothing_found_gives_an_empty_map() -> None:
    empty = np.zeros((7, 50, 50, 50), np.float32)
    empty[0] = 1
    assert not label(empty).any()
