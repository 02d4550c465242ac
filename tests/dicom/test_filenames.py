"""Names of files are shown where they are harmless; any other one becomes a mark by which it is found again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mriseg.cli import app
from mriseg.dicom import distinct_path, export_all, find_shown, names_behind, public_uid, scan, shown
from mriseg.dicom.filenames import shown_path
from mriseg.errors import DicomError
from tests.dicom.builders import Stack, classic, save


@pytest.mark.parametrize(
    "name", ["IM_03_0088.dcm", "MR000012", "I10", "sub-01", "month6", "DICOMDIR", "a.dcm", "ses-2"]
)
def test_common_words_and_short_numbers_are_shown(name: str) -> None:
    assert shown(name) == name


@pytest.mark.parametrize(
    "name",
    ["DOE_JANE", "19560412", "12.03.1956", "MR_1234567", "J D", "1.2.840.113619.2.5.176.dcm", "a\nb", "膝", "<b>"],
)
def test_anything_else_becomes_a_mark(name: str) -> None:
    assert shown(name).startswith("#")
    assert len(shown(name)) == 5


def test_a_mark_finds_its_folder_again(tmp_path: Path) -> None:
    path = Path("DOE^JANE 1956") / "baseline" / "MRN 4711081"
    (tmp_path / path).mkdir(parents=True)
    mark = distinct_path(tmp_path, path)
    assert mark == shown_path(path)
    assert "DOE" not in mark
    assert find_shown(tmp_path, mark) == tmp_path / path
    assert find_shown(tmp_path, str(path)) == tmp_path / path
    assert not find_shown(tmp_path, "#0000/baseline").exists()
    assert names_behind(f"see {mark}", [path])[shown("DOE^JANE 1956")] == "DOE^JANE 1956"


def test_marks_are_as_long_as_neighbours_need(tmp_path: Path) -> None:
    marks: dict[str, str] = {}
    for n in range(100_000):  # two names whose first four digits are the same
        name = f"patient name {n}"
        other = marks.setdefault(shown(name), name)
        if other != name:
            break
    for each in (name, other):
        (tmp_path / each).mkdir()
    found = {find_shown(tmp_path, distinct_path(tmp_path, Path(each))).name for each in (name, other)}
    assert found == {name, other}
    with pytest.raises(DicomError, match="2 folders have the mark"):
        find_shown(tmp_path, shown(name))


def test_a_name_that_is_no_utf8_has_a_mark(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff\xfe.dcm")
    assert shown(name).startswith("#")
    (tmp_path / name).mkdir()
    assert find_shown(tmp_path, shown(name)) == tmp_path / name


def test_refusals_name_slices_by_marks_where_names_could_be_of_people(tmp_path: Path) -> None:
    paths = save(classic(Stack()), tmp_path)
    paths[3].unlink()
    for path in tmp_path.iterdir():
        path.rename(tmp_path / f"DOE_JANE_{path.name}")
    (refused,) = scan(tmp_path).refused
    assert "missing" in refused.reason
    assert "DOE" not in str(refused) + str(refused.files)
    assert shown("DOE_JANE_im0002.dcm") in refused.reason


def test_uids_of_scanners_are_replaced_alike_everywhere(tmp_path: Path) -> None:
    scanner = "1.3.12.2.1107.5.2.32.35177.2016070715304112345678900"
    save(classic(Stack(), SeriesInstanceUID=scanner), tmp_path / "a")
    (found,) = scan(tmp_path / "a").volumes
    export_all([found], tmp_path / "out")
    text = "".join(p.read_text() for p in (tmp_path / "out").glob("*.json"))
    assert scanner not in text
    assert public_uid(scanner) in text
    assert found.sop_uids[0] in text  # drawn at random, and kept
    assert public_uid(public_uid(scanner)) == public_uid(scanner)


def test_the_command_says_what_marks_stand_for_on_request(tmp_path: Path) -> None:
    paths = save(classic(Stack()), tmp_path / "in")
    (tmp_path / "in" / "DOE_JANE.dcm").write_bytes(paths[3].read_bytes()[:-9])
    paths[3].unlink()
    said = CliRunner().invoke(app, ["convert", str(tmp_path / "in"), str(tmp_path / "out")]).output
    assert "DOE" not in said
    asked = CliRunner().invoke(app, ["convert", str(tmp_path / "in"), str(tmp_path / "out"), "--show-names"]).output
    assert f"{shown('DOE_JANE.dcm')} is DOE_JANE.dcm" in asked


def test_a_file_that_is_no_image_is_told_why(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "a.dcm").write_bytes(b"abcd")
    result = CliRunner().invoke(app, ["convert", str(tmp_path / "a.dcm"), str(tmp_path / "out")])
    assert result.exit_code == 1
    assert "neither the mark DICM at byte 128 nor DICOM elements at its start, but text" in caplog.text
