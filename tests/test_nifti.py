"""NIfTI files come back as they were written, and anything else is a named error."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mriseg.errors import GeometryError, SegmentationError
from mriseg.nifti import read_grid, read_label_map, read_volume, write_label_map, write_volume
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
    data = np.zeros((9, 9, 27), np.uint8)
    for n, bone in enumerate((1, 3, 5)):
        data[1:8, 1:8, 9 * n + 1 : 9 * n + 8] = bone
        data[3:6, 3:6, 9 * n + 3 : 9 * n + 6] = 7 + n
    nib.save(nib.Nifti1Image(data, np.eye(4)), tmp_path / "a.nii.gz")
    expected = np.array([0, 1, 2, 3, 4, 5, 6, 1, 3, 5])[data]
    np.testing.assert_array_equal(read_label_map(tmp_path / "a.nii.gz").data, expected)


@pytest.mark.parametrize("declared", [None, {8: 0}])
def test_a_seven_outside_of_the_femur_is_no_lesion_unless_somebody_says_so(
    declared: dict[int, int] | None, tmp_path: Path
) -> None:
    data = np.zeros((9, 9, 20), np.uint8)
    data[1:8, 1:8, 1:8] = 1
    data[3:6, 3:6, 12:16] = 7  # a meniscus or a fibula of another reading system
    nib.save(nib.Nifti1Image(data, np.eye(4)), tmp_path / "a_dseg.nii.gz")
    with pytest.raises(SegmentationError, match=r"a_dseg\.nii\.gz.*\[7\].*7 does not lie inside the femur.*7 = 0"):
        read_label_map(tmp_path / "a_dseg.nii.gz", declared)
    assert (read_label_map(tmp_path / "a_dseg.nii.gz", {7: 1}).data[data == 7] == 1).all()


@pytest.mark.parametrize(("unit", "factor"), [("micron", 1000.0), ("meter", 0.001), ("mm", 1.0), ("unknown", 1.0)])
def test_the_unit_of_the_header_is_honoured(unit: str, factor: float, tmp_path: Path, oblique: Grid) -> None:
    affine = np.diag([factor] * 3 + [1.0]) @ oblique.affine
    image = nib.Nifti1Image(np.ones(oblique.shape, np.uint8), affine)
    image.header.set_xyzt_units(unit)
    nib.save(image, tmp_path / "a.nii.gz")
    assert read_label_map(tmp_path / "a.nii.gz").grid.same_as(oblique, tolerance_mm=1e-4)
    assert read_grid(tmp_path / "a.nii.gz").same_as(oblique, tolerance_mm=1e-4)


@pytest.mark.parametrize(
    ("edge", "unit", "said"), [(365.0, "mm", "unit: mm"), (0.7, "meter", "unit: meter"), (700.0, "unknown", "none")]
)
def test_a_size_that_no_knee_has_is_refused_by_unit(edge: float, unit: str, said: str, tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.ones((4, 5, 6), np.uint8), np.diag([edge, edge, edge, 1.0]))
    image.header.set_xyzt_units(unit)
    nib.save(image, tmp_path / "a_dseg.nii.gz")
    with pytest.raises(GeometryError, match=rf"a_dseg\.nii\.gz: a voxel measures .*{said}.*in mm"):
        read_label_map(tmp_path / "a_dseg.nii.gz")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize(("size", "said"), [(32767, "The header is damaged"), (900, "truncated")])
def test_no_memory_is_taken_for_a_size_that_the_file_cannot_hold(
    size: int, said: str, name: str, tmp_path: Path
) -> None:
    header = nib.Nifti1Image(np.ones((4, 4, 4), np.uint8), np.diag([0.3, 0.3, 0.3, 1])).header
    header.set_data_shape((size, size, size))
    header.set_sform(np.diag([0.03, 0.03, 0.03, 1.0]), code=1)
    content = header.binaryblock + bytes(4 + 64)
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    with pytest.raises(GeometryError, match=rf"{name}.*{said}"):
        read_label_map(tmp_path / name)


def test_a_file_that_says_not_how_it_lies_is_refused(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.ones((4, 5, 6), np.uint8), np.eye(4))
    image.set_sform(None, code=0)
    image.set_qform(None, code=0)
    nib.save(image, tmp_path / "a.nii.gz")
    with pytest.raises(GeometryError, match="left and right are unknown"):
        read_volume(tmp_path / "a.nii.gz")


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
