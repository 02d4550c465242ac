"""What a file says of its encoding may be wrong or missing: the bytes decide, and the pixels are right or refused."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from mriseg.dicom import Pseudonyms, RefusalKind, deidentify, scan
from tests.dicom.builders import Stack, classic, save

PLAIN = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
STACK = Stack(shape=(3, 64, 64))


def claim(path: Path, syntax: str | None) -> None:
    """Let a file say that it is in another transfer syntax, or in none."""
    data = path.read_bytes()
    at, length = 144, int.from_bytes(data[140:144], "little")
    meta, body = data[at : at + length], data[at + length :]
    begin = meta.index(b"\x02\0\x10\0UI")
    end = begin + 8 + int.from_bytes(meta[begin + 6 : begin + 8], "little")
    uid = b"" if syntax is None else syntax.encode() + b"\0" * (len(syntax) % 2)
    element = b"" if syntax is None else b"\x02\0\x10\0UI" + struct.pack("<H", len(uid)) + uid
    meta = meta[:begin] + element + meta[end:]
    path.write_bytes(data[:140] + struct.pack("<L", len(meta)) + meta + body)


def save_as(syntax: pydicom.uid.UID, folder: Path) -> list[Path]:
    slices = classic(STACK)
    if syntax == ExplicitVRBigEndian:
        for ds in slices:
            ds.PixelData = np.frombuffer(ds.PixelData, "<u2").astype(">u2").tobytes()
    return save(slices, folder, syntax=syntax)


def assert_read(folder: Path) -> None:
    found = scan(folder)
    assert not found.refused
    (volume,) = found.volumes
    values = volume.read().data
    assert sorted(values.ravel()) == sorted(STACK.pixels.ravel().astype(np.float32))


@pytest.mark.parametrize("claimed", [*PLAIN, None], ids=lambda uid: "nothing" if uid is None else uid.name)
@pytest.mark.parametrize("true", PLAIN, ids=lambda uid: uid.name)
def test_any_encoding_under_any_claim(true: pydicom.uid.UID, claimed: pydicom.uid.UID | None, tmp_path: Path) -> None:
    for path in save_as(true, tmp_path):
        claim(path, claimed)
    assert_read(tmp_path)


@pytest.mark.parametrize("true", PLAIN[:3], ids=lambda uid: uid.name)
@pytest.mark.parametrize(
    "strip",
    [
        lambda data, meta: data[144 + meta :],
        lambda data, meta: data[132:],
        lambda data, meta: data[128:],
        lambda data, meta: bytes(128) + b"DICM" + data[144 + meta :],
        lambda data, meta: data[:140] + struct.pack("<L", 7) + data[144:],
    ],
    ids=["no head", "no preamble and no mark", "no preamble", "no meta group", "meta group of a false length"],
)
def test_heads_that_are_missing(true: pydicom.uid.UID, strip: Callable[[bytes, int], bytes], tmp_path: Path) -> None:
    for path in save_as(true, tmp_path):
        data = path.read_bytes()
        path.write_bytes(strip(data, int.from_bytes(data[140:144], "little")))
    assert_read(tmp_path)


def test_deflated_data_with_the_header_of_zlib(tmp_path: Path) -> None:
    for path in save_as(ExplicitVRLittleEndian, tmp_path):
        claim(path, DeflatedExplicitVRLittleEndian)
        data = path.read_bytes()
        begin = 144 + int.from_bytes(data[140:144], "little")
        path.write_bytes(data[:begin] + zlib.compress(data[begin:]))
    assert_read(tmp_path)


@pytest.mark.parametrize(
    ("true", "claimed"),
    [
        (RLELossless, JPEG2000Lossless),
        (JPEG2000Lossless, RLELossless),
        (JPEG2000Lossless, ExplicitVRLittleEndian),
        (RLELossless, ImplicitVRLittleEndian),
        (ExplicitVRLittleEndian, JPEG2000Lossless),
        (ExplicitVRLittleEndian, RLELossless),
    ],
)
def test_compressed_pixels_under_another_name(true: pydicom.uid.UID, claimed: pydicom.uid.UID, tmp_path: Path) -> None:
    for path in save(classic(STACK), tmp_path / "in", syntax=true):
        claim(path, claimed)
    assert_read(tmp_path / "in")
    deidentify(tmp_path / "in", tmp_path / "out", Pseudonyms(secret=b"a secret of sixteen bytes"))
    assert_read(tmp_path / "out")


@pytest.mark.parametrize(
    ("uid", "named"),
    [
        ("1.2.840.10008.1.2.4.110", "1.2.840.10008.1.2.4.110 (JPEG XL Lossless)"),
        ("1.2.840.10008.1.2.4.100", "MPEG2"),
        ("1.2.840.113619.5.2", "GE private"),
        ("1.2.3.4", "transfer syntax 1.2.3.4"),
    ],
)
def test_a_compression_that_cannot_be_decoded_is_named_once(uid: str, named: str, tmp_path: Path) -> None:
    for path in save(classic(STACK), tmp_path, syntax=JPEG2000Lossless):
        claim(path, uid)
    (line,) = scan(tmp_path).account.troubles
    assert named in line
    assert "cannot decode" in line


def test_a_compressed_header_in_implicit_vr_is_named(tmp_path: Path) -> None:
    for path in save(classic(STACK), tmp_path, syntax=ImplicitVRLittleEndian):
        claim(path, JPEG2000Lossless)
    (line,) = scan(tmp_path).account.troubles
    assert "written as Implicit VR Little Endian" in line
    assert "1.2.840.10008.1.2.4.90" in line


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless], ids=lambda uid: uid.name)
@pytest.mark.parametrize("kept", [0.5, 0.9, 0.99])
def test_compressed_pixels_that_are_cut_off(syntax: pydicom.uid.UID, kept: float, tmp_path: Path) -> None:
    path = save(classic(STACK), tmp_path, syntax=syntax)[1]
    data = path.read_bytes()
    pixels = data.rfind(b"\xe0\x7f\x10\0")
    path.write_bytes(data[: pixels + int(kept * (len(data) - pixels))])
    found = scan(tmp_path)
    assert not found.volumes
    assert "im0001.dcm is truncated" in str(found.refused[0])


@pytest.mark.parametrize("syntax", PLAIN, ids=lambda uid: uid.name)
def test_a_file_cut_anywhere_is_never_half_a_knee(syntax: pydicom.uid.UID, tmp_path: Path) -> None:
    path = save_as(syntax, tmp_path)[1]
    data = path.read_bytes()
    for cut in np.linspace(0, len(data) - 2, 30).astype(int):
        path.write_bytes(data[:cut])
        found = scan(tmp_path)
        assert not found.volumes, cut
        assert "im0001.dcm" in " ".join(map(str, found.refused)), cut


def test_gzip_is_unpacked(tmp_path: Path) -> None:
    for path in save(classic(STACK), tmp_path):
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert_read(tmp_path)


@pytest.mark.parametrize("change", [lambda data: data[:-400], lambda data: data[:60] + bytes(40) + data[100:]])
def test_damaged_gzip_is_no_slice(change: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = save(classic(STACK), tmp_path)[1]
    path.write_bytes(change(gzip.compress(path.read_bytes())))
    found = scan(tmp_path)
    assert not found.volumes
    assert "im0001.dcm" in " ".join(map(str, found.refused))


def test_random_bytes_are_no_dicom(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    for n in range(200):
        (tmp_path / f"{n}").write_bytes(b"\x08\0" * (n % 2) + rng.bytes(2000))
    found = scan(tmp_path)
    assert {r.kind for r in found.refused} == {RefusalKind.NOT_DICOM}
