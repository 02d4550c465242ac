"""Files made to harm: a named refusal, no crash, nothing outside the output folder, bounded memory and time."""

from __future__ import annotations

import contextlib
import io
import os
import random
import resource
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.valuerep import PersonName

from mriseg.dicom import RefusalKind, Scan, archives, export_all, scan, sidecar, sources
from mriseg.errors import DicomError, MrisegError
from tests.dicom.builders import Stack, classic, enhanced, save

MIB = 1 << 20


@pytest.fixture
def one_file(tmp_path: Path) -> Path:
    return save(classic(Stack())[:1], tmp_path / "dicom")[0]


def the_refusal(found: Scan, kind: RefusalKind) -> str:
    assert not found.volumes
    (refused,) = found.refused
    assert refused.kind is kind
    assert refused.name
    return refused.reason


@pytest.mark.parametrize("content", [b"", b"DICM", b"abcd", bytes(131), bytes(128) + b"DICX" + bytes(900)])
def test_a_file_that_is_no_dicom(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "tiny").write_bytes(content)
    assert "mark DICM" in the_refusal(scan(tmp_path), RefusalKind.NOT_DICOM)


def test_nothing_behind_the_mark(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(bytes(128) + b"DICM")
    assert "cut off" in the_refusal(scan(tmp_path), RefusalKind.UNREADABLE)


def element(tag: tuple[int, int], vr: bytes, value: bytes, *, length: int | None = None) -> bytes:
    """An explicit little-endian element with a length that need not be true."""
    size = len(value) if length is None else length
    long = vr in (b"OB", b"OW", b"SQ", b"UN", b"UT")
    return struct.pack("<2H2s", *tag, vr) + (struct.pack("<2xL", size) if long else struct.pack("<H", size)) + value


def dicom(body: bytes, syntax: bytes = b"1.2.840.10008.1.2.1\0") -> bytes:
    meta = element((2, 0x10), b"UI", syntax)
    return bytes(128) + b"DICM" + element((2, 0), b"UL", struct.pack("<L", len(meta))) + meta + body


HEAD = (
    element((0x8, 0x16), b"UI", b"1.2.840.10008.5.1.4.1.1.4\0")
    + element((0x28, 0x2), b"US", struct.pack("<H", 1))
    + element((0x28, 0x4), b"CS", b"MONOCHROME2 ")
)
SIZE = (
    element((0x28, 0x10), b"US", struct.pack("<H", 65535))
    + element((0x28, 0x11), b"US", struct.pack("<H", 65535))
    + element((0x28, 0x100), b"US", struct.pack("<H", 16))
)


def test_two_gigabytes_claimed_by_a_short_element(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(dicom(HEAD + element((0x9, 0x10), b"OB", b"xyz", length=2_000_000_000)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert scan(tmp_path).refused
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


def test_a_short_file_claims_an_image_of_eight_gigabytes(tmp_path: Path) -> None:
    body = HEAD + SIZE + element((0x7FE0, 0x10), b"OW", b"abcd", length=0xFFFFFFF0)
    (tmp_path / "a.dcm").write_bytes(dicom(body))
    assert "more than any MR image has" in the_refusal(scan(tmp_path), RefusalKind.HOSTILE)


def test_a_claim_of_many_frames(tmp_path: Path) -> None:
    ds = enhanced(Stack())
    ds.NumberOfFrames = 2_000_000_000
    save([ds], tmp_path)
    the_refusal(scan(tmp_path), RefusalKind.HOSTILE)


@pytest.mark.parametrize("depth", [50, 5_000, 200_000])
def test_endless_nesting(depth: int, tmp_path: Path) -> None:
    opening = struct.pack("<2H2s2xL", 0x8, 0x1140, b"SQ", 0xFFFFFFFF) + struct.pack("<2HL", 0xFFFE, 0xE000, 0xFFFFFFFF)
    (tmp_path / "a.dcm").write_bytes(dicom(HEAD + opening * depth))
    (refused,) = scan(tmp_path).refused
    assert refused.reason


def test_a_deflated_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_UNPACKED_BYTES", MIB)
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = packer.compress(bytes(64 * MIB)) + packer.flush()
    (tmp_path / "a.dcm").write_bytes(dicom(packed, b"1.2.840.10008.1.2.1.99\0\0"))
    assert "unpacks to more than" in the_refusal(scan(tmp_path), RefusalKind.HOSTILE)


def test_damaged_deflated_data(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(dicom(b"\xff" * 900, b"1.2.840.10008.1.2.1.99\0\0"))
    assert "damaged" in the_refusal(scan(tmp_path), RefusalKind.UNREADABLE)


def test_a_zip_bomb_of_dicom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_UNPACKED_BYTES", MIB)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.dcm", bytes(128) + b"DICM" + bytes(64 * MIB))
    assert "unpacks to more than" in the_refusal(scan(tmp_path), RefusalKind.HOSTILE)


def test_a_zip_bomb_of_anything_is_not_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.bin", bytes(256 * MIB))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    the_refusal(scan(tmp_path), RefusalKind.NOT_DICOM)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


def test_an_archive_that_claims_more_than_any_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_ARCHIVE_BYTES", MIB)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.bin", bytes(2 * MIB))
    the_refusal(scan(tmp_path), RefusalKind.HOSTILE)


def test_archives_inside_archives_are_followed_so_far_and_no_further(tmp_path: Path, one_file: Path) -> None:
    content, name = one_file.read_bytes(), "a.dcm"
    one_file.unlink()
    for depth in range(6):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr(name, content)
        content, name = packed.getvalue(), "b.zip"
        (one_file.parent / "a.zip").write_bytes(content)
        found = scan(one_file.parent)
        assert len(found.volumes) == int(depth <= archives.MAX_DEPTH)
    assert "unpack it" in str(found.account)


def test_an_archive_inside_an_archive_that_is_none(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("b.zip", b"PK\3\4 nothing")
    assert "not a readable zip archive" in the_refusal(scan(tmp_path), RefusalKind.UNREADABLE)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_archives_are_read_like_folders(compression: int, tmp_path: Path) -> None:
    paths = save(classic(Stack()), tmp_path / "dicom", suffix="")
    with zipfile.ZipFile(tmp_path / "a.zip", "w", compression) as archive:
        for path in paths:
            archive.write(path, f"deep/{path.name}")
    (plain,), (packed,) = scan(tmp_path / "dicom").volumes, scan(tmp_path / "a.zip").volumes
    assert (plain.read().data == packed.read().data).all()
    assert plain.sop_uids == packed.sop_uids


def test_a_damaged_archive_member(tmp_path: Path, one_file: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(one_file, "a.dcm")
    data = bytearray((tmp_path / "a.zip").read_bytes())
    data[400:420] = bytes(20)
    (tmp_path / "a.zip").write_bytes(data)
    the_refusal(scan(tmp_path / "a.zip"), RefusalKind.UNREADABLE)


@pytest.mark.parametrize("name", ["../outside.dcm", "/etc/hostname", "a/../../b.dcm", "..\\outside.dcm"])
def test_archive_names_that_lead_out(name: str, tmp_path: Path, one_file: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(zipfile.ZipInfo(name), one_file.read_bytes())
    the_refusal(scan(tmp_path / "a.zip"), RefusalKind.HOSTILE)


def test_not_an_archive(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK\3\4 nothing")
    the_refusal(scan(tmp_path), RefusalKind.UNREADABLE)


def test_link_loops_end(tmp_path: Path, one_file: Path) -> None:
    folder = one_file.parent
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    (folder / "self").symlink_to(folder / "self")
    found = scan(folder)
    assert len(found.volumes) == 1
    assert [r.name for r in found.refused] == ["self"]


def test_a_pipe_does_not_block(tmp_path: Path, one_file: Path) -> None:
    os.mkfifo(one_file.parent / "pipe")
    found = scan(one_file.parent)
    assert len(found.volumes) == 1
    assert found.refused[0].kind is RefusalKind.NOT_DICOM


def test_names_that_are_no_utf8(tmp_path: Path, one_file: Path) -> None:
    Path(os.fsdecode(os.fsencode(one_file.parent) + b"/\xff\xfe.dcm")).write_bytes(b"abcd")
    (refused,) = scan(one_file.parent).refused
    refused.name.encode("utf-8")


def put(ds: Dataset, name: str, value: str) -> None:
    """Set a value that pydicom would not let pass."""
    tag = tag_for_keyword(name)
    assert tag is not None
    ds[name] = DataElement(tag, dictionary_VR(tag), "0")
    ds[name]._value = PersonName(value) if dictionary_VR(tag) == "PN" else value


@pytest.mark.parametrize(
    "text", ["../../evil", "a\0b", "<script>alert(1)</script>", "/etc/passwd", "CON", "x" * 5000, "ü 膝"]
)
def test_hostile_text_stays_out_of_names_and_sidecars(text: str, tmp_path: Path) -> None:
    slices = classic(Stack(), SpecificCharacterSet="ISO_IR 192")
    with sources.quiet():
        for ds in slices:
            for name in (
                "SeriesDescription",
                "PatientID",
                "ProtocolName",
                "SequenceName",
                "StudyID",
                "PatientName",
                "Manufacturer",
            ):
                put(ds, name, text)
        save(slices, tmp_path / "dicom")
    found = scan(tmp_path / "dicom")
    written, _ = export_all(found.volumes, tmp_path / "out")
    assert all(p.parent == tmp_path / "out" for p in written)
    assert {p.name for p in tmp_path.iterdir()} <= {"dicom", "out"}
    for volume in found.volumes:
        assert text not in str(sidecar(volume)) + volume.name
        assert set(volume.name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_")


@pytest.mark.parametrize(
    ("name", "value"),
    [("RescaleSlope", "1e400"), ("RescaleSlope", "nan"), ("PixelSpacing", "0\\0"), ("PixelSpacing", "-1\\1")],
)
def test_broken_numbers_are_refused_or_absent(name: str, value: str, tmp_path: Path) -> None:
    slices = classic(Stack())
    for ds in slices:
        put(ds, name, value)
    with sources.quiet():
        save(slices, tmp_path)
    found = scan(tmp_path)
    assert bool(found.volumes) == (name == "RescaleSlope")
    for volume in found.volumes:
        assert volume.read().data.max() <= 4095


COMPRESSED = {
    "MR_small_jp2klossless.dcm": (b"\xff\x4f\xff\x51", 8, ">2L"),
    "MR_small_jpeg_ls_lossless.dcm": (b"\xff\xf7", 5, ">2H"),
}


@pytest.mark.parametrize("name", COMPRESSED)
def test_a_compressed_image_of_another_size_than_the_header(name: str, tmp_path: Path) -> None:
    # Believed, this size costs gigabytes or ends the process inside the decoder.
    marker, offset, layout = COMPRESSED[name]
    data = bytearray(Path(get_testdata_file(name)).read_bytes())
    struct.pack_into(layout, data, data.find(marker) + offset, 60000, 60000)
    (tmp_path / "a.dcm").write_bytes(data)
    (found,) = scan(tmp_path).volumes
    with pytest.raises(DicomError, match=r"60000 x 60000 pixels|more tiles"):
        found.read()


@pytest.mark.parametrize("name", [*COMPRESSED, "MR_small_RLE.dcm"])
def test_damaged_compressed_pixels_end_no_process(name: str, tmp_path: Path) -> None:
    original = Path(get_testdata_file(name)).read_bytes()
    begin = original.rfind(b"\xe0\x7f\x10\x00")
    rng = random.Random(7)
    for _ in range(40):
        data = bytearray(original)
        for _ in range(rng.choice([1, 2, 5, 30])):
            data[rng.randrange(begin, len(data))] = rng.randrange(256)
        (tmp_path / "a.dcm").write_bytes(data)
        read_all(tmp_path)


def read_all(folder: Path) -> None:
    """Scan and read everything; only the errors meant for users may come out."""
    for volume in scan(folder).volumes:
        with contextlib.suppress(MrisegError):
            volume.read(allow_unplaced=True)


@pytest.mark.parametrize("kind", ["classic", "enhanced"])
def test_random_bytes_in_headers_raise_nothing_else(kind: str, tmp_path: Path) -> None:
    good = save(
        [enhanced(Stack(shape=(2, 4, 4)))] if kind == "enhanced" else classic(Stack(shape=(1, 4, 4))), tmp_path
    )[0]
    original = good.read_bytes()
    rng = random.Random(20240310)
    for _ in range(400):
        data = bytearray(original)
        for _ in range(rng.choice([1, 1, 2, 8, 40])):
            data[rng.randrange(132, len(data))] = rng.randrange(256)
        if rng.random() < 0.2:
            del data[rng.randrange(132, len(data)) :]
        good.write_bytes(data)
        read_all(tmp_path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.binary(max_size=300),
    syntax=st.sampled_from([b"1.2.840.10008.1.2\0", b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.2\0"]),
)
def test_any_bytes_behind_the_mark(body: bytes, syntax: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(dicom(HEAD + body, syntax))
    read_all(tmp_path)


def test_the_command_ends_with_one_line_and_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(dicom(HEAD + SIZE))
    run = subprocess.run(
        [sys.executable, "-m", "mriseg.cli", "convert", tmp_path, tmp_path / "out"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1
    assert "Traceback" not in run.stderr
    assert "a.dcm" in run.stderr
