"""A correction is kept with who made it and when, and nothing else about anybody."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mriseg.errors import StudyError
from mriseg.files import sha256
from mriseg.study import open_study
from mriseg.study.corrections import Correction, keep_corrections, remember
from mriseg.study.model import Study
from mriseg.study.paths import sidecar_of

DAY = "2024-03-05"


def study_with_an_edited_map(folder: Path, visits: str = "") -> tuple[Study, Path]:
    """A study of one patient whose label map was edited on a known day; and the name of its correction."""
    (folder / "study.toml").write_text('[study]\nid = "s"\n[[visits]]\nid = "base"\nday = 0\n')
    (folder / "participants.tsv").write_text("participant_id\tside\nsub-01\tR\n")
    if visits:
        (folder / "visits.tsv").write_text(visits)
    study = open_study(folder)
    labels = study.paths.labels("sub-01", "base")
    labels.parent.mkdir(parents=True)
    labels.write_bytes(b"as the network made it")
    sidecar_of(labels).write_text(json.dumps({"output_sha256": sha256(labels)}))
    edit(labels, b"as the reader left it")
    return study, study.paths.corrected("sub-01", "base")


def edit(path: Path, content: bytes, day: str = DAY) -> None:
    path.write_bytes(content)
    noon = datetime.fromisoformat(f"{day}T12:00:00").replace(tzinfo=UTC).timestamp()
    os.utime(path, (noon, noon))


def test_an_edited_map_is_kept_with_the_reader_of_its_visit_and_the_day_of_the_file(tmp_path: Path) -> None:
    visits = "participant_id\tvisit\tfolder\treader\nsub-01\tbase\tx\tAB\n"
    study, copy = study_with_an_edited_map(tmp_path, visits)
    assert keep_corrections(study) == (copy,)
    assert copy.read_bytes() == b"as the reader left it"
    known = json.loads(sidecar_of(copy).read_text())
    assert known == {"corrected_by": "AB", "corrected_on": DAY, "output_sha256": sha256(copy)}


def test_without_a_reader_it_is_unknown_until_somebody_says_who_it_was(tmp_path: Path) -> None:
    study, copy = study_with_an_edited_map(tmp_path)
    keep_corrections(study)
    assert json.loads(sidecar_of(copy).read_text())["corrected_by"] == "unknown"
    sidecar_of(copy).write_text(json.dumps({"corrected_by": "reader-2"}))
    assert remember(copy, "AB").by == "reader-2"


def test_what_is_known_of_a_correction_stays_and_a_new_one_starts_anew(tmp_path: Path) -> None:
    study, copy = study_with_an_edited_map(tmp_path)
    keep_corrections(study)
    written = sidecar_of(copy).read_text()
    sidecar_of(copy).write_text(written.replace("unknown", "AB"))
    assert remember(copy, "").on == DAY
    edit(copy, b"corrected again", "2024-04-01")
    assert remember(copy, "CD") == Correction(by="CD", on="2024-04-01")


@pytest.mark.parametrize("name", ["Anna Berg", "x" * 40, "a/b", "12345678"])
def test_a_reader_is_a_code_and_a_wrong_one_is_not_repeated(tmp_path: Path, name: str) -> None:
    study, copy = study_with_an_edited_map(tmp_path)
    keep_corrections(study)
    sidecar_of(copy).unlink()
    with pytest.raises(StudyError, match="is no code") as error:
        remember(copy, name)
    assert name not in str(error.value)


def test_a_wrong_reader_of_one_patient_does_not_stop_the_others(tmp_path: Path) -> None:
    visits = "participant_id\tvisit\tfolder\treader\nsub-01\tbase\tx\tAnna Berg\n"
    study, copy = study_with_an_edited_map(tmp_path, visits)
    assert keep_corrections(study) == (copy,)
    assert not sidecar_of(copy).exists()
