"""One run at a time, on one computer or several; a lock that nobody holds any more is taken over without help."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mriseg.errors import StudyError
from mriseg.study import lock
from mriseg.study.lock import SILENT_S, at_work, run_lock
from mriseg.study.paths import StudyPaths


@pytest.fixture
def paths(tmp_path: Path) -> StudyPaths:
    return StudyPaths(tmp_path / "study")


def said_elsewhere(paths: StudyPaths, *, ago_s: float) -> None:
    """A sign of life of a run on another computer."""
    paths.derivatives.mkdir(parents=True, exist_ok=True)
    paths.lock.write_text(json.dumps({"host": "node-7", "pid": 1, "token": "x"}))
    os.utime(paths.lock, (time.time() - ago_s,) * 2)


def test_a_second_run_is_refused_with_who_holds_the_study(paths: StudyPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "DYING_S", 0.2)
    with run_lock(paths):
        assert at_work(paths)
        with pytest.raises(StudyError, match=rf"another run is at work .*process {os.getpid()} on "), run_lock(paths):
            pass
    assert not at_work(paths)
    with run_lock(paths):
        pass


def test_a_run_on_another_computer_counts_as_long_as_it_gives_signs_of_life(paths: StudyPaths) -> None:
    said_elsewhere(paths, ago_s=5)
    assert at_work(paths)
    with pytest.raises(StudyError, match="process 1 on node-7"), run_lock(paths):
        pass
    said_elsewhere(paths, ago_s=SILENT_S + 5)
    assert not at_work(paths)
    with run_lock(paths):
        assert at_work(paths)


def test_a_run_that_was_taken_over_hears_of_it(paths: StudyPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "BEAT_S", 0.05)
    lost: list[bool] = []
    with run_lock(paths, lost=lambda: lost.append(True)):
        said_elsewhere(paths, ago_s=0)
        time.sleep(0.3)
    assert lost == [True]
    assert json.loads(paths.lock.read_text())["host"] == "node-7"


def test_what_still_works_holds_the_lock(paths: StudyPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "DYING_S", 0.2)
    with run_lock(paths) as handle:
        worker = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=(handle,))
    try:
        assert at_work(paths)
        with pytest.raises(StudyError, match="another run is at work"), run_lock(paths):
            pass
    finally:
        worker.communicate(b"\n")
    with run_lock(paths):
        pass


@pytest.mark.parametrize("content", ["", "{", "[]", '{"host": 3}', "\0\0"])
def test_a_damaged_lock_that_nobody_holds_is_taken(paths: StudyPaths, content: str) -> None:
    paths.derivatives.mkdir(parents=True)
    paths.lock.write_text(content)
    with run_lock(paths):
        assert at_work(paths)


def test_a_folder_that_cannot_be_written_is_named_before_any_work(paths: StudyPaths) -> None:
    paths.root.mkdir()
    (paths.root / "derivatives").write_text("a file in the way")
    with pytest.raises(StudyError, match=r"derivatives/mriseg/ cannot be written .* Nothing was done"), run_lock(paths):
        pass
