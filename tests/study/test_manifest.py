"""participants.tsv and visits.tsv: one bad row does not hide the others; the arm is never there."""

from __future__ import annotations

from pathlib import Path

import pytest

from mriseg.errors import StudyError
from mriseg.study.manifest import check_visits, read_participants, read_visits
from mriseg.types import Side


def table(tmp_path: Path, *rows: str) -> Path:
    path = tmp_path / "table.tsv"
    path.write_text("\n".join(row.replace(" ", "\t") for row in rows) + "\n", encoding="utf-8")
    return path


def test_sides_are_read_and_further_columns_kept(tmp_path: Path) -> None:
    people = read_participants(table(tmp_path, "participant_id side site", "sub-01 L A", "sub-02 right B"))
    assert [p.side for p in people] == [Side.LEFT, Side.RIGHT]
    assert people[1].columns == {"site": "B"}


@pytest.mark.parametrize("side", ["", "both", "links"])
def test_a_participant_without_a_side_is_a_problem_of_that_participant_alone(tmp_path: Path, side: str) -> None:
    people = read_participants(table(tmp_path, "participant_id side", f"sub-01 {side}", "sub-02 R"))
    assert people[0].side is None
    assert "sub-01 needs side L or R" in (people[0].problem or "")
    assert people[1].problem is None


@pytest.mark.parametrize("column", ["arm", "Allocation", "treatment"])
def test_the_arm_may_not_stand_in_the_manifest(tmp_path: Path, column: str) -> None:
    with pytest.raises(StudyError, match="Nothing before `mriseg compare` may know the arm"):
        read_participants(table(tmp_path, f"participant_id side {column}", "sub-01 L x"))


@pytest.mark.parametrize("name", ["../sub-01", "sub-0/1", "01", "sub-<b>", "sub-"])
def test_an_id_that_is_no_plain_study_id_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(StudyError, match="participant_id"):
        read_participants(table(tmp_path, "participant_id side", f"{name} L"))


def test_a_repeated_participant_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"\['sub-01'\].*more than once"):
        read_participants(table(tmp_path, "participant_id side", "sub-01 L", "sub-01 R"))


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"\['side'\] are missing"):
        read_participants(table(tmp_path, "participant_id knee", "sub-01 L"))


def test_without_visits_tsv_nothing_is_mapped(tmp_path: Path) -> None:
    assert read_visits(tmp_path / "visits.tsv") == {}


@pytest.mark.parametrize("folder", ["/etc", "../else", "a/../../b"])
def test_a_visit_folder_stays_inside_dicom(tmp_path: Path, folder: str) -> None:
    with pytest.raises(StudyError, match="leaves dicom/"):
        read_visits(table(tmp_path, "participant_id visit folder", f"sub-01 baseline {folder}"))


def test_a_side_and_a_header_are_read_whatever_their_case_and_blanks(tmp_path: Path) -> None:
    path = tmp_path / "participants.tsv"
    path.write_text(
        "\ufeffParticipant_ID ;SIDE;site\r\nsub-01; r\u00a0;s1 \r\nsub-02;Left;#N/A\r\n;;\r\n", encoding="utf-8"
    )
    people = read_participants(path)
    assert [(p.side, p.columns) for p in people] == [(Side.RIGHT, {"site": "s1"}), (Side.LEFT, {"site": ""})]


def test_a_row_of_visits_tsv_that_names_nobody_or_no_visit_is_an_error() -> None:
    check_visits([("sub-01", "month6")], ["sub-01"], ["baseline", "month6"])
    with pytest.raises(StudyError, match=r"visits.tsv: sub-1 is not in participants.tsv"):
        check_visits([("sub-1", "month6")], ["sub-01"], ["baseline", "month6"])
    with pytest.raises(StudyError, match=r"sub-01 'Month6' is no visit of study.toml, which has baseline, month6"):
        check_visits([("sub-01", "Month6")], ["sub-01"], ["baseline", "month6"])


def test_a_name_in_visits_tsv_is_never_repeated() -> None:
    with pytest.raises(StudyError, match=r"a name of 8 characters is not in participants.tsv") as refusal:
        check_visits([("Doe Jane", "baseline")], ["sub-01"], ["baseline"])
    assert "Doe" not in str(refusal.value)


def test_an_unknown_header_of_visits_tsv_is_an_error_and_a_folder_stays_as_written(tmp_path: Path) -> None:
    path = tmp_path / "visits.tsv"
    path.write_text("participant_id\tvisit\tfolder\nsub-01\tbaseline\tA  B\nsub-02\tbaseline\t.\n")
    assert [entry.folder for entry in read_visits(path).values()] == ["A  B", "."]
    path.write_text("participant_id\tvisit\tfolder\tsetled\nsub-01\tbaseline\ta\tside: ok\n")
    with pytest.raises(StudyError, match=r"unknown column .setled.; expected participant_id, visit, folder, series"):
        read_visits(path)
