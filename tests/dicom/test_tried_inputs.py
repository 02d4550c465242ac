"""Inputs that troubled other tools in public reports (docs/tried-inputs.md): read right, or refused with the reason."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from mriseg.dicom import FoundVolume, Pseudonyms, deidentify, scan
from mriseg.dicom.sources import quiet
from tests.dicom.builders import Stack, classic, decimals, enhanced, item, join, rotated, save
from tests.dicom.test_stacks import assert_is


def raw(ds: Dataset, name: str, vr: str, value: bytes) -> None:
    """Put a value into a data set as a file holds it, past all checks of pydicom."""
    tag = Tag(name)
    ds._dict[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)


def the_volume(folder: Path) -> FoundVolume:
    (found,) = scan(folder).volumes
    return found


def the_reason(folder: Path) -> str:
    found = scan(folder)
    assert not found.volumes
    (line,) = found.account.troubles
    return line


def icon(*, purged: bool) -> Dataset:
    ds = Dataset()
    ds.Rows = ds.Columns = 2
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.SamplesPerPixel, ds.PixelRepresentation = 8, 8, 7, 1, 0
    ds.PhotometricInterpretation = "MONOCHROME2"
    if not purged:
        ds.add_new("PixelData", "OB", b"\1\2\3\4")
    return ds


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("purged", [False, True])
def test_the_pixels_of_an_icon_are_not_those_of_the_image(purged: bool, syntax: str, tmp_path: Path) -> None:
    slices = classic(Stack())
    for ds in slices:
        ds.IconImageSequence = [icon(purged=purged)]
    save(slices, tmp_path, syntax=syntax)
    assert_is(the_volume(tmp_path), Stack())


@pytest.mark.parametrize("text", [b"0,5\\0,4 ", b"0.5,0.4 ", b"0.5\\", b"N/A\\0.4 "])
def test_a_pixel_spacing_that_is_no_pair_of_numbers_is_refused(text: bytes, tmp_path: Path) -> None:
    slices = classic(Stack())
    for ds in slices:
        raw(ds, "PixelSpacing", "DS", text)
    save(slices, tmp_path)
    assert "PixelSpacing" in the_reason(tmp_path)


def test_numbers_under_the_type_of_text_are_read(tmp_path: Path) -> None:
    slices = classic(Stack())
    for ds in slices:
        raw(ds, "PixelSpacing", "UT", b"0.5000\\0.4000 ")
    save(slices, tmp_path)
    assert_is(the_volume(tmp_path), Stack())


def test_decimals_longer_than_the_standard_allows_are_read(tmp_path: Path) -> None:
    stack = Stack(directions=rotated("sagittal", 1e-5, 0.3, 0.1))
    slices = classic(stack)
    for k, ds in enumerate(slices):
        raw(ds, "ImagePositionPatient", "DS", "\\".join(f"{v:.17e}" for v in stack.position(k)).encode())
    save(slices, tmp_path)
    assert_is(the_volume(tmp_path), stack)


@pytest.mark.parametrize(
    "charset", [b"Not Supplied", b"ISO_2022_IR_6 ", b"ISO 2022 IR 6\\ISO 2022 IR 87 ", b"ISO_IR\0 100 ", b"\\GB18030"]
)
def test_unknown_character_sets_lose_no_image(charset: bytes, tmp_path: Path) -> None:
    slices = classic(Stack())
    with quiet():
        save(slices, tmp_path / "in")
    for path in (tmp_path / "in").iterdir():
        data = path.read_bytes()
        begin = 144 + int.from_bytes(data[140:144], "little")
        element = struct.pack("<2H2sH", 8, 5, b"CS", len(charset)) + charset
        path.write_bytes(data[:begin] + element + data[begin:])
    assert_is(the_volume(tmp_path / "in"), Stack())
    result = deidentify(tmp_path / "in", tmp_path / "out", Pseudonyms(secret=b"a secret of sixteen bytes"))
    assert len(result.written) == 6


def test_an_empty_slope_is_one(tmp_path: Path) -> None:
    save(classic(Stack(), RescaleSlope="", RescaleIntercept=""), tmp_path)
    assert_is(the_volume(tmp_path), Stack())


def test_a_slope_of_zero_is_taken_as_one_and_said(tmp_path: Path) -> None:
    save(classic(Stack(), RescaleSlope="0", RescaleIntercept="0"), tmp_path)
    found = the_volume(tmp_path)
    assert_is(found, Stack())
    assert any("RescaleSlope is 0" in note for note in found.notes)


def eight_bits(**changes: object) -> tuple[list[Dataset], Stack]:
    stack = Stack(shape=(4, 5, 5), stored_bits=9)
    slices = classic(stack)
    for ds, pixels in zip(slices, stack.pixels, strict=True):
        ds.BitsAllocated, ds.BitsStored, ds.HighBit = 8, 8, 7
        ds.PixelData = pixels.astype(np.uint8).tobytes()
        for name, value in changes.items():
            setattr(ds, name, value)
    return slices, stack


@pytest.mark.parametrize("padding", [b"", b"\0", b"\0" * 7], ids=["none", "one", "more"])
def test_odd_numbers_of_bytes_with_and_without_padding(padding: bytes, tmp_path: Path) -> None:
    slices, stack = eight_bits()
    for path, ds in zip(save(slices, tmp_path), slices, strict=True):
        data = path.read_bytes()
        begin = data.rfind(b"\xe0\x7f\x10\0OW")
        pixels = ds.PixelData[:25] + padding
        path.write_bytes(data[:begin] + struct.pack("<2H2s2xL", 0x7FE0, 0x10, b"OB", len(pixels)) + pixels)
    found = the_volume(tmp_path)
    assert sorted(found.read().data.ravel()) == sorted(stack.pixels.astype(np.uint8).ravel())


def test_excess_bytes_behind_the_pixels_are_left_alone(tmp_path: Path) -> None:
    slices = classic(Stack())
    for ds in slices:
        ds.PixelData = ds.PixelData + b"\x7f" * 64
    save(slices, tmp_path)
    assert_is(the_volume(tmp_path), Stack())


def test_signs_may_differ_between_slices(tmp_path: Path) -> None:
    slices = classic(Stack())
    for ds in slices[3:]:
        values = np.frombuffer(ds.PixelData, np.uint16).astype(int) - 1000
        ds.PixelRepresentation, ds.BitsStored, ds.HighBit = 1, 16, 15
        ds.PixelData, ds.RescaleIntercept, ds.RescaleSlope = values.astype("<i2").tobytes(), "1000", "1"
    save(slices, tmp_path)
    assert_is(the_volume(tmp_path), Stack())


def test_eight_bits_in_words_of_sixteen(tmp_path: Path) -> None:
    stack = Stack(stored_bits=9)
    slices = classic(stack, BitsStored=8, HighBit=7)
    save(slices, tmp_path)
    assert_is(the_volume(tmp_path), stack)


def test_a_negative_spacing_between_slices(tmp_path: Path) -> None:
    save(classic(Stack(), SpacingBetweenSlices="-1.5"), tmp_path)
    found = the_volume(tmp_path)
    assert_is(found, Stack())
    assert not found.notes


def fragmented(ds: Dataset, *, fragments: int, table: bool) -> None:
    """Compress by RLE and part each image into fragments."""
    ds.compress(RLELossless, generate_instance_uid=False)
    from pydicom.encaps import generate_frames

    frames = list(generate_frames(ds.PixelData, number_of_frames=int(ds.get("NumberOfFrames", 1))))
    ds.PixelData = encapsulate(frames, fragments_per_frame=fragments, has_bot=table)


@pytest.mark.parametrize("table", [False, True], ids=["no table", "table"])
def test_one_compressed_image_in_several_fragments(table: bool, tmp_path: Path) -> None:
    slices = classic(Stack(shape=(3, 32, 32)))
    for ds in slices:
        fragmented(ds, fragments=3, table=table)
    save(slices, tmp_path)
    assert_is(the_volume(tmp_path), Stack(shape=(3, 32, 32)))


@pytest.mark.parametrize(("fragments", "table"), [(1, False), (1, True), (3, True)])
def test_compressed_frames_with_and_without_a_table_of_offsets(fragments: int, table: bool, tmp_path: Path) -> None:
    stack = Stack(shape=(5, 32, 32))
    ds = enhanced(stack)
    fragmented(ds, fragments=fragments, table=table)
    save([ds], tmp_path)
    assert_is(the_volume(tmp_path), stack)


def test_frames_of_a_film_at_one_place_are_parted_by_trigger_time(tmp_path: Path) -> None:
    films = [classic(Stack(seed=n), TriggerTime=str(40 * n)) for n in range(1, 4)]
    for film in films[1:]:
        join(films[0][0], film)
    save([ds for film in films for ds in film], tmp_path)
    assert [v.header.shape[2] for v in scan(tmp_path).volumes] == [6, 6, 6]


def test_a_scan_that_was_stopped_early_is_refused_with_the_reason(tmp_path: Path) -> None:
    first, second = classic(Stack(), TemporalPositionIdentifier=1), classic(Stack(seed=2), TemporalPositionIdentifier=2)
    join(first[0], second)
    save([*first, *second[:2]], tmp_path)
    assert "2 positions hold several images" in the_reason(tmp_path)


@pytest.mark.parametrize(("digits", "read"), [(2, True), (1, False)])
def test_positions_rounded_by_an_export(digits: int, read: bool, tmp_path: Path) -> None:
    stack = Stack(shape=(9, 6, 6), slice_mm=0.73)
    slices = classic(stack)
    for k, ds in enumerate(slices):
        ds.ImagePositionPatient = [f"{v:.{digits}f}" for v in stack.position(k)]
    save(slices, tmp_path)
    assert bool(scan(tmp_path).volumes) == read
    if not read:
        assert "unevenly spaced" in the_reason(tmp_path)


def test_a_private_sequence_of_unknown_type_and_length(tmp_path: Path) -> None:
    # Its items are written in implicit VR, as PS3.5 6.2.2 asks for, and hold a series UID of their own.
    inner = struct.pack("<2HL", 0x20, 0xE, 6) + b"1.2.3\0" + struct.pack("<2HL", 0x20, 0x32, 6) + b"9\\9\\9 "
    sequence = (
        struct.pack("<2H2s2xL", 0x2001, 0x9000, b"UN", 0xFFFFFFFF)
        + struct.pack("<2HL", 0xFFFE, 0xE000, 0xFFFFFFFF)
        + inner
        + struct.pack("<2HL", 0xFFFE, 0xE00D, 0)
        + struct.pack("<2HL", 0xFFFE, 0xE0DD, 0)
    )
    for path in save(classic(Stack()), tmp_path):
        data = path.read_bytes()
        begin = data.rfind(b"\xe0\x7f\x10\0OW")
        path.write_bytes(data[:begin] + sequence + data[begin:])
    assert_is(the_volume(tmp_path), Stack())


def test_a_study_uid_of_its_own_for_every_echo_is_named(tmp_path: Path) -> None:
    first, second = classic(Stack()), classic(Stack(seed=2), echo=2)
    join(first[0], second)
    for ds in second:
        ds.StudyInstanceUID = "1.2.3"
    save([*first, *second], tmp_path)
    assert "one series identifier for several patients or studies" in the_reason(tmp_path)


def test_magnitude_and_phase_in_one_enhanced_object_are_parted(tmp_path: Path) -> None:
    ds = enhanced(Stack(), echoes=(4.5, 4.5))
    ds.ComplexImageComponent = "MIXED"
    for n, frame in enumerate(ds.PerFrameFunctionalGroupsSequence):
        frame.MRImageFrameTypeSequence[0].ComplexImageComponent = "PHASE" if n >= 6 else "MAGNITUDE"
    save([ds], tmp_path)
    volumes = {v.header.component: v for v in scan(tmp_path).volumes}
    assert_is(volumes["magnitude"], Stack())
    assert_is(volumes["phase"], Stack(), offset=100.0)


def test_an_enhanced_object_without_directions_is_not_measured(tmp_path: Path) -> None:
    ds = enhanced(Stack())
    del ds.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence
    save([ds], tmp_path)
    assert not the_volume(tmp_path).placed


@pytest.mark.parametrize(("digits", "read"), [(5, True), (4, True), (1, False)])
def test_directions_rounded_by_an_export(digits: int, read: bool, tmp_path: Path) -> None:
    stack = Stack(directions=rotated("sagittal", 12, -17, 23))
    slices = classic(stack, ImageOrientationPatient=[f"{v:.{digits}f}" for d in stack.directions for v in d])
    save(slices, tmp_path)
    assert bool(scan(tmp_path).volumes) == read


def one_frame_each() -> list[Dataset]:
    """A stack as XA scanners export it: an enhanced object for every slice."""
    result = []
    for k in range(6):
        ds = enhanced(Stack())
        ds.PerFrameFunctionalGroupsSequence = [ds.PerFrameFunctionalGroupsSequence[k]]
        ds.NumberOfFrames, ds.InstanceNumber = 1, k + 1
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{k + 1}"
        ds.PixelData = Stack().pixels[k].tobytes()
        result.append(ds)
    return result


def test_one_enhanced_object_a_slice_makes_one_stack(tmp_path: Path) -> None:
    paths = save(one_frame_each(), tmp_path)
    assert_is(the_volume(tmp_path), Stack())
    paths[-1].write_bytes(b"")
    assert not scan(tmp_path).volumes


def test_one_enhanced_object_a_slice_with_series_uids_of_their_own(tmp_path: Path) -> None:
    slices = one_frame_each()
    for k, ds in enumerate(slices):
        ds.SeriesInstanceUID = f"1.2.4.{k + 1}"
    save(slices, tmp_path)
    assert_is(the_volume(tmp_path), Stack())


def test_an_old_file_without_class_and_photometric_interpretation(tmp_path: Path) -> None:
    slices = classic(Stack())
    for ds in slices:
        del ds.SOPClassUID, ds.PhotometricInterpretation, ds.SamplesPerPixel
    for k, ds in enumerate(slices):
        Dataset(ds).save_as(tmp_path / f"im{k}", implicit_vr=True, little_endian=True)
    assert_is(the_volume(tmp_path), Stack())


def test_group_lengths_of_old_files(tmp_path: Path) -> None:
    slices = classic(Stack())
    for ds in slices:
        for group in (0x0008, 0x0010, 0x0018, 0x0020, 0x0028):
            ds.add(DataElement((group, 0), "UL", 10))
    save(slices, tmp_path)
    assert_is(the_volume(tmp_path), Stack())


def test_directions_and_spacing_in_the_wrong_order_of_digits_are_still_ours(tmp_path: Path) -> None:
    # A voxel that is long in the row direction: spacing is (between rows, between columns).
    stack = Stack(pixel_mm=(1.25, 0.3125))
    save(classic(stack, PixelSpacing=decimals((1.25, 0.3125))), tmp_path)
    assert_is(the_volume(tmp_path), stack)


def test_an_anatomic_region_of_the_other_side_in_a_code_is_no_side(tmp_path: Path) -> None:
    ds = enhanced(Stack())
    ds.SharedFunctionalGroupsSequence[0].FrameAnatomySequence = item(
        FrameLaterality="R", AnatomicRegionSequence=item(CodeValue="T-12720", CodeMeaning="left knee")
    )
    save([ds], tmp_path)
    assert the_volume(tmp_path).header.laterality == "R"
