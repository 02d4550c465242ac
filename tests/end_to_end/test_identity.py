"""What identifies a patient stays in dicom/: more than 40 planted strings a patient are in no output, log or page."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.dicom.planting import found_in, text_of
from tests.end_to_end.commands import SAMPLE, mriseg
from tests.end_to_end.conftest import SampleRun
from tests.end_to_end.identified import hospital_folder

pytestmark = pytest.mark.xdist_group("sample")


def test_the_strings_are_in_the_images(sample_run: SampleRun) -> None:
    content = text_of(sample_run.study / "dicom" / "sub-01")
    held = found_in(content, sample_run.identities)
    assert len([w for w in held if w.startswith("ZQIDENTA")]) >= 40


def test_nothing_that_the_run_wrote_or_said_names_a_patient(sample_run: SampleRun) -> None:
    assert not found_in(text_of(sample_run.study / "derivatives"), sample_run.identities)
    assert not found_in(sample_run.output.encode(), sample_run.identities)


def test_nothing_that_later_commands_write_or_say_names_a_patient(sample_run: SampleRun, tmp_path: Path) -> None:
    study = tmp_path / "study"
    shutil.copytree(sample_run.study, study, ignore=shutil.ignore_patterns("*_mri.nii.gz"))
    for command in (["check"], ["status"], ["lock"], ["compare", "--allocation", SAMPLE / "allocation.csv"]):
        result = mriseg(command[0], study, *command[1:])
        assert result.returncode == 0, result.stderr
        assert not found_in((result.stdout + result.stderr).encode(), sample_run.identities)
    assert not found_in(text_of(study / "derivatives"), sample_run.identities)


def test_nothing_that_a_draft_writes_or_says_names_a_patient(sample_run: SampleRun, tmp_path: Path) -> None:
    words = sample_run.identities + hospital_folder(sample_run.study / "dicom", tmp_path / "in")
    said = mriseg("new", tmp_path / "in", tmp_path / "study")
    assert said.returncode == 0, said.stderr
    assert "truncated" in said.stdout
    checked = mriseg("check", tmp_path / "study")
    assert "4 of 4 visits have their series" in checked.stdout
    outputs = (said.stdout, said.stderr, checked.stdout, checked.stderr)
    assert not found_in(text_of(tmp_path / "study") + "".join(outputs).encode(), words)
    assert "is ZQIDENTDOE^JANE" in mriseg("new", tmp_path / "in", tmp_path / "again", "--show-names").stdout
