"""A draft proposes what the headers say, names nobody, and lists everything that a person has to settle."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from mriseg.errors import StudyError
from mriseg.study import open_study
from mriseg.study.draft import draft_study
from mriseg.study.inventory_cache import study_inventory
from tests.dicom.builders import Stack, classic, save

DATES = ("20240310", "20240909")


def write_session(folder: Path, patient: str, visit: int, *, seed: int, **changes: object) -> None:
    """Eight slices of one patient at one visit."""
    date = DATES[visit]
    facts = {"PatientID": patient, "StudyDate": date, "SeriesDate": date, "AcquisitionDate": date, "Laterality": "R"}
    save(classic(Stack(shape=(8, 9, 7), seed=seed), **(facts | changes)), folder)


@pytest.fixture
def incoming(tmp_path: Path) -> Path:
    """Two patients at two visits, in folders that name them."""
    for n, name in enumerate(("DOE^JANE 19560412", "ROE_RICHARD")):
        for visit in (0, 1):
            write_session(tmp_path / "in" / name / f"scan {visit}", f"MRN {n}", visit, seed=2 * n + visit)
    return tmp_path / "in"


def test_a_draft_finds_every_visit_and_names_nobody(incoming: Path, tmp_path: Path) -> None:
    assert draft_study(incoming, tmp_path / "study") == []
    study = open_study(tmp_path / "study")
    assert study.visit_ids == ("baseline", "month6")
    assert [str(p.side) for p in study.participants] == ["R", "R"]
    text = "".join(p.read_text() for p in (tmp_path / "study").glob("*.t*"))
    assert not [word for word in ("DOE", "ROE", "1956", "MRN", "2024") if word in text]
    found = study_inventory(study)
    assert len(found.chosen) == 4
    assert not [f for f in found.findings if f.severity == "block"]


def test_a_session_may_lie_in_an_archive(incoming: Path, tmp_path: Path) -> None:
    folder = incoming / "ROE_RICHARD" / "scan 1"
    with zipfile.ZipFile(incoming / "ROE_RICHARD" / "scan 1.zip", "w") as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, f"deep/{path.name}")
            path.unlink()
    folder.rmdir()
    assert draft_study(incoming, tmp_path / "study") == []
    assert len(study_inventory(open_study(tmp_path / "study")).chosen) == 4


def test_patients_without_identity_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    for n in (1, 2):
        for visit in (0, 1):
            folder = tmp_path / "in" / f"patient{n}" / str(visit)
            write_session(folder, "", visit, seed=2 * n + visit, PatientName="")
    remarks = draft_study(tmp_path / "in", tmp_path / "study")
    assert len(open_study(tmp_path / "study").participants) == 2
    assert [r for r in remarks if "the headers name no patient" in r] == remarks
    assert len(remarks) == 2


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"Laterality": ""}, "sub-01: the headers name no side"),
        ({"StudyDate": "", "SeriesDate": "", "AcquisitionDate": ""}, "no acquisition date"),
        ({"SeriesDescription": "COR TSE"}, "sub-01 baseline: no series fits the proposed rule [series]: s003_cor-tse"),
    ],
)
def test_what_a_person_has_to_settle_is_listed(
    changes: dict[str, object], expected: str, incoming: Path, tmp_path: Path
) -> None:
    for visit in (0, 1) if "Laterality" in changes else (0,):
        write_session(incoming / "DOE^JANE 19560412" / f"scan {visit}", "MRN 0", visit, seed=visit, **changes)
    assert any(expected in r for r in draft_study(incoming, tmp_path / "study"))


def test_sessions_in_one_folder_and_missing_sessions_are_listed(tmp_path: Path) -> None:
    for n in range(3):
        write_session(tmp_path / "in" / str(n), f"MRN {n}", 0, seed=n)
    write_session(tmp_path / "more", "MRN 0", 1, seed=9)
    for path in (tmp_path / "more").iterdir():
        path.rename(tmp_path / "in" / "0" / f"x{path.name}")
    remarks = draft_study(tmp_path / "in", tmp_path / "study")
    assert "sub-01: 2 sessions found, expected 1. Check visits.tsv." in remarks
    assert any("shares its folder with another session" in r for r in remarks)


def test_the_rule_parts_echoes_components_and_derived_images(incoming: Path, tmp_path: Path) -> None:
    kinds: list[dict[str, object]] = [
        {"EchoNumbers": 2, "EchoTime": "30"},
        {"ImageType": ["ORIGINAL", "PRIMARY", "P", "ND"]},
        {"ImageType": ["DERIVED", "SECONDARY", "M", "ND"]},
        {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"], "SeriesDescription": "localizer"},
    ]
    for n, (name, patient) in enumerate((("DOE^JANE 19560412", "MRN 0"), ("ROE_RICHARD", "MRN 1"))):
        for visit in (0, 1):
            for k, kind in enumerate(kinds):
                folder = incoming / name / f"scan {visit}" / f"more{k}"
                date = DATES[visit]
                facts = {"PatientID": patient, "StudyDate": date, "SeriesDate": date, "AcquisitionDate": date}
                slices = classic(Stack(shape=(8, 9, 7), seed=2 * n + visit), number=5 + k, **(facts | kind))
                save(slices, folder)
    assert [r for r in draft_study(incoming, tmp_path / "study") if "rule" in r] == []
    rule = open_study(tmp_path / "study").config.series
    assert (rule.description, rule.echo, rule.component, rule.derived) == ("^sag-3d-dess$", 1, "magnitude", False)


def test_without_a_description_the_rule_goes_by_plane_and_family(tmp_path: Path) -> None:
    for visit in (0, 1):
        write_session(tmp_path / "in" / "patient" / str(visit), "MRN 1", visit, seed=visit, SeriesDescription="")
    assert draft_study(tmp_path / "in", tmp_path / "study") == []
    rule = open_study(tmp_path / "study").config.series
    assert (rule.description, rule.plane, rule.family) == (None, "sagittal", "gradient")


def test_nothing_is_written_over_or_among_the_images(incoming: Path, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="among the images"):
        draft_study(incoming, incoming / "study")
    draft_study(incoming, tmp_path / "study")
    with pytest.raises(StudyError, match="exist already"):
        draft_study(incoming, tmp_path / "study")
    (tmp_path / "other" / "dicom").mkdir(parents=True)
    with pytest.raises(StudyError, match="a dicom/ of its own"):
        draft_study(incoming, tmp_path / "other")
    (tmp_path / "empty").mkdir()
    with pytest.raises(StudyError, match="no MR volume"):
        draft_study(tmp_path / "empty", tmp_path / "third")


def test_one_id_in_several_top_folders_joins_nobody(tmp_path: Path) -> None:
    blank = {"StudyDate": "", "SeriesDate": "", "AcquisitionDate": "", "PatientName": "ANONYMOUS"}
    for n in range(4):
        write_session(tmp_path / "in" / f"P{n}", "ANONYMOUS", 0, seed=n, **blank)
    remarks = draft_study(tmp_path / "in", tmp_path / "study")
    assert len(open_study(tmp_path / "study").participants) == 4
    assert any("sub-01, sub-02, sub-03, sub-04: one patient id in 4 top folders" in r for r in remarks)
    assert any("(4 alike): no acquisition date" in r for r in remarks)


def test_several_ids_in_one_top_folder_are_a_finding(tmp_path: Path) -> None:
    for visit in (0, 1):
        write_session(tmp_path / "in" / "P1" / str(visit), f"RANDOM {visit}", visit, seed=visit)
    remarks = draft_study(tmp_path / "in", tmp_path / "study")
    assert len(open_study(tmp_path / "study").participants) == 2
    assert any("2 patient ids in one top folder" in r for r in remarks)


@pytest.mark.parametrize("uid", ["1.2.3", ""])
def test_a_study_identifier_that_two_visits_share_does_not_melt_them(uid: str, tmp_path: Path) -> None:
    for visit in (0, 1):
        write_session(tmp_path / "in" / "P1" / str(visit), "MRN", visit, seed=visit, StudyInstanceUID=uid)
    draft_study(tmp_path / "in", tmp_path / "study")
    assert open_study(tmp_path / "study").visit_ids == ("baseline", "month6")


def test_blank_series_uids_do_not_melt_a_session_into_one(tmp_path: Path) -> None:
    for visit in (0, 1):
        folder = tmp_path / "in" / "P1" / str(visit)
        write_session(folder, "MRN", visit, seed=visit, SeriesInstanceUID="")
        more = classic(Stack(shape=(8, 9, 7), seed=visit), number=9, SeriesInstanceUID="", SeriesDescription="COR TSE",
                       PatientID="MRN", AcquisitionDate=DATES[visit])  # fmt: skip
        save(more, folder / "more")
    draft_study(tmp_path / "in", tmp_path / "study")
    study = open_study(tmp_path / "study")
    assert len(study_inventory(study).chosen) == 2


def test_both_knees_at_each_visit_propose_a_rule_for_both(tmp_path: Path) -> None:
    for visit in (0, 1):
        for n, side in enumerate(("LEFT", "RIGHT")):
            facts = {"PatientID": "MRN", "AcquisitionDate": DATES[visit], "StudyInstanceUID": f"1.2.{visit + 1}"}
            slices = classic(Stack(shape=(8, 9, 7), seed=2 * visit + n), number=3 + n, **facts)
            for ds in slices:
                ds.SeriesDescription = f"SAG DESS {side}"
            save(slices, tmp_path / "in" / "P1" / str(visit) / side.lower())
    remarks = draft_study(tmp_path / "in", tmp_path / "study")
    assert remarks == ["sub-01: the headers name both sides. Fill in L or R in participants.tsv."]
    table = tmp_path / "study" / "participants.tsv"
    table.write_text("participant_id\tside\nsub-01\tL\n")
    chosen = study_inventory(open_study(tmp_path / "study")).chosen
    assert [c.name for c in chosen.values()] == ["s003_sag-dess-left"] * 2


def test_where_no_volume_is_found_the_error_counts_what_was_passed_over(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.rar").write_bytes(b"Rar!")
    with pytest.raises(StudyError, match="1 x RAR archive: unpack it"):
        draft_study(tmp_path / "in", tmp_path / "study")
