"""What is refused, what is doubted, and that no real knee is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mriseg.errors import SegmentationError
from mriseg.geometry import reorient
from mriseg.nifti import read_label_map
from mriseg.segment.plausibility import contact_mm2, doubts, refuse_unusable
from mriseg.types import Bone, Grid, Label, LabelMap, Volume

SURE = dict.fromkeys(Label, 0.95)


def volume(data: np.ndarray, spacing: float = 2.0) -> Volume:
    return Volume(data=data.astype(np.float32), grid=Grid(shape=data.shape, affine=np.diag([spacing] * 3 + [1.0])))


def test_an_image_without_contrast_is_refused() -> None:
    with pytest.raises(SegmentationError, match="every voxel is 0"):
        refuse_unusable(volume(np.zeros((50, 50, 50))))


def test_hounsfield_units_are_refused() -> None:
    image = np.full((50, 50, 50), -1000.0)
    image[10:40, 10:40, 10:40] = 40
    with pytest.raises(SegmentationError, match="CT"):
        refuse_unusable(volume(image))


def test_a_single_slice_and_a_thumbnail_are_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(SegmentationError, match="expected a three-dimensional stack"):
        refuse_unusable(volume(rng.random((100, 100, 1))))
    with pytest.raises(SegmentationError, match="20 x 20 x 20 mm"):
        refuse_unusable(volume(rng.random((20, 20, 20)), 1.0))


def test_an_ordinary_magnitude_image_passes() -> None:
    refuse_unusable(volume(np.random.default_rng(0).random((50, 50, 50)) * 900))


def test_the_contact_area_of_a_flat_plate_is_known_within_half() -> None:
    data = np.zeros((60, 60, 20), np.uint8)
    data[10:50, 10:50, :8], data[10:50, 10:50, 8:10] = Label.TIBIA, Label.TIBIAL_CARTILAGE
    label_map = LabelMap(data=data, grid=Grid(shape=data.shape, affine=np.eye(4)))
    assert contact_mm2(label_map, Bone.TIBIA) == pytest.approx(1600 / 1.5)


@pytest.mark.real_data
@pytest.mark.parametrize("knee", ["sub-9275309_ses-96m", "sub-9036770_ses-00m"])
def test_no_real_knee_is_doubted_and_half_of_one_is(real_data: Path, knee: str) -> None:
    label_map = reorient(read_label_map(real_data / "labels" / f"{knee}_side-R_dseg.nii.gz"))
    assert doubts(label_map, SURE) == ()
    half = LabelMap(
        data=label_map.data[80:],
        grid=Grid(shape=label_map.data[80:].shape, affine=label_map.grid.affine),
    )
    assert any("edge of the image" in reason for reason in doubts(half, SURE))
    swapped = np.array([0, 3, 4, 1, 2, 5, 6], np.uint8)[label_map.data]
    assert any("above the tibia" in r for r in doubts(LabelMap(data=swapped, grid=label_map.grid), SURE))


@pytest.mark.real_data
def test_missing_structures_and_low_confidence_are_named(real_data: Path) -> None:
    label_map = reorient(read_label_map(real_data / "labels" / "sub-9001104_ses-00m_side-R_dseg.nii.gz"))
    data = np.where(label_map.data >= Label.PATELLA, 0, label_map.data)
    reasons = doubts(LabelMap(data=data, grid=label_map.grid), SURE | {Label.FEMORAL_CARTILAGE: 0.3})
    assert "No patella was found." in reasons
    assert any("unsure of the femoral cartilage (confidence 0.30)" in reason for reason in reasons)
