"""Hashes of code and the progress of a run."""

from __future__ import annotations

from mriseg.study.progress import StageProgress, read_progress
from mriseg.study.provenance import code_hash

LOG = """Job stats:
job         count
--------  -------
all             1
convert         2
page            2
total           5

Finished jobid: 3 (Rule: convert)
Error in rule convert:
    jobid: 4
"""


def test_every_step_has_a_hash_of_its_own() -> None:
    hashes = [code_hash(step) for step in ("convert", "segment", "register", "measure", "page")]
    assert len(set(hashes)) == 5


def test_progress_counts_planned_done_and_failed_jobs() -> None:
    progress = read_progress(LOG)
    assert progress["convert"] == StageProgress(planned=2, done=1, failed=1)
    assert progress["page"] == StageProgress(planned=2)
    assert progress["measure"] == StageProgress()


def test_an_empty_log_is_no_progress() -> None:
    assert set(read_progress("").values()) == {StageProgress()}
