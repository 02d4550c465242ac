"""A rule can express every choice: echoes, both knees, copies, re-scans; what lies beside the visits is mentioned."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from typer.testing import CliRunner

from mriseg.cli import app
from mriseg.errors import StudyError
from mriseg.study import open_study
from mriseg.study.findings import alike
from mriseg.study.inventory import Inventory
from mriseg.study.inventory_cache import study_inventory
from mriseg.study.paths import sidecar_of
from mriseg.study.steps.convert import convert_visit
from tests.dicom.builders import Stack, classic, join, save

CONFIG = '[study]\nid = "trial"\n[[visits]]\nid = "baseline"\nday = 0\n[series]\ndescription = "(?i)dess"\n'


def make_study(folder: Path, slices: list[Dataset], *, rule: str = "", side: str = "R", series: str = "") -> Inventory:
    """Return the inventory of a study of one participant at one visit."""
    (folder / "study.toml").write_text(CONFIG + rule + "\n")
    (folder / "participants.tsv").write_text(f"participant_id\tside\nsub-01\t{side}\n")
    if series:
        rows = f"participant_id\tvisit\tfolder\tseries\nsub-01\tbaseline\t\t{series}\n"
        (folder / "visits.tsv").write_text(rows)
    save(slices, folder / "dicom/sub-01/baseline")
    return study_inventory(open_study(folder))


def chosen(found: Inventory) -> str:
    assert not [f for f in found.findings if f.severity == "block"], found.findings
    return found.chosen["sub-01", "baseline"].name


def blocking(found: Inventory) -> str:
    (finding,) = [f for f in found.findings if f.severity == "block"]
    return finding.finding


def echoes(numbers: tuple[object, object], *, one_series: bool = True) -> list[Dataset]:
    first, second = classic(Stack(), echo=1), classic(Stack(seed=2), echo=2, number=3 if one_series else 4)
    uid = second[0].SeriesInstanceUID
    join(first[0], second)
    for group, number in zip((first, second), numbers, strict=True):
        for ds in group:
            ds.EchoNumbers = number
            if number is None:
                del ds.EchoNumbers
    if not one_series:
        for ds in second:
            ds.SeriesInstanceUID = uid
    return [*second, *first]


@pytest.mark.parametrize("one_series", [True, False], ids=["one series", "a series an echo"])
@pytest.mark.parametrize("numbers", [(None, None), (1, 1), (0, 0), (1, 2)], ids=str)
@pytest.mark.parametrize("wanted", [1, 2])
def test_an_echo_goes_by_its_number_or_else_by_the_order_of_times(
    wanted: int, numbers: tuple[object, object], one_series: bool, tmp_path: Path
) -> None:
    found = make_study(tmp_path, echoes(numbers, one_series=one_series), rule=f"echo = {wanted}")
    name = chosen(found)
    patient = open_study(tmp_path).patients()[0]
    convert_visit(patient, "baseline")
    written = json.loads(sidecar_of(patient.study.paths.image("sub-01", "baseline")).read_text())["dicom"]
    assert written["echo_ms"] == 4.5 * wanted
    assert name.startswith("s003" if one_series or wanted == 1 else "s004")


def test_numbers_of_the_header_count_before_the_order_of_times(tmp_path: Path) -> None:
    make_study(tmp_path, echoes((5, 3)), rule="echo = 3")
    patient = open_study(tmp_path).patients()[0]
    convert_visit(patient, "baseline")
    written = json.loads(sidecar_of(patient.study.paths.image("sub-01", "baseline")).read_text())["dicom"]
    assert written["echo_ms"] == 9.0


def knees(left: dict[str, object], right: dict[str, object]) -> list[Dataset]:
    a, b = classic(Stack(), **left), classic(Stack(seed=2), number=4, **right)
    for ds in b:
        ds.StudyInstanceUID = a[0].StudyInstanceUID
    return [*a, *b]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ({"Laterality": "L"}, {"Laterality": "R"}),
        ({"ImageLaterality": "L"}, {"ImageLaterality": "R"}),
        ({"SeriesDescription": "SAG DESS LEFT"}, {"SeriesDescription": "SAG DESS RIGHT"}),
        ({"SeriesDescription": "DESS_L"}, {"SeriesDescription": "DESS_R"}),
        ({"ProtocolName": "Knie links"}, {"ProtocolName": "Knie rechts"}),
        ({"SeriesDescription": "DESS LT", "Laterality": "R"}, {"SeriesDescription": "DESS RT", "Laterality": "R"}),
    ],
)
@pytest.mark.parametrize("side", ["L", "R"])
def test_the_side_of_the_participant_decides_between_two_knees_and_is_recorded(
    side: str, left: dict[str, object], right: dict[str, object], tmp_path: Path
) -> None:
    found = make_study(tmp_path, knees(left, right), side=side)
    taken = found.chosen["sub-01", "baseline"].name
    assert taken.startswith("s003" if side == "L" else "s004")
    assert [f for f in found.findings if f"that of side {side} is taken" in f.finding]
    patient = open_study(tmp_path).patients()[0]
    convert_visit(patient, "baseline")
    written = json.loads(sidecar_of(patient.study.paths.image("sub-01", "baseline")).read_text())["dicom"]
    assert f"side {side}" in written["chosen_because"][0]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ({}, {}),
        ({"Laterality": "L"}, {}),
        ({"Laterality": "L", "SeriesDescription": "DESS RIGHT"}, {"Laterality": "R", "SeriesDescription": "DESS LEFT"}),
    ],
    ids=["untold", "one untold", "contradiction"],
)
def test_headers_that_do_not_tell_both_knees_apart_decide_nothing(
    left: dict[str, object], right: dict[str, object], tmp_path: Path
) -> None:
    assert "2 series fit" in blocking(make_study(tmp_path, knees(left, right)))


def rescan(**changes: object) -> list[Dataset]:
    again = classic(Stack(seed=2), number=7, **changes)
    first = classic(Stack())
    for ds in again:
        ds.StudyInstanceUID = first[0].StudyInstanceUID
    return [*first, *again]


@pytest.mark.parametrize("description", ["SAG 3D DESS", "REPEAT"])
@pytest.mark.parametrize("series", ["3", "7"])
def test_a_rescan_is_chosen_by_its_number(series: str, description: str, tmp_path: Path) -> None:
    found = make_study(tmp_path, rescan(SeriesDescription=description), series=series)
    assert chosen(found).startswith(f"s00{series}")
    assert any(f"series {series} is named in visits.tsv" in f.finding for f in found.findings)


def test_a_rescan_of_the_same_number_is_chosen_by_its_mark(tmp_path: Path) -> None:
    slices = rescan()
    for ds in slices:
        ds.SeriesNumber = 3
    text = blocking(make_study(tmp_path, slices))
    marks = [word.strip("(),.") for word in text.split() if word.startswith("(#")]
    assert len(marks) == 2
    names = {chosen(make_study(tmp_path, slices, series=mark)) for mark in marks}
    assert len(names) == 2


def test_a_named_series_that_is_not_there_blocks(tmp_path: Path) -> None:
    assert "visits.tsv names series 9, which is not there" in blocking(make_study(tmp_path, rescan(), series="9"))


def test_a_series_that_is_no_number_and_no_mark_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="no series number and no mark"):
        make_study(tmp_path, rescan(), series="the second one")


def test_of_identical_copies_one_is_taken_and_the_others_are_named(tmp_path: Path) -> None:
    first, copy = classic(Stack()), classic(Stack(), number=9)
    for ds in copy:
        ds.StudyInstanceUID = first[0].StudyInstanceUID
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    found = make_study(tmp_path, [*first, *copy])
    assert chosen(found).startswith("s003")
    assert any("s009_sag-3d-dess hold the same pixels as s003_sag-3d-dess" in f.finding for f in found.findings)


def test_sessions_beside_the_visits_are_mentioned(tmp_path: Path) -> None:
    make_study(tmp_path, classic(Stack()))
    save(classic(Stack(seed=2)), tmp_path / "dicom/sub-01/unscheduled")
    save(classic(Stack(seed=3)), tmp_path / "dicom/sub-09/baseline")
    texts = [f.finding for f in study_inventory(open_study(tmp_path)).findings]
    assert any("sub-01: 1 further sessions lie in the folder and belong to no visit: sub-01/#" in t for t in texts)
    assert any("1 folders under dicom/ belong to no participant" in t for t in texts)


def test_two_sessions_in_the_folder_of_one_visit_are_mentioned(tmp_path: Path) -> None:
    slices = [*classic(Stack()), *classic(Stack(seed=2), number=8, SeriesDescription="COR TSE")]
    texts = [f.finding for f in make_study(tmp_path, slices).findings]
    assert any("the folder holds 2 scanning sessions" in t for t in texts)


def test_where_nothing_is_found_the_finding_says_what_was_passed_over(tmp_path: Path) -> None:
    make_study(tmp_path, [])
    (tmp_path / "dicom/sub-01/baseline/export.7z").write_bytes(b"7z\xbc\xaf\x27\x1c")
    assert "1 x 7z archive: unpack it" in blocking(study_inventory(open_study(tmp_path)))


def test_many_like_findings_are_one_line_with_a_count() -> None:
    remarks = [f"sub-{n:02d} month6: lies {n} days after baseline." for n in range(1, 25)]
    assert alike([*remarks, "sub-01: no side."]) == [
        "sub-01 month6, sub-02 month6, sub-03 month6 and 21 more (24 alike): lies 1 days after baseline.",
        "sub-01: no side.",
    ]
    assert alike(remarks[:3]) == remarks[:3]


def test_the_command_lists_two_dozen_volumes_in_one_line(tmp_path: Path) -> None:
    slices = []
    for n in range(24):
        ds = classic(Stack(seed=n + 1), number=n + 1)[0]
        ds.StudyInstanceUID = "1.2.3"
        slices.append(ds)
    make_study(tmp_path, slices)
    run = CliRunner().invoke(app, ["check", str(tmp_path)])
    assert run.exit_code == 1
    assert "and 18 more" in " ".join(run.output.split())
