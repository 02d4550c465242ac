"""Sidecars and hashes: an output says where it comes from, and an equal file keeps its time."""

from __future__ import annotations

import json
import os
from pathlib import Path

from mriseg.study.progress import StageProgress, read_progress
from mriseg.study.provenance import code_hash, write_json, write_text

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


def test_an_equal_file_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "one")
    os.utime(path, (1, 1))
    write_text(path, "one")
    assert path.stat().st_mtime == 1
    write_text(path, "two")
    assert path.stat().st_mtime > 1


def test_nan_becomes_null_in_json(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"x": float("nan"), "y": [float("inf"), 2]})
    assert json.loads((tmp_path / "a.json").read_text()) == {"x": None, "y": [None, 2]}


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
