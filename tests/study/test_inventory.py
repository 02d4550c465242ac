"""Who, when, which knee, which protocol: a contradiction between headers and manifest blocks until it is settled."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from pathlib import Path

import pytest

from mriseg.errors import StudyError
from mriseg.study import open_study
from mriseg.study.findings import Finding
from mriseg.study.inventory import Inventory
from mriseg.study.inventory_cache import study_inventory
from tests.dicom.builders import Stack, classic, save

CONFIG = """
[study]
id = "trial"
[[visits]]
id = "baseline"
day = 0
[[visits]]
id = "month6"
day = 183
window = [150, 215]
[series]
description = "dess"
"""
DATES = {"baseline": "20240310", "month6": "20240909"}
KEYS = [(name, visit) for name in ("sub-01", "sub-02") for visit in DATES]


def elements(name: str, visit: str) -> dict[str, object]:
    """Headers of a visit that contradict nothing."""
    side = "R" if name == "sub-01" else "L"
    date = DATES[visit]
    return {
        "PatientID": f"MRN {name[-1]}",
        "ImageLaterality": side,
        "StudyDate": date,
        "SeriesDate": date,
        "AcquisitionDate": date,
        "ClinicalTrialSubjectID": f"SUB {name[-2:]}",
        "ClinicalTrialTimePointID": visit,
    }


def write_visit(study: Path, name: str, visit: str, **changes: object) -> Path:
    """Write one visit anew."""
    folder = study / "dicom" / name / visit
    shutil.rmtree(folder, ignore_errors=True)
    save(classic(Stack(seed=KEYS.index((name, visit)) + 1), **(elements(name, visit) | changes)), folder)
    return folder


@pytest.fixture
def study(tmp_path: Path) -> Path:
    (tmp_path / "study.toml").write_text(CONFIG)
    (tmp_path / "participants.tsv").write_text("participant_id\tside\nsub-01\tR\nsub-02\tL\n")
    for name, visit in KEYS:
        write_visit(tmp_path, name, visit)
    return tmp_path


def inventory(study: Path) -> Inventory:
    return study_inventory(open_study(study))


def blocked(study: Path) -> list[Finding]:
    return [f for f in inventory(study).findings if f.severity == "block"]


def settle(study: Path, remark: str) -> None:
    rows = "".join(f"{n}\t{v}\t{n}/{v}\t{remark if (n, v) == ('sub-01', 'month6') else ''}\n" for n, v in KEYS)
    (study / "visits.tsv").write_text("participant_id\tvisit\tfolder\tsettled\n" + rows)


def test_a_study_without_contradictions_has_no_findings(study: Path) -> None:
    found = inventory(study)
    assert sorted(found.chosen) == sorted(KEYS)
    assert found.findings == ()


@pytest.mark.parametrize(
    ("topic", "changes", "expected"),
    [
        ("side", {"ImageLaterality": "L"}, "says side R, the header of s003_sag-3d-dess says L"),
        ("side", {"Laterality": "L"}, "names no single side"),
        ("side", {"ImageLaterality": "B"}, "ImageLaterality says both"),
        ("person", {"PatientID": "MRN 7"}, "another patient id than at baseline"),
        ("person", {"ClinicalTrialSubjectID": "SUB 09"}, "another clinical trial subject than at baseline"),
        ("person", {"PatientID": "MRN 2"}, "the same patient id as sub-02"),
        ("person", {"ClinicalTrialSubjectID": "02"}, "is that of sub-02"),
        ("person", {"ClinicalTrialSubjectID": "SUB-02"}, "is that of sub-02"),
        ("visit", {"ClinicalTrialTimePointID": "BASELINE"}, "names the time point baseline"),
        ("date", {"AcquisitionDate": "20231224"}, "lies 77 days before baseline; the visits may be swapped"),
        ("protocol", {"MagneticFieldStrength": 1.5}, "protocol differs from baseline: field_tesla 3 -> 1.5"),
    ],
)
def test_a_contradiction_blocks_until_it_is_settled(
    study: Path, topic: str, changes: dict[str, object], expected: str
) -> None:
    write_visit(study, "sub-01", "month6", **changes)
    found = blocked(study)
    assert any(expected in f.finding and f"{topic}: WHY" in f.finding for f in found), found
    assert inventory(study).blocks("sub-01", "month6")
    assert not inventory(study).blocks("sub-01", "baseline") or "PatientID" in changes
    settle(study, f"{topic}: asked the site on 3 May")
    notes = [f.finding for f in inventory(study).findings if f.severity == "note"]
    assert any(expected in note and "Settled: asked the site on 3 May" in note for note in notes)
    assert not inventory(study).blocks("sub-01", "month6")


def test_what_settles_one_contradiction_settles_no_other(study: Path) -> None:
    write_visit(study, "sub-01", "month6", ImageLaterality="L", PatientID="MRN 7")
    settle(study, "side: header is wrong")
    (finding,) = blocked(study)
    assert "another patient id" in finding.finding


@pytest.mark.parametrize("remark", ["header is wrong", "knee: header is wrong", "side:"])
def test_a_remark_names_what_it_settles(study: Path, remark: str) -> None:
    settle(study, remark)
    with pytest.raises(StudyError, match="Expected TOPIC: WHY"):
        open_study(study)


@pytest.mark.parametrize(
    ("changes", "severity", "expected"),
    [
        ({"AcquisitionDate": "20240310"}, "warn", "has the date of baseline"),
        ({"AcquisitionDate": "20250310"}, "warn", "lies 365 days after baseline, expected 150 to 215"),
        ({"AcquisitionDate": "", "SeriesDate": "", "StudyDate": ""}, "warn", "acquisition dates are missing"),
        ({"ImageLaterality": ""}, "note", "names no side; participants.tsv decides"),
        ({"SeriesDescription": "SAG DESS LEFT"}, "warn", "the description of s003_sag-dess-left another one"),
        ({"PatientID": "", "PatientName": ""}, "note", "no patient id of its own"),
        ({"FlipAngle": "30"}, "warn", "flip_deg 25 -> 30"),
        ({"SoftwareVersions": "syngo MR XA30"}, "note", "software unknown -> syngo MR XA30"),
        ({"ImagesInAcquisition": 9}, "note", "announces 9 images"),
    ],
)
def test_what_does_not_block_is_listed(study: Path, changes: dict[str, object], severity: str, expected: str) -> None:
    write_visit(study, "sub-01", "month6", **changes)
    assert [f.severity for f in inventory(study).findings if expected in f.finding] == [severity]
    assert not blocked(study)


def test_one_scan_cannot_be_two_visits(study: Path) -> None:
    shutil.rmtree(study / "dicom/sub-01/month6")
    shutil.copytree(study / "dicom/sub-01/baseline", study / "dicom/sub-01/month6")
    texts = [f.finding for f in blocked(study)]
    assert "sub-01 month6: holds the same images as sub-01 baseline. Give each visit its own." in texts
    assert "sub-01 baseline: holds the same images as sub-01 month6. Give each visit its own." in texts


def test_an_id_that_an_anonymiser_gave_to_everybody_tells_nothing(study: Path) -> None:
    with (study / "participants.tsv").open("a") as table:
        table.write("sub-03\tR\n")
    KEYS.append(("sub-03", "baseline"))
    try:
        for name, visit in KEYS:
            write_visit(study, name, visit, PatientID="ANON", ImageLaterality="", ClinicalTrialSubjectID="")
        texts = [f.finding for f in blocked(study)]
    finally:
        KEYS.pop()
    assert texts == ["sub-03 month6: not scanned: the visit has no folder under dicom/."]


def test_a_visit_may_be_an_archive(study: Path) -> None:
    before = inventory(study)
    folder = study / "dicom/sub-01/month6"
    with zipfile.ZipFile(folder.with_suffix(".zip"), "w") as archive:
        for path in folder.iterdir():
            archive.write(path, path.name)
    shutil.rmtree(folder)
    packed = inventory(study)
    assert packed.findings == ()
    assert packed.chosen["sub-01", "month6"].name == before.chosen["sub-01", "month6"].name


def test_ties_and_misses_are_listed_and_nothing_is_guessed(study: Path) -> None:
    for n, (name, visit) in enumerate(KEYS[:1]):
        second = classic(Stack(seed=9 + n), number=4, **elements(name, visit))
        save(second, study / "dicom" / name / visit / "more")
    (tie,) = blocked(study)
    assert "sub-01 baseline: 2 series fit" in tie.finding
    assert "s003_sag-3d-dess, s004_sag-3d-dess" in tie.finding
    (study / "study.toml").write_text(CONFIG.replace('"dess"', '"tse"'))
    assert len(blocked(study)) == 4
    assert "no series fits" in blocked(study)[0].finding


@pytest.mark.parametrize(
    ("rule", "fitting"),
    [
        ('family = "gradient"', 4),
        ('family = "spin"', 0),
        ('plane = "sagittal"', 4),
        ('plane = "axial"', 0),
        ('component = "magnitude"', 4),
        ('component = "phase"', 0),
        ("derived = false", 4),
        ("derived = true", 0),
        ("echo = 1", 4),
        ("max_spacing_mm = 1.0", 0),
        ('description = "^SAG 3D DESS$"', 4),
        ('description = "^sag-3d-dess$"', 4),
        ('exclude = "DESS"', 0),
    ],
)
def test_every_condition_of_the_rule(study: Path, rule: str, fitting: int) -> None:
    (study / "study.toml").write_text(CONFIG.replace('description = "dess"', rule))
    assert len(inventory(study).chosen) == fitting


def test_nothing_is_read_again_as_long_as_nothing_changed(study: Path) -> None:
    inventory(study)
    record = study / "derivatives/mriseg/inventory.json"
    content = json.loads(record.read_text())
    kept = {"participant_id": "sub-01", "visit": "", "severity": "note", "finding": "from the last look"}
    record.write_text(json.dumps(content | {"findings": [kept]}))
    assert [f.finding for f in inventory(study).findings] == ["from the last look"]
    assert study_inventory(open_study(study), anew=True).findings == ()


@pytest.mark.parametrize("change", ["rewritten", "time", "added", "removed", "renamed", "rule", "side", "settled"])
def test_whatever_changes_is_looked_at_again(study: Path, change: str) -> None:
    settle(study, "")
    inventory(study)
    record = study / "derivatives/mriseg/inventory.json"
    state = json.loads(record.read_text())["state"]
    file = study / "dicom/sub-02/month6/im0002.dcm"
    match change:
        case "rewritten":
            facts = file.stat()
            file.write_bytes(file.read_bytes())
            os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))
        case "time":
            os.utime(file, (1, 1))
        case "added":
            shutil.copy(file, file.with_name("more.dcm"))
        case "removed":
            file.unlink()
        case "renamed":
            file.rename(file.with_name("other.dcm"))
        case "rule":
            (study / "study.toml").write_text(CONFIG.replace('"dess"', '"tse"'))
        case "side":
            (study / "participants.tsv").write_text("participant_id\tside\nsub-01\tR\nsub-02\tR\n")
        case "settled":
            settle(study, "side: asked")
    inventory(study)
    assert json.loads(record.read_text())["state"] != state
