"""Every figure of the evidence page and of the README's table is what a results file of a committed command says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import evidence


def test_the_evidence_page_says_what_the_results_say() -> None:
    assert evidence.PAGE.read_text(encoding="utf-8") == evidence.evidence_page()


@pytest.mark.parametrize(
    ("page", "table"),
    [(evidence.README, evidence.short_table), (evidence.TRIAL, evidence.trial_table)],
    ids=["README", "trial question"],
)
def test_the_tables_of_pages_say_what_the_results_say(page: Path, table: Callable[[], str]) -> None:
    text = page.read_text(encoding="utf-8")
    assert evidence.with_table(text, table()) == text


def test_every_benchmark_names_its_script_and_every_row_its_run() -> None:
    runs, rows = evidence.read_evidence()
    for run in runs:
        assert (evidence.HERE / run.command.split()[0]).exists(), run.name
    assert {row.run for row in rows} <= {run.name for run in runs}


def test_a_changed_result_is_seen(monkeypatch, tmp_path) -> None:  # type: ignore[no-untyped-def]
    for file in evidence.RESULTS.glob("*.json"):
        text = file.read_text(encoding="utf-8")
        (tmp_path / file.name).write_text(text.replace('"mean_of_all_mm": 0.0115', '"mean_of_all_mm": 0.5'))
    monkeypatch.setattr(evidence, "RESULTS", tmp_path)
    assert evidence.PAGE.read_text(encoding="utf-8") != evidence.evidence_page()
