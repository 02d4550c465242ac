"""A step that crashes, hangs or is killed is a failure with a reason; the others go on, and no worker is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest

from mriseg.study.crew import Crew, Job
from mriseg.study.lock import at_work
from mriseg.study.model import Patient, Study
from mriseg.study.state import Status
from tests.study.small_steps import HERE, make_study, raw, state_of

LIMITS = "[run.limit_min]\nconvert = 0.05\n"
ROOT = Path(__file__).resolve().parents[2]


def jobs_of(study: Study) -> list[Job]:
    return [Job(patient=p, table=f"{HERE}:STEPS") for p in study.patients()]


def work(study: Study, at_once: int = 2) -> list[tuple[str, Mapping[str, Any]]]:
    events: list[tuple[str, Mapping[str, Any]]] = []

    def tell(patient: Patient, event: Mapping[str, Any]) -> None:
        events.append((patient.id, event))

    Crew(at_once=at_once, tell=tell).run(jobs_of(study))
    return events


@pytest.mark.parametrize(
    ("word", "reason", "hint"),
    [
        ("crash", "crashed (SIGSEGV)", "The log says where"),
        ("memory", "out of memory", "fewer --jobs"),
        ("hang", "hung: not done after its limit of 0.05 min", "limit_min"),
        ("word", "expected a number", "Mend what is named"),
    ],
)
def test_what_befalls_a_step_is_a_failure_of_that_step_alone(tmp_path: Path, word: str, reason: str, hint: str) -> None:
    study = make_study(tmp_path / "study", people=2, more=LIMITS)
    raw(tmp_path / "study", "sub-01", "a").write_text(word)
    work(study)
    bad, good = state_of(study).patients
    assert good.status is Status.DONE
    failed = [s for s in bad.steps if s.status is Status.FAILED]
    assert [str(s.task) for s in failed] == ["convert a"]
    assert {str(s.task) for s in bad.steps if s.status is Status.DONE} == {"convert b", "segment b"}
    record = bad.patient.failures()[0]
    assert reason in record["reason"]
    assert hint in record["hint"]
    assert (study.paths.derivatives / record["log"]).exists()
    raw(tmp_path / "study", "sub-01", "a").write_text("7")
    work(study)
    assert {p.status for p in state_of(study).patients} == {Status.DONE}
    assert not bad.patient.failures()


DRIVER = """
import os
from mriseg.study.crew import Crew
from mriseg.study.lock import run_lock
from mriseg.study.model import open_study
from tests.study.test_crew import jobs_of
study = open_study(os.environ["STUDY"])
with run_lock(study.paths) as handle:
    Crew(at_once=2, tell=lambda p, e: print(e["kind"], flush=True), inherit=(handle,)).run(jobs_of(study))
"""
STOPPABLE = f"""
import typer
from mriseg.cli._signals import stoppable
app = typer.Typer(add_completion=False)
@app.command()
def command():
    with stoppable():
{indent(DRIVER, " " * 8)}
app()
"""


def driven(study: Path, code: str) -> subprocess.Popen[str]:
    """A process that works on a study."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(
        [sys.executable, "-c", code], text=True, cwd=ROOT, env=os.environ | {"STUDY": str(study)}, **pipes
    )


def workers_of(folder: Path) -> list[int]:
    """Processes that have a file of the study open."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                links = [str(link.readlink()) for link in (process / "fd").iterdir()]
            except OSError:
                continue
            if any(link.startswith(str(folder)) for link in links):
                found.append(int(process.name))
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="the death of a parent is told to its children on Linux only")
def test_a_killed_run_leaves_no_worker_and_the_study_is_free_at_once(tmp_path: Path) -> None:
    study = make_study(tmp_path / "study", people=2)
    for name in ("sub-01", "sub-02"):
        raw(tmp_path / "study", name, "a").write_text("hang")
    process = driven(tmp_path / "study", DRIVER)
    assert process.stdout
    assert [process.stdout.readline() for _ in range(2)] == ["start\n"] * 2
    assert len(workers_of(tmp_path)) == 3
    process.send_signal(signal.SIGKILL)
    process.communicate()
    until = time.monotonic() + 5
    while workers_of(tmp_path) and time.monotonic() < until:
        time.sleep(0.05)
    assert not workers_of(tmp_path)
    raw(tmp_path / "study", "sub-01", "a").write_text("1")
    raw(tmp_path / "study", "sub-02", "a").write_text("1")
    work(study)
    assert {p.status for p in state_of(study).patients} == {Status.DONE}


ODD = ["a b", "it's", '"q"', "$(touch hacked)", "`touch hacked`", "[x]{y}", "#;&|", "Übung: 1, 2", "x" * 200, "y" * 200]


def test_a_path_may_have_any_name_and_nothing_of_it_is_executed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    study = make_study(tmp_path.joinpath(*ODD, "z" * 200, "study"))
    assert len(str(study.paths.root)) > 600
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    work(study)
    assert state_of(study).patients[0].status is Status.DONE
    assert [p.name for p in tmp_path.iterdir()] == [ODD[0]]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_run_that_is_told_to_stop_ends_with_its_workers_and_the_code_of_the_signal(
    tmp_path: Path, number: signal.Signals
) -> None:
    study = make_study(tmp_path / "study")
    raw(tmp_path / "study", "sub-01", "a").write_text("hang")
    process = driven(tmp_path / "study", STOPPABLE)
    assert process.stdout
    assert process.stdout.readline() == "start\n"
    process.send_signal(number)
    _, said = process.communicate(timeout=10)
    assert process.returncode == 128 + number
    assert said == "Stopped. What is done stays; `mriseg run` goes on from there.\n"
    assert not workers_of(tmp_path)
    assert not at_work(study.paths)
    assert not study.patients()[0].failures()
