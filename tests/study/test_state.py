"""What is current, stale or absent, and why, told from content: single statements beside the random sequences."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mriseg.cli import app
from mriseg.errors import AnalysisError
from mriseg.study import state as judged
from mriseg.study.code import Code, code_of, follow
from mriseg.study.group import gather, group_tables
from mriseg.study.hashes import Hashes
from mriseg.study.model import Study
from mriseg.study.state import Status
from mriseg.study.work import Worker
from tests.study.small_steps import STEPS, make_study, raw, state_of


@pytest.fixture
def study(tmp_path: Path) -> Study:
    made = make_study(tmp_path / "study")
    run(made)
    return made


def run(study: Study) -> None:
    for patient in study.patients():
        Worker(patient=patient, steps=STEPS).run()


def steps_of(study: Study) -> dict[str, tuple[Status, str]]:
    return {str(s.task): (s.status, s.reason) for p in state_of(study).patients for s in p.steps}


def test_a_changed_input_is_named_and_only_what_follows_from_it_is_out_of_date(study: Study) -> None:
    raw(study.paths.root, "sub-01", "b").write_text("5")
    steps = steps_of(study)
    assert steps["convert a"][0] is Status.DONE
    assert steps["convert b"] == (Status.STALE, "image.txt changed")
    assert steps["measure"] == (Status.STALE, "follows segment b")
    assert state_of(study).not_current() == ("sub-01: convert b stale (image.txt changed)",)


def test_an_earlier_step_that_gives_the_same_again_makes_nothing_after_it_again(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = {"mriseg.errors": Code(sha256="other", libraries=())}
    before = study.paths.regions("sub-01").stat().st_mtime_ns
    receipts = study.paths.receipts("sub-01").read_text()
    study.paths.receipts("sub-01").write_text(receipts.replace(code_of("mriseg.errors").sha256, "earlier", 1))
    assert steps_of(study)["convert a"] == (Status.STALE, "the code changed")
    run(study)
    assert set(steps_of(study).values()) == {(Status.DONE, "")}
    assert study.paths.regions("sub-01").stat().st_mtime_ns == before
    monkeypatch.setattr(judged, "code_of", lambda module: code[module])
    assert {reason for _, reason in steps_of(study).values() if "follows" not in reason} == {"the code changed"}


def test_a_table_edited_by_hand_shows_no_value(study: Study) -> None:
    table = study.paths.regions("sub-01")
    table.write_text(table.read_text().replace("\t60\t", "\t61\t"))
    assert steps_of(study)["measure"] == (Status.STALE, "sub-01_regions.tsv changed since it was made")
    rows = [line.split("\t") for line in group_tables(state_of(study))["regions"].splitlines()[1:]]
    assert {(row[5], row[7]) for row in rows} == {("", "stale")}
    run(study)
    assert "\t60\t" in table.read_text()


def test_an_empty_table_ends_nothing(study: Study) -> None:
    study.paths.regions("sub-01").write_text("")
    assert "regions" not in group_tables(state_of(study))
    run(study)
    assert set(steps_of(study).values()) == {(Status.DONE, "")}


def test_a_removed_intermediate_file_is_absent_and_its_values_stay(study: Study) -> None:
    study.paths.image("sub-01", "a").unlink()
    steps = steps_of(study)
    assert steps["convert a"] == (Status.ABSENT, "sub-01_ses-a_mri.nii.gz does not exist any more")
    assert steps["measure"][0] is Status.DONE
    assert not state_of(study).not_current()
    study.paths.regions("sub-01").unlink()
    assert state_of(study).not_current()


def test_a_study_put_away_without_its_images_keeps_its_values(study: Study) -> None:
    before = group_tables(state_of(study))
    shutil.rmtree(study.paths.dicom)
    for visit in "ab":
        study.paths.image("sub-01", visit).unlink()
        study.paths.labels("sub-01", visit).unlink()
    assert group_tables(state_of(study)) == before
    assert {status for status, _ in steps_of(study).values()} == {Status.ABSENT, Status.DONE}


def test_a_failure_counts_for_what_it_was_tried_with(study: Study) -> None:
    raw(study.paths.root, "sub-01", "a").write_text("word")
    run(study)
    status, reason = steps_of(study)["convert a"]
    assert (status, reason) == (Status.FAILED, "sub-01 a: found 'word', expected a number.")
    raw(study.paths.root, "sub-01", "a").write_text("1")
    assert set(steps_of(study).values()) == {(Status.DONE, "")}


def test_a_blocked_visit_leaves_no_value_of_the_patient_as_it_was(study: Study) -> None:
    from mriseg.study.model import Patient
    from mriseg.study.overview import StudyState
    from mriseg.study.state import patient_state

    blocked = Patient(study=study, participant=study.participants[0], blocked={"b": "another person"})
    state = patient_state(blocked, hashes=Hashes(), steps=STEPS)
    assert state.steps[0].reason == "another person"
    table = group_tables(StudyState(study=study, patients=(state,)))["regions"]
    assert {line.split("\t")[7] for line in table.splitlines()[1:]} == {"stale"}
    Worker(patient=blocked, steps=STEPS).run()
    after = patient_state(blocked, hashes=Hashes(), steps=STEPS)
    rows = group_tables(StudyState(study=study, patients=(after,)))["regions"].splitlines()[1:]
    assert [row.split("\t")[1] for row in rows] == ["a"]


def test_a_hash_is_remembered_only_of_what_the_file_system_says_is_untouched(tmp_path: Path) -> None:
    path, memory = tmp_path / "a", tmp_path / "memory.json"
    path.write_text("one")
    first = Hashes(memory=memory).of(path)
    path.write_text("two")
    assert Hashes(memory=memory).of(path) != first
    assert Hashes(memory=memory).of(tmp_path / "nothing") is None


@pytest.mark.parametrize(
    ("step", "within", "without"),
    [
        ("mriseg.study.steps.convert", "dicom/pixels.py", "segment/segmenter.py"),
        ("mriseg.study.steps.segment", "assets/segmenter_refiner.onnx", "measure/measuring.py"),
        ("mriseg.study.steps.register", "register/pose.py", "measure/measuring.py"),
        ("mriseg.study.steps.measure", "assets/knee_atlas.npz", "register/pose.py"),
        ("mriseg.report.patient", "report/templates/base.html.j2", "segment/segmenter.py"),
    ],
)
def test_the_code_of_a_step_is_what_it_imports(step: str, within: str, without: str) -> None:
    files, libraries = follow(step)
    names = {path.as_posix().rsplit("/mriseg/", 1)[-1] for path in files}
    assert within in names
    assert without not in names
    assert "numpy" in libraries


@pytest.mark.parametrize("command", [["lock"], ["compare", "--allocation", "arms.csv"]])
def test_tables_with_values_of_visits_that_are_blocked_now_are_neither_sealed_nor_compared(
    study: Study, command: list[str]
) -> None:
    gather(study, state_of(study))  # as these steps see it; for the real ones the images are no DICOM, which blocks
    result = CliRunner().invoke(app, [command[0], str(study.paths.root), *command[1:]])
    assert isinstance(result.exception, AnalysisError)
    assert "regions.tsv, failures.tsv in group/ is not what the patients' files say" in str(result.exception)
    assert not (study.paths.group / "lock.json").exists()


def test_an_installation_with_another_extra_redoes_nothing() -> None:
    code = code_of("mriseg.study.steps.segment")
    assert "highdicom" in code.libraries
    assert "highdicom" not in code.versions
    assert "onnxruntime" in code.versions
