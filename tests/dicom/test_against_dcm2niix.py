"""Voxels and world positions equal those of dcm2niix, an independent converter; where they differ, a test says why."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from mriseg.dicom import export_all, scan
from tests.dicom.builders import PLANES, Stack, classic, enhanced, rotated, save

TOLERANCE_MM = 1e-4
DIRECTIONS = {
    **PLANES,
    "sagittal, double oblique": rotated("sagittal", 12, -17, 23),
    "coronal, double oblique": rotated("coronal", 30, 41, -33),
    "axial, 37 degrees": rotated("axial", 37, 0, 0),
}


@pytest.fixture
def dcm2niix() -> str:
    found = shutil.which("dcm2niix") or shutil.which("dcm2niix", path=str(Path(sys.executable).parent))
    if found is None:
        pytest.skip("dcm2niix is not installed")
    return found


def canonical(path: Path) -> tuple[np.ndarray, np.ndarray]:
    image = nib.as_closest_canonical(nib.load(path))
    return np.asarray(image.dataobj, dtype=float), image.affine


def reference(program: str, folder: Path, out: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    out.mkdir()
    subprocess.run(
        [program, "-z", "y", "-b", "n", "-f", "%s_%e_%r", "-o", out, folder], check=False, capture_output=True
    )
    return [canonical(p) for p in sorted(out.glob("*.nii.gz")) if "_Eq" not in p.name]


def ours(folder: Path, out: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    found = scan(folder)
    written, refused = export_all(found.volumes, out)
    assert not refused
    assert not [r for r in found.refused if not r.kind.harmless]
    return [canonical(p) for p in written]


def assert_same(program: str, folder: Path, work: Path, *, volumes: int) -> None:
    expected, found = reference(program, folder, work / "reference"), ours(folder, work / "ours")
    assert len(expected) == len(found) == volumes
    for data, affine in expected:
        same = [a for d, a in found if d.shape == data.shape and np.allclose(d, data, rtol=1e-6, atol=1e-4)]
        assert same, f"no volume of {data.shape} has the voxels of dcm2niix"
        assert min(np.abs(a - affine).max() for a in same) < TOLERANCE_MM


@pytest.mark.parametrize("order", ["sorted", "reversed files", "reversed numbers"])
@pytest.mark.parametrize("name", DIRECTIONS)
def test_every_plane_and_order(name: str, order: str, dcm2niix: str, tmp_path: Path) -> None:
    slices = classic(Stack(directions=DIRECTIONS[name]))
    if order == "reversed numbers":
        for k, ds in enumerate(slices):
            ds.InstanceNumber = len(slices) - k
    save(slices[::-1] if order == "reversed files" else slices, tmp_path / "dicom")
    assert_same(dcm2niix, tmp_path / "dicom", tmp_path, volumes=1)


@pytest.mark.parametrize("name", DIRECTIONS)
def test_enhanced_multi_frame(name: str, dcm2niix: str, tmp_path: Path) -> None:
    save([enhanced(Stack(directions=DIRECTIONS[name]))], tmp_path / "dicom")
    assert_same(dcm2niix, tmp_path / "dicom", tmp_path, volumes=1)


@pytest.mark.parametrize("side", ["L", "R"])
def test_left_and_right_knees(side: str, dcm2niix: str, tmp_path: Path) -> None:
    x = {"L": 70.0, "R": -80.0}[side]
    save(classic(Stack(origin=(x, -60.0, 40.0)), Laterality=side), tmp_path / "dicom")
    assert_same(dcm2niix, tmp_path / "dicom", tmp_path, volumes=1)


@pytest.mark.parametrize(
    ("stack", "elements"),
    [
        (Stack(), {"RescaleSlope": "2", "RescaleIntercept": "-4096"}),
        (Stack(signed=True, stored_bits=16), {}),
        (Stack(stored_bits=16), {}),
        (Stack(shape=(2, 9, 7)), {}),
        (Stack(shape=(1, 9, 7)), {}),
        (Stack(pixel_mm=(0.3125, 0.625)), {"SliceThickness": "3"}),
    ],
    ids=["rescaled", "signed", "16 bits", "two slices", "one slice", "thickness unlike spacing"],
)
def test_pixel_formats(stack: Stack, elements: dict[str, object], dcm2niix: str, tmp_path: Path) -> None:
    save(classic(stack, **elements), tmp_path / "dicom")
    assert_same(dcm2niix, tmp_path / "dicom", tmp_path, volumes=1)


def test_philips_scale_factors(dcm2niix: str, tmp_path: Path) -> None:
    slices = classic(Stack(), Manufacturer="Philips", RescaleSlope="1.5", RescaleIntercept="-3")
    for ds in slices:
        ds.private_block(0x2005, "Philips MR Imaging DD 001", create=True).add_new(0x0E, "FL", 0.0125)
    save(slices, tmp_path / "dicom")
    assert_same(dcm2niix, tmp_path / "dicom", tmp_path, volumes=1)


def test_echoes_become_volumes(dcm2niix: str, tmp_path: Path) -> None:
    save([*classic(Stack()), *classic(Stack(), echo=2)], tmp_path / "dicom")
    assert_same(dcm2niix, tmp_path / "dicom", tmp_path, volumes=2)


@pytest.mark.parametrize(
    "syntax",
    [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, RLELossless, JPEG2000Lossless],
    ids=lambda uid: uid.name,
)
def test_transfer_syntaxes(syntax: pydicom.uid.UID, tmp_path: Path) -> None:
    # dcm2niix reads no deflated files; the uncompressed stack is the truth here.
    stack = Stack(shape=(3, 64, 64), stored_bits=16)
    save(classic(stack), tmp_path / "plain")
    save(classic(stack), tmp_path / "packed", syntax=syntax)
    ((data, affine),) = ours(tmp_path / "plain", tmp_path / "a")
    ((packed, packed_affine),) = ours(tmp_path / "packed", tmp_path / "b")
    np.testing.assert_array_equal(packed, data)
    np.testing.assert_array_equal(packed_affine, affine)


@pytest.mark.parametrize("syntax", ["JPEGLosslessProcess14_1", "JPEGLSLossless", "JPEG2000Lossless", "RLELossless"])
@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
def test_compressed_as_pacs_send_it(syntax: str, signed: bool, dcm2niix: str, tmp_path: Path) -> None:
    stack = Stack(shape=(3, 64, 64), stored_bits=16 if signed else 12, signed=signed)
    for path in save(classic(stack), tmp_path / "dicom"):
        recompress(path, syntax)
    ((data, _),) = ours(tmp_path / "dicom", tmp_path / "check")
    assert sorted(data.ravel()) == sorted(stack.pixels.ravel().astype(float))
    if syntax != "JPEGLSLossless" or not signed:  # the JPEG-LS decoder of dcm2niix reads negative values as large ones
        assert_same(dcm2niix, tmp_path / "dicom", tmp_path, volumes=1)


def recompress(path: Path, syntax: str) -> None:
    """Compress a file in place with another library than the one that reads it back where possible."""
    gdcm = pytest.importorskip("gdcm")
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, syntax)))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFile(reader.GetFile())
    writer.SetFileName(str(path))
    writer.SetImage(change.GetOutput())
    assert writer.Write()


@pytest.mark.parametrize(
    "name",
    [
        "MR_small.dcm",
        "MR_small_RLE.dcm",
        "MR_small_bigendian.dcm",
        "MR_small_expb.dcm",
        "MR_small_implicit.dcm",
        "MR_small_jp2klossless.dcm",
        "MR_small_jpeg_ls_lossless.dcm",
        "MR_small_padded.dcm",
        "emri_small.dcm",
        "emri_small_RLE.dcm",
        "emri_small_big_endian.dcm",
        "emri_small_jpeg_2k_lossless.dcm",
        "emri_small_jpeg_ls_lossless.dcm",
        "MR2_J2KI.dcm",
        "MR2_J2KR.dcm",
        "MR2_UNCI.dcm",
        "MR2_UNCR.dcm",
    ],
)
def test_files_of_other_people(name: str, dcm2niix: str, tmp_path: Path) -> None:
    path = get_testdata_file(name, download=False)
    if path is None:
        pytest.skip(f"{name} is not installed: add the package pydicom-data")
    (tmp_path / "dicom").mkdir()
    shutil.copy(path, tmp_path / "dicom")
    assert_same(dcm2niix, tmp_path / "dicom", tmp_path, volumes=1)


def test_localizer_planes_become_volumes(dcm2niix: str, tmp_path: Path) -> None:
    source = Path(pydicom.__file__).parent / "data/test_files/dicomdirtests/98892003"
    for name, volumes in (("MR1", 3), ("MR2", 7), ("MR700", 7)):
        (tmp_path / name).mkdir()
        assert_same(dcm2niix, source / name, tmp_path / name, volumes=volumes)


@pytest.mark.real_data
def test_real_multi_echo_series(dcm2niix: str, real_data: Path, tmp_path: Path) -> None:
    assert_same(dcm2niix, real_data / "dicom" / "ge-mese-t2", tmp_path, volumes=8)


def test_differs_a_sheared_stack_is_refused(dcm2niix: str, tmp_path: Path) -> None:
    # dcm2niix writes the slices as if they were stacked straight, and a second, resampled file. A sheared grid cannot
    # be a NIfTI image with equal qform and sform, and resampling blurs thin cartilage.
    stack = Stack()
    slices = classic(stack)
    for k, ds in enumerate(slices):
        ds.ImagePositionPatient = (stack.position(k) + k * 0.3 * np.array(stack.directions[1])).tolist()
    save(slices, tmp_path / "dicom")
    assert reference(dcm2niix, tmp_path / "dicom", tmp_path / "reference")
    found = scan(tmp_path / "dicom")
    assert not found.volumes
    assert "sheared" in found.refused[0].reason


def test_differs_a_gap_is_refused(dcm2niix: str, tmp_path: Path) -> None:
    # dcm2niix warns and writes a volume in which everything beyond the gap lies at the wrong place.
    slices = classic(Stack(shape=(9, 8, 8)))
    del slices[4]
    save(slices, tmp_path / "dicom")
    assert reference(dcm2niix, tmp_path / "dicom", tmp_path / "reference")
    found = scan(tmp_path / "dicom")
    assert not found.volumes
    assert "missing" in found.refused[0].reason
    assert "im0003.dcm" in found.refused[0].reason


def test_differs_echoes_of_one_enhanced_object_are_parted(dcm2niix: str, tmp_path: Path) -> None:
    # dcm2niix stacks the slices of both echoes into one volume of twice the height when they share one object.
    stack = Stack()
    save([enhanced(stack, echoes=(4.5, 9.0))], tmp_path / "dicom")
    volumes = scan(tmp_path / "dicom").volumes
    assert [v.header.echo_ms for v in volumes] == [4.5, 9.0]
    first, second = (v.read().data for v in volumes)
    np.testing.assert_array_equal(second, first + 100)


def test_differs_overlays_are_not_written(tmp_path: Path) -> None:
    # dcm2niix writes overlay planes as volumes. They may hold text burned in by a workstation, which PS3.15 removes.
    path = Path(pydicom.__file__).parent / "data/test_files/examples_overlay.dcm"
    assert len(scan(path).volumes) == 1


def test_differs_ct_and_other_images_are_left_out(tmp_path: Path) -> None:
    path = Path(pydicom.__file__).parent / "data/test_files/CT_small.dcm"
    found = scan(path)
    assert not found.volumes
    assert found.refused[0].kind == "not-mr"


def test_differs_a_truncated_file_is_named(tmp_path: Path) -> None:
    path = Path(pydicom.__file__).parent / "data/test_files/MR_truncated.dcm"
    found = scan(path)
    assert not found.volumes
    assert "truncated: 8130 of 8192 bytes" in found.refused[0].reason


def test_big_endian_is_read(tmp_path: Path) -> None:
    ds = pydicom.dcmread(get_testdata_file("MR_small_bigendian.dcm"))
    assert ds.file_meta.TransferSyntaxUID == ExplicitVRBigEndian
    (found,) = scan(Path(get_testdata_file("MR_small_bigendian.dcm"))).volumes
    expected = pydicom.dcmread(get_testdata_file("MR_small.dcm")).pixel_array
    assert sorted(found.read().data.ravel()) == sorted(expected.ravel().astype(np.float32))
