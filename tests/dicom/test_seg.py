"""A label map comes back from DICOM SEG voxel for voxel, in the same place of the world."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from typer.testing import CliRunner

from mriseg.cli import app
from mriseg.dicom import FoundVolume, read_seg, scan, write_seg
from mriseg.errors import DicomError, GeometryError, SegmentationError
from mriseg.geometry import reorient
from mriseg.nifti import read_label_map, write_label_map
from mriseg.types import Grid, Label, LabelMap
from tests.dicom.builders import Stack, classic, enhanced, rotated, save

pytest.importorskip("highdicom")
STACKS = {
    "sagittal": Stack(),
    "oblique": Stack(directions=rotated("sagittal", 12, -17, 23)),
    "double oblique coronal": Stack(directions=rotated("coronal", -21, 8, 33)),
    "left knee": Stack(origin=(95.0, -60.0, 30.0), directions=rotated("axial", 7, 3, -4)),
}


def series(folder: Path, stack: Stack, *, multi_frame: bool = False) -> FoundVolume:
    save([enhanced(stack)] if multi_frame else classic(stack), folder)
    (found,) = scan(folder).volumes
    return found


def labels_on(grid: Grid, values: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6)) -> LabelMap:
    return LabelMap(data=np.random.default_rng(5).choice(values, grid.shape).astype(np.uint8), grid=grid)


@pytest.mark.parametrize("multi_frame", [False, True], ids=["classic", "enhanced"])
@pytest.mark.parametrize("name", STACKS)
def test_round_trip_in_world_coordinates(name: str, multi_frame: bool, tmp_path: Path) -> None:
    found = series(tmp_path / "dicom", STACKS[name], multi_frame=multi_frame)
    label_map = labels_on(found.read().grid)
    write_seg(tmp_path / "seg.dcm", label_map, found)
    back = read_seg(tmp_path / "seg.dcm", label_map.grid)
    np.testing.assert_array_equal(back.data, label_map.data)
    alone = reorient(read_seg(tmp_path / "seg.dcm"))
    np.testing.assert_array_equal(alone.data, label_map.data)
    assert alone.grid.same_as(label_map.grid, tolerance_mm=1e-3)


def test_absent_structures_and_empty_slices(tmp_path: Path) -> None:
    found = series(tmp_path / "dicom", STACKS["oblique"])
    label_map = labels_on(found.read().grid, (0, 0, 0, Label.TIBIA, Label.PATELLAR_CARTILAGE))
    data = label_map.data.copy()
    data[:3] = 0
    write_seg(tmp_path / "seg.dcm", LabelMap(data=data, grid=label_map.grid), found)
    np.testing.assert_array_equal(read_seg(tmp_path / "seg.dcm", label_map.grid).data, data)


def test_the_object_belongs_to_the_study_and_says_what_it_shows(tmp_path: Path) -> None:
    found = series(tmp_path / "dicom", Stack())
    write_seg(tmp_path / "seg.dcm", labels_on(found.read().grid), found, manual=True)
    ds = pydicom.dcmread(tmp_path / "seg.dcm")
    assert ds.StudyInstanceUID == found.header.study_uid
    assert ds.Modality == "SEG"
    assert [s.SegmentLabel for s in ds.SegmentSequence][:2] == ["Femur", "Femoral cartilage"]
    assert {s.SegmentAlgorithmType for s in ds.SegmentSequence} == {"MANUAL"}


def readers_seg(path: Path, *, change: dict[int, str]) -> None:
    """Give segments the bare names that another program would write."""
    ds = pydicom.dcmread(path)
    for segment in ds.SegmentSequence:
        segment.SegmentLabel = change.get(segment.SegmentNumber, segment.SegmentLabel)
        segment.SegmentedPropertyTypeCodeSequence[0].CodeValue = "123"
    ds.save_as(path)


def test_segments_of_a_reader_go_by_name_or_by_number(tmp_path: Path) -> None:
    found = series(tmp_path / "dicom", Stack())
    label_map = labels_on(found.read().grid, (0, 1, 2))
    write_seg(tmp_path / "seg.dcm", label_map, found)
    readers_seg(tmp_path / "seg.dcm", change={1: "femur", 2: "femoral-cartilage"})
    np.testing.assert_array_equal(read_seg(tmp_path / "seg.dcm", label_map.grid).data, label_map.data)
    readers_seg(tmp_path / "seg.dcm", change={2: "thing"})
    with pytest.raises(SegmentationError, match=r"segments \[2\]"):
        read_seg(tmp_path / "seg.dcm")
    chosen = read_seg(tmp_path / "seg.dcm", label_map.grid, {1: Label.TIBIA})
    assert set(np.unique(chosen.data)) == {0, Label.TIBIA}


def test_another_grid_is_refused(tmp_path: Path) -> None:
    found = series(tmp_path / "dicom", Stack())
    grid = found.read().grid
    shifted = grid.affine.copy()
    shifted[0, 3] += 0.4
    moved = Grid(shape=grid.shape, affine=shifted)
    with pytest.raises(GeometryError, match="another grid"):
        write_seg(tmp_path / "seg.dcm", labels_on(moved), found)
    write_seg(tmp_path / "seg.dcm", labels_on(grid), found)
    with pytest.raises(GeometryError, match="do not lie on the voxels"):
        read_seg(tmp_path / "seg.dcm", moved)


def test_nothing_to_write_and_nothing_to_read(tmp_path: Path) -> None:
    found = series(tmp_path / "dicom", Stack())
    with pytest.raises(SegmentationError, match="empty"):
        write_seg(tmp_path / "seg.dcm", labels_on(found.read().grid, (0,)), found)
    with pytest.raises(DicomError, match="no readable DICOM SEG"):
        read_seg(found.files[0])


def test_the_command_both_ways(tmp_path: Path) -> None:
    found = series(tmp_path / "dicom", STACKS["oblique"])
    label_map = labels_on(found.read().grid)
    write_label_map(tmp_path / "a_dseg.nii.gz", label_map)
    source = ["--source", str(tmp_path / "dicom")]
    there = CliRunner().invoke(app, ["seg", str(tmp_path / "a_dseg.nii.gz"), str(tmp_path / "a.dcm"), *source])
    assert there.exit_code == 0, there.output
    back = CliRunner().invoke(app, ["seg", str(tmp_path / "a.dcm"), str(tmp_path / "b_dseg.nii.gz"), *source])
    assert back.exit_code == 0, back.output
    np.testing.assert_array_equal(read_label_map(tmp_path / "b_dseg.nii.gz").data, label_map.data)
