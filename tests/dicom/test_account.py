"""Every file is accounted for: read, passed over by kind with what to do, or refused; no slice gets lost unnoticed."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import generate_uid
from typer.testing import CliRunner

from mriseg.cli import app
from mriseg.dicom import scan
from mriseg.errors import DicomError
from tests.dicom.builders import Stack, classic, enhanced, join, save

TROUBLES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "zeros": lambda data: bytes(len(data)),
    "head of zeros": lambda data: bytes(400) + data[400:],
    "cut in the head": lambda data: data[:100],
    "cut behind the mark": lambda data: data[:132],
    "cut in the header": lambda data: data[:500],
    "cut in the pixels": lambda data: data[:-20],
    "web page": lambda data: b"<!DOCTYPE html><html>not found</html>",
    "pointer": lambda data: b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n",
    "noise": lambda data: np.random.default_rng(1).bytes(len(data)),
}


@pytest.mark.parametrize(
    "which", [slice(-2, None), slice(0, 1), slice(1, None, 2)], ids=["last", "first", "every other"]
)
@pytest.mark.parametrize("suffix", [".dcm", "", ".IMA"])
@pytest.mark.parametrize("trouble", TROUBLES)
def test_damaged_files_among_slices_refuse_the_stack(trouble: str, suffix: str, which: slice, tmp_path: Path) -> None:
    for path in save(classic(Stack()), tmp_path, suffix=suffix)[which]:
        path.write_bytes(TROUBLES[trouble](path.read_bytes()))
        damaged = path.name
    found = scan(tmp_path)
    assert not found.volumes
    assert damaged in " ".join(map(str, found.refused))
    assert found.account.troubled


def test_a_damaged_file_refuses_the_series_around_it_alone(tmp_path: Path) -> None:
    slices = [*classic(Stack(), number=3), *classic(Stack(seed=2), number=4)]
    save(slices, tmp_path)[2].write_bytes(b"")
    found = scan(tmp_path)
    assert [v.header.series_number for v in found.volumes] == [4]


def test_a_damaged_file_between_two_series_refuses_both(tmp_path: Path) -> None:
    slices = [*classic(Stack(), number=3), *classic(Stack(seed=2), number=4)]
    save(slices, tmp_path)[5].write_bytes(b"")
    assert not scan(tmp_path).volumes


def test_names_in_random_order_refuse_all_series_of_the_folder(tmp_path: Path) -> None:
    paths = save([*classic(Stack(), number=3), *classic(Stack(seed=2), number=4)], tmp_path)
    for path in paths:
        path.rename(path.with_name(generate_uid(entropy_srcs=[path.name]) + ".dcm"))
    (tmp_path / (generate_uid(entropy_srcs=["lost"]) + ".dcm")).write_bytes(b"")
    assert not scan(tmp_path).volumes


def test_unfinished_downloads_are_missed(tmp_path: Path) -> None:
    path = save(classic(Stack()), tmp_path)[-1]
    path.with_name(path.name + ".part").write_bytes(path.read_bytes()[:60])
    path.unlink()
    assert not scan(tmp_path).volumes


def test_what_lies_beside_a_series_harms_nothing(tmp_path: Path) -> None:
    paths = save(classic(Stack()), tmp_path)
    for name, content in {
        "README.txt": b"Scans of the trial",
        "im0000.jpg": b"\xff\xd8\xff\xe0",
        "._im0000.dcm": b"\x00\x05\x16\x07",
        ".DS_Store": b"\0\0\0\1Bud1",
        "EMPTY": b"",
        "sheet.pdf": b"%PDF-1.7",
    }.items():
        (paths[0].parent / name).write_bytes(content)
    found = scan(tmp_path)
    assert len(found.volumes) == 1
    assert not found.account.troubled
    assert found.account.read == 6


def test_an_enhanced_object_is_whole_in_itself(tmp_path: Path) -> None:
    save([enhanced(Stack()), enhanced(Stack(seed=2))], tmp_path)[1].write_bytes(b"")
    found = scan(tmp_path)
    assert len(found.volumes) == 1
    assert found.account.troubled


def test_like_refusals_are_one_line_with_a_count(tmp_path: Path) -> None:
    for n in range(24):
        (tmp_path / f"IM_{n:04d}.dcm").write_bytes(b"")
    (line,) = scan(tmp_path).account.troubles
    assert line.startswith("24 of one kind (IM_0000.dcm, IM_0001.dcm, IM_0002.dcm and 21 more): ")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("export.7z", b"7z\xbc\xaf\x27\x1c", "1 x 7z archive: unpack it"),
        ("export.rar", b"Rar!\x1a", "1 x RAR archive: unpack it"),
        ("export.tar", bytes(257) + b"ustar", "1 x tar archive: unpack it"),
        ("export", b"PK\x03\x04", "let its name end in .zip"),
        ("scan.nii", bytes(344) + b"n+1\0", "1 x NIfTI image: it is converted already"),
        ("scan.PAR", b"# === DATA DESCRIPTION FILE ===", "1 x Philips PAR file: export DICOM"),
        ("IM1", b"version https://git-lfs.github.com", "1 x Git LFS pointer: fetch the file"),
        ("IM1", b"", "1 x empty file: copy it again"),
        ("IM1", bytes(1000), "1 x file of zeros: copy it again"),
    ],
)
def test_what_was_passed_over_is_counted_by_kind_with_what_to_do(
    name: str, content: bytes, expected: str, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_bytes(content)
    run = CliRunner().invoke(app, ["convert", str(tmp_path / "in"), str(tmp_path / "out")])
    assert run.exit_code == 1
    assert expected in str(scan(tmp_path / "in").account)


@pytest.mark.parametrize("name", ["./a/im.dcm", "a//im.dcm", "a\\im.dcm", "a/./im.dcm"])
def test_names_of_archive_members_are_brought_into_one_form(name: str, tmp_path: Path) -> None:
    (path,) = save(classic(Stack())[:1], tmp_path / "in")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("x")
        info.filename = name
        archive.writestr(info, path.read_bytes())
    found = scan(tmp_path / "a.zip")
    assert found.volumes[0].files == (tmp_path / "a.zip" / "a" / "im.dcm",)
    assert found.volumes[0].read().data.size == 63


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_members_of_one_name_are_all_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for path in save(classic(Stack()), tmp_path / "in"):
            archive.writestr("image.dcm", path.read_bytes())
    (found,) = scan(tmp_path / "a.zip").volumes
    assert len(found.files) == 6


def test_an_archive_in_an_archive_is_read(tmp_path: Path) -> None:
    paths = save(classic(Stack()), tmp_path / "in")
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in paths:
            archive.write(path, f"IMAGES/{path.name}")
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        archive.writestr("./patient/inner.zip", inner.getvalue())
    (plain,), (packed,) = scan(tmp_path / "in").volumes, scan(tmp_path / "export.zip").volumes
    np.testing.assert_array_equal(plain.read().data, packed.read().data)


def test_every_second_slice_missing_is_seen_in_numbers_and_thickness(tmp_path: Path) -> None:
    save(classic(Stack(shape=(9, 5, 5)))[::2], tmp_path)
    (refused,) = scan(tmp_path).refused
    assert "3.00 mm apart, the header says 1.50 mm (SliceThickness), and their numbers step by 2" in str(refused)


def test_echoes_numbered_in_turn_with_gaps_as_wide_as_slices_are_whole(tmp_path: Path) -> None:
    first, second = classic(Stack(), SliceThickness="0.75"), classic(Stack(seed=2), echo=2, SliceThickness="0.75")
    join(first[0], second)
    for k, (a, b) in enumerate(zip(first, second, strict=True)):
        a.InstanceNumber, b.InstanceNumber = 2 * k + 1, 2 * k + 2
    save([*first, *second], tmp_path)
    assert len(scan(tmp_path).volumes) == 2


def test_a_series_uid_of_its_own_for_every_slice_is_said_once_and_the_volume_made(tmp_path: Path) -> None:
    slices = classic(Stack())
    for k, ds in enumerate(slices):
        ds.SeriesInstanceUID = generate_uid(entropy_srcs=[f"slice {k}"])
    save(slices, tmp_path)
    (found,) = scan(tmp_path).volumes
    assert found.header.shape == (7, 9, 6)
    assert "SeriesInstanceUID changes with every slice (6 of them)" in found.notes[0]


@pytest.mark.parametrize("tag", ["StudyInstanceUID", "FrameOfReferenceUID", "PatientID"])
def test_slices_of_unlike_identity_are_never_joined(tag: str, tmp_path: Path) -> None:
    slices = classic(Stack())
    for k, ds in enumerate(slices):
        ds.SeriesInstanceUID = generate_uid(entropy_srcs=[f"slice {k}"])
        setattr(ds, tag, f"1.2.{k}")
    save(slices, tmp_path)
    assert all(v.header.shape[2] == 1 for v in scan(tmp_path).volumes)


def test_repeats_of_one_slice_are_no_stack(tmp_path: Path) -> None:
    slices = [classic(Stack(seed=n))[0] for n in range(1, 5)]
    for k, ds in enumerate(slices):
        ds.SeriesInstanceUID = generate_uid(entropy_srcs=[f"slice {k}"])
    join_study = slices[0]
    for ds in slices:
        ds.StudyInstanceUID, ds.FrameOfReferenceUID = join_study.StudyInstanceUID, join_study.FrameOfReferenceUID
    save(slices, tmp_path)
    assert len(scan(tmp_path).volumes) == 4


def test_blank_series_uids_do_not_melt_a_session_into_one(tmp_path: Path) -> None:
    first, second = classic(Stack(), number=3), classic(Stack(seed=2), number=4)
    join(first[0], second)
    for ds in [*first, *second]:
        ds.SeriesInstanceUID = ""
    save([*first, *second], tmp_path)
    found = scan(tmp_path)
    assert [v.header.series_number for v in found.volumes] == [3, 4]
    assert "no SeriesInstanceUID" in found.volumes[0].notes[0]


@pytest.mark.parametrize("value", [0, 4095])
def test_blank_slices_between_others_are_refused_by_name(value: int, tmp_path: Path) -> None:
    slices = classic(Stack())
    slices[2].PixelData = np.full((9, 7), value, np.uint16).tobytes()
    save(slices, tmp_path)
    (found,) = scan(tmp_path).volumes
    with pytest.raises(DicomError, match=r"1 slices between others hold no image \(im0002.dcm\)"):
        found.read()


def test_blank_slices_at_an_end_may_be_real(tmp_path: Path) -> None:
    slices = classic(Stack())
    slices[0].PixelData = slices[5].PixelData = bytes(126)
    save(slices, tmp_path)
    assert scan(tmp_path).volumes[0].read().data.any()
