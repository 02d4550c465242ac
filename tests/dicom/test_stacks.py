"""Slices are sorted by position; what is no regular stack is refused and the slices are named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from mriseg.dicom import FoundVolume, Scan, scan
from mriseg.errors import DicomError
from mriseg.geometry import apply_affine
from mriseg.types import Side
from tests.dicom.builders import PLANES, Stack, classic, enhanced, join, rotated, save


def assert_is(found: FoundVolume, stack: Stack, *, offset: float = 0.0) -> None:
    """Every voxel of the stack lies where its affine says."""
    volume = found.read()
    k, j, i = np.indices(stack.shape).reshape(3, -1)
    world = apply_affine(stack.affine, np.column_stack([i, j, k]).astype(float))
    voxels = apply_affine(np.linalg.inv(volume.grid.affine), world)
    np.testing.assert_allclose(voxels, np.rint(voxels), atol=1e-3)
    values = volume.data[tuple(np.rint(voxels).astype(int).T)]
    np.testing.assert_array_equal(values, stack.pixels[k, j, i].astype(np.float32) + offset)


def found_in(tmp_path: Path, slices: list[Dataset]) -> Scan:
    save(slices, tmp_path)
    return scan(tmp_path)


def refusal(tmp_path: Path, slices: list[Dataset]) -> str:
    """The one reason why nothing was made of these slices."""
    result = found_in(tmp_path, slices)
    assert not result.volumes
    (refused,) = result.refused
    return str(refused)


@pytest.mark.parametrize("plane", PLANES)
def test_every_voxel_lies_where_the_header_says(plane: str, tmp_path: Path) -> None:
    stack = Stack(directions=rotated(plane, 9, -14, 21))
    (found,) = found_in(tmp_path, classic(stack)).volumes
    assert_is(found, stack)
    assert found.header.plane == plane.removesuffix("-feet-first")


def test_axes_run_closest_to_right_anterior_superior(tmp_path: Path) -> None:
    (found,) = found_in(tmp_path, classic(Stack(directions=rotated("sagittal", 9, -14, 21)))).volumes
    rotation = found.read().grid.affine[:3, :3] / found.read().grid.spacing_mm
    assert (np.diag(rotation) > 0.8).all()
    np.testing.assert_allclose(rotation.T @ rotation, np.eye(3), atol=1e-9)


def test_enhanced_frames_in_any_order(tmp_path: Path) -> None:
    stack = Stack(directions=rotated("coronal", 5, 5, 5))
    order = np.random.default_rng(3).permutation(12).tolist()
    volumes = found_in(tmp_path, [enhanced(stack, echoes=(4.5, 9.0), order=order)]).volumes
    assert [v.name[-2:] for v in volumes] == ["e1", "e2"]
    assert_is(volumes[0], stack)
    assert_is(volumes[1], stack, offset=100.0)


def test_two_stacks_in_one_enhanced_object_are_parted(tmp_path: Path) -> None:
    ds = enhanced(Stack(), echoes=(4.5,))
    for k, frame in enumerate(ds.PerFrameFunctionalGroupsSequence):
        frame.FrameContentSequence[0].StackID = "1" if k < 3 else "2"
    assert [v.header.shape[2] for v in found_in(tmp_path, [ds]).volumes] == [3, 3]


def test_magnitude_and_phase_are_parted_and_named(tmp_path: Path) -> None:
    phase = classic(Stack(seed=2), echo=7, EchoNumbers=1, EchoTime="4.5", ImageType=["ORIGINAL", "PRIMARY", "P", "ND"])
    slices = classic(Stack())
    join(slices[0], phase)
    volumes = {v.name: v for v in found_in(tmp_path, [*slices, *phase]).volumes}
    assert sorted(volumes) == ["s003_sag-3d-dess", "s003_sag-3d-dess_phas"]
    assert_is(volumes["s003_sag-3d-dess"], Stack())
    assert_is(volumes["s003_sag-3d-dess_phas"], Stack(seed=2))


@pytest.mark.parametrize("tag", ["TemporalPositionIdentifier", "AcquisitionNumber", "TriggerTime", "InversionTime"])
def test_repeats_are_parted_by_what_tells_them_apart(tag: str, tmp_path: Path) -> None:
    first, second = classic(Stack(), **{tag: 1}), classic(Stack(seed=2), **{tag: 2})
    join(first[0], second)
    volumes = found_in(tmp_path, [*first, *second]).volumes
    assert len(volumes) == 2
    assert_is(volumes[0], Stack())
    assert_is(volumes[1], Stack(seed=2))


def test_derived_images_are_parted_and_named(tmp_path: Path) -> None:
    slices = classic(Stack())
    derived = classic(Stack(seed=2), ImageType=["DERIVED", "SECONDARY", "M", "ND"])
    join(slices[0], derived)
    assert {v.name for v in found_in(tmp_path, [*slices, *derived]).volumes} == {
        "s003_sag-3d-dess",
        "s003_sag-3d-dess_derived",
    }


def test_spacing_comes_from_positions_not_from_thickness(tmp_path: Path) -> None:
    (found,) = found_in(tmp_path, classic(Stack(slice_mm=4.0), SliceThickness="3")).volumes
    assert found.header.spacing_mm == pytest.approx((0.4, 0.5, 4.0))


def test_a_gap_names_the_slices_beside_it(tmp_path: Path) -> None:
    slices = classic(Stack(shape=(8, 5, 5)))
    del slices[3:5]
    reason = refusal(tmp_path, slices)
    assert "missing" in reason
    assert "im0002.dcm and im0003.dcm (4.50 mm)" in reason


def test_every_second_slice_missing_is_seen_in_the_header(tmp_path: Path) -> None:
    reason = refusal(tmp_path, classic(Stack(shape=(9, 5, 5)), SpacingBetweenSlices="1.5")[::2])
    assert "3.00 mm apart, the header says 1.50 mm" in reason


def test_two_slabs_far_apart_are_called_two_knees(tmp_path: Path) -> None:
    left, right = classic(Stack()), classic(Stack(origin=(120.0, -60.5, 44.0), seed=2))
    join(left[0], right)
    for k, ds in enumerate(right):
        ds.InstanceNumber = 7 + k
    assert "two knees" in refusal(tmp_path, [*left, *right])


def test_two_knees_in_one_wide_image_are_refused(tmp_path: Path) -> None:
    pixels = np.zeros((4, 40, 100), dtype=np.uint16)
    pixels[:, 5:35, 10:40] = pixels[:, 5:35, 60:92] = 300
    slices = classic(Stack(shape=pixels.shape, directions=PLANES["coronal"], pixel_mm=(3.0, 3.0)))
    for ds, image in zip(slices, pixels, strict=True):
        ds.PixelData = image.tobytes()
    (found,) = found_in(tmp_path, slices).volumes
    with pytest.raises(DicomError, match="two knees"):
        found.read()


def test_one_wide_body_part_is_not_two_knees(tmp_path: Path) -> None:
    pixels = np.full((4, 40, 100), 300, dtype=np.uint16)
    slices = classic(Stack(shape=pixels.shape, directions=PLANES["coronal"], pixel_mm=(3.0, 3.0)))
    for ds, image in zip(slices, pixels, strict=True):
        ds.PixelData = image.tobytes()
    assert found_in(tmp_path, slices).volumes[0].read().data.max() == 300


def test_uneven_spacing_is_refused(tmp_path: Path) -> None:
    stack = Stack()
    slices = classic(stack)
    slices[3].ImagePositionPatient = (stack.position(3) + 0.2 * np.cross(*stack.directions)).tolist()
    assert "unevenly spaced" in refusal(tmp_path, slices)


def test_rounded_positions_are_accepted(tmp_path: Path) -> None:
    stack = Stack(directions=rotated("sagittal", 12, -17, 23), slice_mm=0.7)
    slices = classic(stack)
    for k, ds in enumerate(slices):
        ds.ImagePositionPatient = [f"{v:.3f}" for v in stack.position(k)]
    (found,) = found_in(tmp_path, slices).volumes
    np.testing.assert_allclose(found.header.spacing_mm[2], 0.7, atol=1e-3)


def test_same_position_with_other_pixels_is_refused(tmp_path: Path) -> None:
    slices = classic(Stack())
    twin = classic(Stack(seed=2))[2]
    join(slices[0], [twin])
    reason = refusal(tmp_path, [*slices, twin])
    assert "several images" in reason
    assert "im0002.dcm, im0006.dcm" in reason


def test_an_identical_copy_is_dropped_with_a_note(tmp_path: Path) -> None:
    slices = classic(Stack())
    (found,) = found_in(tmp_path, [*slices, slices[2]]).volumes
    assert any("copies" in note for note in found.notes)
    assert_is(found, Stack())


def test_a_copy_with_other_pixels_is_refused(tmp_path: Path) -> None:
    slices, other = classic(Stack()), classic(Stack(seed=2))[2]
    other.SOPInstanceUID = slices[2].SOPInstanceUID
    join(slices[2], [other])
    (found,) = found_in(tmp_path, [*slices, other]).volumes
    with pytest.raises(DicomError, match="one identifier but hold different pixels"):
        found.read()


def test_a_turned_slice_does_not_join_the_stack(tmp_path: Path) -> None:
    slices = classic(Stack())
    slices[3].ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    result = found_in(tmp_path, slices)
    assert not result.volumes  # the single slice alone would look like a volume
    assert "missing" in result.refused[0].reason
    assert "a part of it is no volume" in result.refused[1].reason


@pytest.mark.parametrize("tag", ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"])
def test_missing_geometry_is_refused(tag: str, tmp_path: Path) -> None:
    slices = classic(Stack())
    for ds in slices:
        delattr(ds, tag)
    assert refusal(tmp_path, slices)


def test_directions_that_are_no_rotation_are_refused(tmp_path: Path) -> None:
    assert "right angles" in refusal(tmp_path, classic(Stack(), ImageOrientationPatient=[1, 0, 0, 0.1, 1, 0]))


def test_a_truncated_slice_refuses_its_volume_only(tmp_path: Path) -> None:
    paths = save([*classic(Stack()), *classic(Stack(), echo=2)], tmp_path)
    paths[2].write_bytes(paths[2].read_bytes()[:-20])
    result = scan(tmp_path)
    assert [v.header.echo_number for v in result.volumes] == [2]
    assert "im0002.dcm is truncated" in result.refused[0].reason


def test_a_mosaic_is_refused(tmp_path: Path) -> None:
    assert "mosaic" in refusal(tmp_path, classic(Stack(), ImageType=["ORIGINAL", "PRIMARY", "M", "MOSAIC"]))


def test_values_beyond_the_stored_bits_are_refused(tmp_path: Path) -> None:
    slices = classic(Stack(stored_bits=16), BitsStored=12, HighBit=11)
    (found,) = found_in(tmp_path, slices).volumes
    with pytest.raises(DicomError, match="more than the 12 bits"):
        found.read()


def test_images_announced_and_absent_are_noted(tmp_path: Path) -> None:
    (found,) = found_in(tmp_path, classic(Stack(), ImagesInAcquisition=8)[:6]).volumes
    assert "the header announces 8 images, this series holds 6" in found.notes


def test_an_image_without_position_is_not_measured(tmp_path: Path) -> None:
    ds = enhanced(Stack())
    del ds.SharedFunctionalGroupsSequence, ds.PerFrameFunctionalGroupsSequence
    (found,) = found_in(tmp_path, [ds]).volumes
    assert not found.placed
    with pytest.raises(DicomError, match="no position"):
        found.read()
    assert found.read(allow_unplaced=True).data.shape == (7, 9, 6)


@pytest.mark.parametrize("tag", ["Laterality", "ImageLaterality"])
def test_laterality_and_its_source(tag: str, tmp_path: Path) -> None:
    (found,) = found_in(tmp_path, classic(Stack(), **{tag: "L"})).volumes
    assert (found.header.laterality, found.header.laterality_tag) == (Side.LEFT, tag)


def test_contradicting_laterality_names_no_side(tmp_path: Path) -> None:
    (found,) = found_in(tmp_path, classic(Stack(), Laterality="L", ImageLaterality="R")).volumes
    assert found.header.laterality is None
    assert "contradiction" in found.header.laterality_tag


def test_frame_laterality_of_enhanced_images(tmp_path: Path) -> None:
    ds = enhanced(Stack())
    anatomy = Dataset()
    anatomy.FrameLaterality = "R"
    ds.SharedFunctionalGroupsSequence[0].FrameAnatomySequence = [anatomy]
    assert found_in(tmp_path, [ds]).volumes[0].header.laterality is Side.RIGHT


@pytest.mark.parametrize(
    ("tag", "value", "expected"),
    [
        ("FrameOfReferenceUID", "1.2.3", "im0004.dcm, im0005.dcm lie in another frame of reference than im0000.dcm"),
        ("PatientID", "another", "several patients or studies: im0004.dcm, im0005.dcm differ"),
        ("StudyInstanceUID", "1.2.3", "several patients or studies: im0004.dcm, im0005.dcm differ"),
    ],
)
def test_slices_of_two_scans_never_make_a_stack(tag: str, value: str, expected: str, tmp_path: Path) -> None:
    slices = classic(Stack())
    for ds in slices[4:]:
        setattr(ds, tag, value)
    assert expected in refusal(tmp_path, slices)


def test_pixels_in_the_upper_bits_are_refused(tmp_path: Path) -> None:
    # Read as usual they would lose their upper bits without a word.
    slices = classic(Stack(), HighBit=15)
    for ds in slices:
        ds.PixelData = (np.frombuffer(ds.PixelData, np.uint16) << 4).astype(np.uint16).tobytes()
    found = found_in(tmp_path, slices)
    assert not found.volumes
    assert "HighBit" in found.refused[0].reason


def test_series_are_never_mixed(tmp_path: Path) -> None:
    second = classic(Stack(), number=4)
    for ds in second:
        ds.SeriesInstanceUID = generate_uid(entropy_srcs=["another"])
        ds.SOPInstanceUID = generate_uid()
    assert [v.header.series_number for v in found_in(tmp_path, [*classic(Stack()), *second]).volumes] == [3, 4]
