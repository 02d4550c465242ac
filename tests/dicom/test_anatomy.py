"""The side of a knee is told from its shape, and only where the shape is clear."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mriseg.dicom import side_from_anatomy
from mriseg.geometry import MIRROR
from mriseg.nifti import read_label_map
from mriseg.types import Grid, Label, LabelMap, Side


def mirrored(label_map: LabelMap) -> LabelMap:
    grid = Grid(shape=label_map.grid.shape, affine=MIRROR @ label_map.grid.affine)
    return LabelMap(data=label_map.data, grid=grid)


def femur(ridge_mm: float) -> LabelMap:
    """Bone 80 mm wide, coated with cartilage, with a ridge in front, ``ridge_mm`` to the right of its middle."""
    data = np.zeros((90, 80, 70), dtype=np.uint8)
    data[5:85, 10:50, 10:70] = Label.FEMUR
    data[5:85, 10:50, 6:10] = Label.FEMORAL_CARTILAGE
    low = int(45 + ridge_mm) - 5
    data[low : low + 10, 50:62, 10:60] = Label.FEMUR
    data[low : low + 10, 62:65, 10:60] = Label.FEMORAL_CARTILAGE
    return LabelMap(data=data, grid=Grid(shape=data.shape, affine=np.eye(4)))


def test_the_lateral_ridge_decides() -> None:
    assert side_from_anatomy(femur(16)) is Side.RIGHT
    assert side_from_anatomy(mirrored(femur(16))) is Side.LEFT
    assert side_from_anatomy(femur(-16)) is Side.LEFT


def test_an_unclear_shape_names_no_side() -> None:
    assert side_from_anatomy(femur(0)) is None
    empty = np.zeros((8, 8, 8), dtype=np.uint8)
    assert side_from_anatomy(LabelMap(data=empty, grid=Grid(shape=empty.shape, affine=np.eye(4)))) is None


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["sub-9003430_ses-00m", "sub-9099363_ses-96m"])
def test_real_right_knees_and_their_mirror_images(name: str, real_data: Path) -> None:
    path = real_data / "labels" / f"{name}_side-R_dseg.nii.gz"
    if not path.exists():
        pytest.skip(f"{path.name} is absent")
    label_map = read_label_map(path)
    assert side_from_anatomy(label_map) is Side.RIGHT
    assert side_from_anatomy(mirrored(label_map)) is Side.LEFT
