"""A reader's mask is used only where it lies on its image."""

from __future__ import annotations

import numpy as np
import pytest

from mriseg.errors import SegmentationError
from mriseg.segment.readers import adopt_mask
from mriseg.types import Grid, Label, LabelMap

AFFINE = np.array([[0.7, 0, 0, -50], [0, 0.36, 0.02, 10], [0, -0.02, 0.36, 3], [0, 0, 0, 1.0]])
GRID = Grid(shape=(12, 14, 16), affine=AFFINE)


def mask(*labels: int, grid: Grid = GRID) -> LabelMap:
    data = np.zeros(grid.shape, np.uint8)
    for n, label in enumerate(labels):
        data[n + 2, 3:9, 4:8] = label
    return LabelMap(data=data, grid=grid)


def moved(shift_mm: float) -> Grid:
    affine = AFFINE.copy()
    affine[1, 3] += shift_mm
    return Grid(shape=GRID.shape, affine=affine)


def test_a_mask_on_its_image_is_taken_voxel_for_voxel_on_the_grid_of_the_image() -> None:
    drawn = mask(Label.FEMUR, Label.FEMORAL_CARTILAGE, grid=moved(5e-4))
    adopted = adopt_mask(drawn, GRID)
    assert np.array_equal(adopted.data, drawn.data)
    assert adopted.grid is GRID


def test_a_mask_beside_its_image_is_refused_with_the_distance() -> None:
    with pytest.raises(SegmentationError, match=r"sub-01_dseg\.nii\.gz: the mask lies up to 0\.5 mm beside"):
        adopt_mask(mask(Label.FEMUR, Label.FEMORAL_CARTILAGE, grid=moved(0.5)), GRID, name="sub-01_dseg.nii.gz")


def test_a_mirrored_affine_is_refused_though_the_shape_fits() -> None:
    mirrored = Grid(shape=GRID.shape, affine=np.diag([-1.0, 1, 1, 1]) @ AFFINE)
    with pytest.raises(SegmentationError, match="beside its image"):
        adopt_mask(mask(Label.FEMORAL_CARTILAGE, grid=mirrored), GRID)


def test_another_shape_is_refused_with_both_shapes() -> None:
    other = Grid(shape=(12, 14, 15), affine=AFFINE)
    with pytest.raises(SegmentationError, match=r"\(12, 14, 15\), its image \(12, 14, 16\)"):
        adopt_mask(mask(Label.FEMORAL_CARTILAGE, grid=other), GRID)


def test_an_empty_mask_is_an_error_and_not_a_knee_without_cartilage() -> None:
    with pytest.raises(SegmentationError, match="empty"):
        adopt_mask(mask(), GRID)


def test_a_mask_of_bones_alone_is_an_error() -> None:
    with pytest.raises(SegmentationError, match=r"labels \[1, 3\] and no cartilage"):
        adopt_mask(mask(Label.FEMUR, Label.TIBIA), GRID)
