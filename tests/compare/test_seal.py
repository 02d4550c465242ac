"""The seal finds every alteration, and results say what became of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from typer.testing import CliRunner

from mriseg.cli import app
from mriseg.compare.plan import AnalysisPlan
from mriseg.compare.seal import plan_hash, seal, sha256, verify_seal
from mriseg.errors import AnalysisError

PLAN = AnalysisPlan()
FILES = {"group/regions.tsv": sha256(b"values"), "participants.tsv": sha256(b"people")}
WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_an_untouched_study_verifies() -> None:
    lock = json.loads(json.dumps(seal(FILES, PLAN, when=WHEN)))
    assert lock["sealed"] == "2026-01-02T03:04:05+00:00"
    assert verify_seal(lock, FILES, PLAN) == ()


def test_one_altered_byte_is_found() -> None:
    lock = seal(FILES, PLAN)
    altered = FILES | {"group/regions.tsv": sha256(b"valuez")}
    assert verify_seal(lock, altered, PLAN) == ("group/regions.tsv was changed after the seal.",)


def test_removed_and_added_files_are_named() -> None:
    lock = seal(FILES, PLAN)
    found = verify_seal(lock, {"participants.tsv": FILES["participants.tsv"], "new.tsv": "0"}, PLAN)
    assert found == ("group/regions.tsv was removed after the seal.", "new.tsv was added after the seal.")


def test_a_changed_plan_is_named_key_by_key() -> None:
    other = PLAN.model_copy(update={"metric": "dABp", "alpha": 0.1})
    found = verify_seal(seal(FILES, PLAN), FILES, other)
    assert found == (
        "The plan was changed after the seal: alpha was 0.05, is 0.1.",
        "The plan was changed after the seal: metric was 'dAB', is 'dABp'.",
    )
    assert plan_hash(PLAN) != plan_hash(other)


@pytest.mark.parametrize("key", ["sealed", "plan", "files", "by", "earlier", "plan_sha256"])
def test_an_altered_lock_is_found(key: str) -> None:
    lock = seal(FILES, PLAN)
    lock[key] = {**lock[key], "x": "y"} if isinstance(lock[key], dict) else "other"
    assert "The lock file itself was altered after it was sealed." in verify_seal(lock, FILES, PLAN)


def test_something_else_is_no_lock() -> None:
    with pytest.raises(AnalysisError, match="was not written by mriseg lock"):
        verify_seal({"files": {}}, FILES, PLAN)


@pytest.fixture
def folder(tmp_path: Path, datasets: ModuleType) -> Path:
    values, people, allocation = datasets.made_up(24)
    values.to_csv(tmp_path / "regions.tsv", sep="\t", index=False)
    people.to_csv(tmp_path / "participants.tsv", sep="\t", index=False)
    allocation.to_csv(tmp_path / "allocation.csv", index=False)
    (tmp_path / "plan.toml").write_text("[analysis]\npermutations = 99\nimputations = 0\n")
    return tmp_path


def run(*words: object) -> Any:
    return CliRunner().invoke(app, [str(w) for w in words])


def table_options(folder: Path) -> list[object]:
    named = {"table": "regions.tsv", "plan": "plan.toml", "participants": "participants.tsv", "out": "out"}
    return [part for option, name in named.items() for part in (f"--{option}", folder / name)]


def compare(folder: Path) -> dict[str, Any]:
    result = run("compare", *table_options(folder), "--allocation", folder / "allocation.csv")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads((folder / "out" / "comparison.json").read_text())
    return found


def test_a_sealed_table_compares_as_intact(folder: Path) -> None:
    assert run("lock", *table_options(folder)).exit_code == 0
    lock = compare(folder)["lock"]
    assert (lock["status"], lock["changes"]) == ("intact", [])
    assert "Intact." in (folder / "out" / "results.html").read_text()
    assert run("lock", *table_options(folder), "--verify").exit_code == 0


def test_a_change_after_the_seal_stands_in_the_results_and_on_the_page(folder: Path) -> None:
    run("lock", *table_options(folder))
    path = folder / "regions.tsv"
    data = bytearray(path.read_bytes())
    place = data.rindex(b"1")
    data[place : place + 1] = b"2"
    path.write_bytes(data)
    assert run("lock", *table_options(folder), "--verify").exit_code == 1
    lock = compare(folder)["lock"]
    assert (lock["status"], lock["changes"]) == ("changed", ["regions.tsv was changed after the seal."])
    page = (folder / "out" / "results.html").read_text()
    assert "differ from what was sealed" in page
    assert "regions.tsv was changed after the seal." in page


def test_a_lock_that_was_swapped_after_unblinding_stands_on_the_page(folder: Path) -> None:
    run("lock", *table_options(folder))
    compare(folder)
    (folder / "out" / "lock.json").unlink()
    (folder / "plan.toml").write_text("[analysis]\npermutations = 99\nimputations = 0\nmetric = 'ThCtAB_aMe'\n")
    run("lock", *table_options(folder))
    lock = compare(folder)["lock"]
    assert lock["status"] == "changed"
    assert "The lock was replaced without a reason" in lock["changes"][0]
    assert "The lock was replaced without a reason" in (folder / "out" / "results.html").read_text()


def test_column_map_and_smallest_detectable_change_are_under_the_seal(folder: Path) -> None:
    plan = folder / "plan.toml"
    plan.write_text(plan.read_text() + "[table]\nunit = 'unit'\n")
    (folder / "sdc.tsv").write_text("region\tmetric\tsdc\nFT\tdAB\t25\n")
    options = [*table_options(folder), "--sdc", folder / "sdc.tsv"]
    assert run("lock", *options).exit_code == 0
    plan.write_text(plan.read_text().replace("unit = 'unit'", "unit = 'unit'\nstates = {good = 'measured'}"))
    (folder / "sdc.tsv").write_text("region\tmetric\tsdc\nFT\tdAB\t5\n")
    verified = run("lock", *options, "--verify")
    assert verified.exit_code == 1
    assert "[table] of the plan file was changed after the seal." in verified.output
    assert "sdc.tsv was changed after the seal." in verified.output


def test_the_allocation_is_opened_after_the_seal_was_set(folder: Path) -> None:
    result = run("compare", *table_options(folder), "--allocation", folder / "nowhere.csv")
    assert isinstance(result.exception, (AnalysisError, FileNotFoundError))
    assert (folder / "out" / "lock.json").exists()
    assert not (folder / "out" / "comparison.json").exists()


def test_two_inputs_of_one_name_are_refused(folder: Path) -> None:
    (folder / "more").mkdir()
    (folder / "more" / "regions.tsv").write_text("participant_id\nsub-000\n")
    result = run("lock", *table_options(folder), "--failures", folder / "more" / "regions.tsv")
    assert "Two input files share a name" in str(result.exception)


def test_a_comparison_without_a_seal_sets_one_and_says_so(folder: Path) -> None:
    assert "compare" in compare(folder)["lock"]["by"]
    assert "set by the comparison itself" in (folder / "out" / "results.html").read_text()


def test_a_second_seal_needs_a_reason_and_keeps_the_first(folder: Path) -> None:
    run("lock", *table_options(folder))
    refused = run("lock", *table_options(folder))
    assert isinstance(refused.exception, AnalysisError)
    assert "give --again REASON" in str(refused.exception)
    compare(folder)
    assert run("lock", *table_options(folder), "--again", "a reader corrected sub-003").exit_code == 0
    earlier = compare(folder)["lock"]["earlier"]
    assert [(e["reason"], e["after_unblinding"]) for e in earlier] == [("a reader corrected sub-003", True)]
    assert "after results existed: a reader corrected sub-003" in (folder / "out" / "results.html").read_text()
