"""Whatever happens to the files of a stack, the result is the right volume or a refusal, never a wrong volume."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from mriseg.dicom import FoundVolume, scan
from mriseg.errors import DicomError
from mriseg.geometry import apply_affine
from tests.dicom.builders import PLANES, Stack, classic, rotated, save

angles = st.floats(-35, 35)
stacks = st.builds(
    Stack,
    shape=st.tuples(st.integers(3, 7), st.integers(2, 6), st.integers(2, 6)),
    directions=st.builds(rotated, st.sampled_from(sorted(PLANES)), angles, angles, angles),
    pixel_mm=st.tuples(st.floats(0.2, 1.5), st.floats(0.2, 1.5)),
    slice_mm=st.floats(0.4, 5.0),
    origin=st.tuples(*[st.floats(-150, 150)] * 3),
    seed=st.integers(0, 1000),
)
few = settings(max_examples=30, deadline=None)


def convert(slices: list[Dataset]) -> list[FoundVolume]:
    """What a folder of these slices gives; every volume with its pixels read, refused ones left out."""
    with tempfile.TemporaryDirectory() as folder:
        save(slices, Path(folder))
        result = scan(Path(folder))
        good = []
        for found in result.volumes:
            try:
                found.read()
                good.append(found)
            except DicomError:
                continue
        for found in good:
            assert_every_voxel_is_right(found, slices)
        assert good or result.refused or result.volumes
        assert all(r.reason and r.files for r in result.refused)
        return good


def assert_every_voxel_is_right(found: FoundVolume, slices: list[Dataset]) -> None:
    """Each slice that the volume names lies where its own header says; slices are neighbours in space."""
    volume = found.read()
    by_uid = {str(ds.SOPInstanceUID): ds for ds in reversed(slices)}
    to_voxel = np.linalg.inv(volume.grid.affine)
    count = 0
    for uid in found.sop_uids:
        ds = by_uid[uid]
        x, y = np.array(ds.ImageOrientationPatient, dtype=float).reshape(2, 3)
        rows_mm, columns_mm = (float(v) for v in ds.PixelSpacing)
        j, i = np.indices((ds.Rows, ds.Columns)).reshape(2, -1)
        lps = np.array(ds.ImagePositionPatient, dtype=float) + np.outer(i * columns_mm, x) + np.outer(j * rows_mm, y)
        voxels = apply_affine(to_voxel, lps * (-1, -1, 1))
        np.testing.assert_allclose(voxels, np.rint(voxels), atol=0.03)
        values = volume.data[tuple(np.rint(voxels).astype(int).T)]
        np.testing.assert_array_equal(values, np.frombuffer(ds.PixelData, np.uint16).astype(np.float32))
        count += len(values)
    assert count == volume.data.size


@few
@given(stack=stacks, data=st.data())
def test_shuffled_slices_give_the_same_volume(stack: Stack, data: st.DataObject) -> None:
    slices = classic(stack)
    for ds, number in zip(slices, data.draw(st.permutations(range(1, len(slices) + 1))), strict=True):
        ds.InstanceNumber = number
    (found,) = convert(data.draw(st.permutations(slices)))
    assert found.header.shape == stack.shape[::-1]


@few
@given(stack=stacks, data=st.data())
def test_a_dropped_slice_is_refused_or_was_at_an_end(stack: Stack, data: st.DataObject) -> None:
    slices = classic(stack, ImagesInAcquisition=stack.shape[0])
    dropped = data.draw(st.integers(0, len(slices) - 1))
    del slices[dropped]
    good = convert(slices)
    if 0 < dropped < len(slices) and len(slices) > 2:
        assert not good
    else:
        assert all(any("announces" in note for note in found.notes) for found in good)


@few
@given(stack=stacks, data=st.data(), new_uid=st.booleans(), new_pixels=st.booleans())
def test_a_duplicated_slice(stack: Stack, data: st.DataObject, new_uid: bool, new_pixels: bool) -> None:
    slices = classic(stack)
    twin = classic(stack)[data.draw(st.integers(0, len(slices) - 1))]
    if new_uid:
        twin.SOPInstanceUID = "1.2.3.4"
        twin.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    if new_pixels:
        twin.PixelData = (np.frombuffer(twin.PixelData, np.uint16) ^ 1).astype(np.uint16).tobytes()
    good = convert([*slices, twin])
    assert len(good) == int(not new_uid and not new_pixels)


CORRUPTIONS = {
    "ImagePositionPatient": lambda v: [float(v[0]) + 0.9, float(v[1]) - 0.7, float(v[2]) + 1.1],
    "ImageOrientationPatient": lambda v: [1, 0, 0, 0, 0.6, 0.8],
    "PixelSpacing": lambda v: [float(v[0]) * 1.4, float(v[1])],
    "EchoTime": lambda v: "77",
    "ImageType": lambda v: ["DERIVED", "SECONDARY", "P"],
    "SeriesInstanceUID": lambda v: "1.2.3.9",
    "RescaleSlope": lambda v: "1",
    "SOPInstanceUID": lambda v: "1.2.3.4.5",
    "AcquisitionNumber": lambda v: 9,
    "StackID": lambda v: "7",
    "TemporalPositionIdentifier": lambda v: 3,
    "SpacingBetweenSlices": lambda v: "0.1",
    "ImagesInAcquisition": lambda v: 0,
    "FrameOfReferenceUID": lambda v: "1.2.3.4.6",
    "PatientID": lambda v: "MRN-2",
    "HighBit": lambda v: 15,
}


def drop(slices: list[Dataset], k: int, tag: str) -> None:
    if len(slices) > 1:
        del slices[k]


def duplicate(slices: list[Dataset], k: int, tag: str) -> None:
    slices.append(copy.deepcopy(slices[k]))


def corrupt(slices: list[Dataset], k: int, tag: str) -> None:
    setattr(slices[k], tag, CORRUPTIONS[tag](slices[k].get(tag)))


def shuffle(slices: list[Dataset], k: int, tag: str) -> None:
    slices[:] = slices[k:] + slices[:k][::-1]


@settings(max_examples=60, deadline=None)
@given(stack=stacks, data=st.data())
def test_any_mixture_of_mishaps_never_gives_a_wrong_volume(stack: Stack, data: st.DataObject) -> None:
    slices = classic(stack)
    mishap = st.tuples(
        st.sampled_from([drop, duplicate, corrupt, shuffle]), st.integers(0, 6), st.sampled_from(sorted(CORRUPTIONS))
    )
    for act, k, tag in data.draw(st.lists(mishap, min_size=2, max_size=4)):
        act(slices, k % len(slices), tag)
    convert(slices)


@settings(max_examples=80, deadline=None)
@given(stack=stacks, data=st.data(), tag=st.sampled_from(sorted(CORRUPTIONS)))
def test_a_corrupted_slice_never_gives_a_wrong_volume(stack: Stack, data: st.DataObject, tag: str) -> None:
    slices = classic(stack)
    ds = slices[data.draw(st.integers(0, len(slices) - 1))]
    setattr(ds, tag, CORRUPTIONS[tag](ds.get(tag)))
    convert(slices)
