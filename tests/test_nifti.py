"""NIfTI files come back as they were written, and anything else is a named error."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mriseg.errors import GeometryError, SegmentationError
from mriseg.nifti import read_label_map, read_volume, write_label_map, write_volume
from mriseg.types import Grid, LabelMap, Volume


@pytest.fixture
def oblique() -> Grid:
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", [12, -7, 31], degrees=True).as_matrix() * [0.7, 0.365, 0.365]
    affine[:3, 3] = (-61.25, 14.5, 203.125)
    return Grid(shape=(5, 6, 7), affine=affine)


def test_a_volume_comes_back_with_its_values_and_its_place(tmp_path: Path, oblique: Grid) -> None:
    data = np.random.default_rng(0).normal(size=oblique.shape).astype(np.float32)
    write_volume(tmp_path / "a.nii.gz", Volume(data=data, grid=oblique))
    back = read_volume(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(back.data, data)
    assert back.grid.same_as(oblique, tolerance_mm=1e-4)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("turn", [(0, 1, 2), (2, 0, 1)])
def test_an_image_of_many_slabs_in_any_memory_order(name: str, turn: tuple[int, int, int], tmp_path: Path) -> None:
    data = np.random.default_rng(0).normal(size=(90, 100, 70)).astype(np.float32).transpose(turn)
    grid = Grid(shape=data.shape, affine=np.diag([0.7, 0.4, 0.5, 1.0]))
    write_volume(tmp_path / name, Volume(data=data, grid=grid))
    np.testing.assert_array_equal(read_volume(tmp_path / name).data, data)


def test_sform_and_qform_say_the_same(tmp_path: Path, oblique: Grid) -> None:
    write_label_map(tmp_path / "a.nii.gz", LabelMap(data=np.ones(oblique.shape, np.uint8), grid=oblique))
    header = nib.load(tmp_path / "a.nii.gz").header
    np.testing.assert_allclose(header.get_sform(), header.get_qform(), atol=1e-5)
    assert int(header["sform_code"]) == int(header["qform_code"]) == 1


def test_writing_leaves_no_other_file_behind(tmp_path: Path, oblique: Grid) -> None:
    write_label_map(tmp_path / "a.nii.gz", LabelMap(data=np.ones(oblique.shape, np.uint8), grid=oblique))
    assert [p.name for p in tmp_path.iterdir()] == ["a.nii.gz"]


def test_lesions_inside_a_bone_count_as_bone(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(np.array([[[1, 7, 8, 9, 0]]], np.uint8), np.eye(4)), tmp_path / "a.nii.gz")
    assert read_label_map(tmp_path / "a.nii.gz").data.ravel().tolist() == [1, 1, 3, 5, 0]


def test_values_of_another_reading_system_are_mapped(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(np.array([[[10, 20, 0]]], np.uint8), np.eye(4)), tmp_path / "a.nii.gz")
    assert read_label_map(tmp_path / "a.nii.gz", {10: 1, 20: 0}).data.ravel().tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (np.array([[[0.0, 1.5]]], np.float32), "whole numbers"),
        (np.array([[[0.0, np.nan]]], np.float32), "whole numbers"),
        (np.array([[[0, 42]]], np.int16), r"\[42\].*study\.toml"),
    ],
)
def test_a_mask_that_is_no_label_map_is_refused(tmp_path: Path, data: np.ndarray, expected: str) -> None:
    nib.save(nib.Nifti1Image(data, np.eye(4)), tmp_path / "bad_dseg.nii.gz")
    with pytest.raises(SegmentationError, match=expected) as caught:
        read_label_map(tmp_path / "bad_dseg.nii.gz")
    assert "bad_dseg.nii.gz" in str(caught.value)


def test_a_truncated_file_is_named(tmp_path: Path, oblique: Grid) -> None:
    path = tmp_path / "cut.nii.gz"
    write_volume(path, Volume(data=np.random.default_rng(0).normal(size=oblique.shape), grid=oblique))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(GeometryError, match=r"cut\.nii\.gz.*truncated"):
        read_volume(path)


def test_a_4d_image_is_refused_with_its_shape(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(np.zeros((2, 2, 2, 3), np.float32), np.eye(4)), tmp_path / "a.nii.gz")
    with pytest.raises(GeometryError, match=r"3D image.*\(2, 2, 2, 3\)"):
        read_volume(tmp_path / "a.nii.gz")
