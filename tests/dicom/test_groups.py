"""Enhanced MR: values come from public functional groups alone; what is nested elsewhere stands for nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from mriseg.dicom import Pseudonyms, deidentify, scan, sidecar
from tests.dicom.builders import Stack, classic, enhanced, item, save

LIES = {
    "ImagePositionPatient": ["0", "0", "0"],
    "ImageOrientationPatient": ["1", "0", "0", "0", "0", "-1"],
    "PixelSpacing": ["9", "9"],
    "SliceThickness": "9",
    "SpacingBetweenSlices": "9",
    "EchoTime": "99",
    "EffectiveEchoTime": 99.0,
    "EchoNumbers": 7,
    "RescaleSlope": "77",
    "RescaleIntercept": "77",
    "StackID": "9",
    "FrameLaterality": "L",
    "ImageType": ["DERIVED", "SECONDARY", "P"],
    "FrameType": ["DERIVED", "SECONDARY", "P"],
    "ComplexImageComponent": "PHASE",
    "TemporalPositionIndex": 5,
}


def lying() -> Sequence:
    return item(**LIES)


def private(ds: Dataset) -> None:
    ds.private_block(0x2005, "Philips MR Imaging DD 005", create=True).add_new(0x0F, "SQ", lying())


def of_another_maker(ds: Dataset) -> None:
    ds.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x77, "SQ", lying())


def references(ds: Dataset) -> None:
    ds.ReferencedImageSequence = lying()


def source_images(ds: Dataset) -> None:
    ds.DerivationImageSequence = item(SourceImageSequence=lying())


def inside_a_macro(ds: Dataset) -> None:
    ds.FrameAnatomySequence = item(FrameLaterality="R", AnatomicRegionSequence=lying())


def foreign_values_in_a_macro(ds: Dataset) -> None:
    ds.MRAveragesSequence = lying()


@pytest.mark.parametrize("level", ["frame", "shared", "file"])
@pytest.mark.parametrize(
    "plant",
    [private, of_another_maker, references, source_images, inside_a_macro, foreign_values_in_a_macro],
    ids=lambda f: f.__name__,
)
def test_nested_values_never_stand_for_public_ones(plant: object, level: str, tmp_path: Path) -> None:
    save([enhanced(Stack())], tmp_path / "a")
    ds = enhanced(Stack())
    targets = {"frame": ds.PerFrameFunctionalGroupsSequence, "shared": ds.SharedFunctionalGroupsSequence, "file": [ds]}
    for target in targets[level]:
        plant(target)  # type: ignore[operator]
    save([ds], tmp_path / "b")
    (clean,), (planted,) = scan(tmp_path / "a").volumes, scan(tmp_path / "b").volumes
    assert planted.name == clean.name
    assert planted.header.echo_ms == clean.header.echo_ms
    assert planted.header.laterality != "L"
    assert planted.grid.same_as(clean.grid, tolerance_mm=1e-9)
    np.testing.assert_array_equal(planted.read().data, clean.read().data)


@pytest.mark.parametrize("creator", ["Philips MR Imaging DD 001", ""])
def test_the_scale_slope_of_philips_is_found_in_each_frame(creator: str, tmp_path: Path) -> None:
    ds = enhanced(Stack())
    for frame in ds.PerFrameFunctionalGroupsSequence:
        inner = Dataset()
        if creator:
            inner.private_block(0x2005, creator, create=True).add_new(0x0E, "FL", 0.5)
        else:
            inner.add_new(0x2005100E, "FL", 0.5)
        block = frame.private_block(0x2005, "Philips MR Imaging DD 005", create=True)
        block.add_new(0x0F, "SQ", Sequence([inner]))
    save([ds], tmp_path)
    (found,) = scan(tmp_path).volumes
    assert sorted(found.read().data.ravel()) == sorted(2.0 * Stack().pixels.ravel())


def test_a_private_number_counts_for_its_creator_alone(tmp_path: Path) -> None:
    slices = classic(Stack())
    for ds in slices:
        ds.private_block(0x2005, "SOMEBODY ELSE", create=True).add_new(0x0E, "FL", 0.5)
    save(slices, tmp_path)
    (found,) = scan(tmp_path).volumes
    assert found.stack.frames[0].philips_slope is None
    assert found.read().data.max() == Stack().pixels.max()


def mapping(**elements: object) -> Sequence:
    facts: dict[str, object] = {
        "RealWorldValueSlope": 0.25,
        "RealWorldValueIntercept": -4.0,
        "LUTLabel": "T2 Doe",
        "MeasurementUnitsCodeSequence": item(CodeValue="ms", CodingSchemeDesignator="UCUM", CodeMeaning="x"),
    }
    return item(**(facts | elements))


@pytest.mark.parametrize("kind", ["classic", "enhanced"])
def test_real_world_value_mapping_is_recorded_and_not_applied(kind: str, tmp_path: Path) -> None:
    if kind == "classic":
        slices = classic(Stack(), RealWorldValueMappingSequence=mapping())
    else:
        slices = [enhanced(Stack())]
        slices[0].SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence = mapping()
    save(slices, tmp_path / "in")
    deidentify(tmp_path / "in", tmp_path / "out", Pseudonyms(secret=b"a secret of sixteen bytes"))
    for folder in ("in", "out"):
        (found,) = scan(tmp_path / folder).volumes
        (recorded,) = sidecar(found)["real_world_value_mapping"]
        assert (recorded["slope"], recorded["intercept"], recorded["unit"]) == (0.25, -4.0, "ms")
        assert "Doe" not in str(recorded)
        assert found.read().data.max() == Stack().pixels.max()


def test_a_unit_that_is_no_unit_is_left_out(tmp_path: Path) -> None:
    units = item(CodeValue="Doe", CodingSchemeDesignator="UCUM")
    save(classic(Stack(), RealWorldValueMappingSequence=mapping(MeasurementUnitsCodeSequence=units)), tmp_path)
    assert sidecar(scan(tmp_path).volumes[0])["real_world_value_mapping"][0]["unit"] == ""
