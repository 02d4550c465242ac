"""The same jobs on a cluster: Snakemake submits them by number; no name of a study, patient or path reaches a shell."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mriseg.errors import StudyError
from mriseg.study.code import PACKAGE
from mriseg.study.crew import Job, Tell, fail_job
from mriseg.study.failures import AGAIN
from mriseg.study.hashes import cache_folder
from mriseg.study.receipts import Task

POLL_S = 1.0
SNAKEMAKE = """
import runpy, signal
die_with_parent(signal.SIGTERM)  # on which Snakemake cancels what it submitted
runpy.run_module("snakemake", run_name="__main__")
"""
LOST = "its job on the cluster ended before the step did: the node was lost, or the job went over its memory or time."


@dataclass(slots=True, kw_only=True)
class ClusterRun:
    """One submission: a folder of numbered jobs on a file system that all nodes share, and their events.

    Parameters
    ----------
    profile : str
        ``slurm``, or a folder with a Snakemake ``config.yaml``.
    tell : callable
        Told of every event, as by :class:`~mriseg.study.crew.Crew`.
    tick : callable
        Called every second.
    """

    profile: str
    tell: Tell
    tick: Callable[[], None] = lambda: None

    def run(self, jobs: Iterable[Job]) -> None:
        """Submit all jobs and wait for them; a job that left no end is a failure of the step it was at."""
        numbered = {f"{n:05d}": job for n, job in enumerate(jobs)}
        folder = cache_folder() / "cluster" / uuid.uuid4().hex
        for name in ("jobs", "events", "done"):
            (folder / name).mkdir(parents=True)
        for number, job in numbered.items():
            (folder / "jobs" / f"{number}.json").write_text(job.to_json([]), encoding="utf-8")
        reading = {number: _Events(folder / "events" / number) for number in numbered}
        log = next(iter(numbered.values())).patient.study.paths.derivatives / "cluster.log"
        with log.open("wb") as output:
            process = subprocess.Popen(_command(folder, self.profile), stdout=output, stderr=output)
            try:
                while process.poll() is None:
                    time.sleep(POLL_S)
                    self._hear(numbered, reading)
                    self.tick()
            finally:
                if process.poll() is None:
                    process.terminate()  # Snakemake cancels what it submitted
                    process.wait()
        self._hear(numbered, reading)
        for number, events in reading.items():
            if not events.ended:
                job = numbered[number]
                fail_job(job, events.task, LOST, f"Look into {log.name}. {AGAIN}", self.tell)
                self.tell(job.patient, {"kind": "end"})
        shutil.rmtree(folder, ignore_errors=True)

    def _hear(self, jobs: Mapping[str, Job], reading: Mapping[str, _Events]) -> None:
        for number, events in reading.items():
            for event in events.fresh():
                self.tell(jobs[number].patient, event)


class _Events:
    """Events of one job, read as its file grows."""

    def __init__(self, path: Path) -> None:
        self._path, self._at = path, 0
        self.task: Task | None = None
        self.ended = False

    def fresh(self) -> Iterator[Mapping[str, Any]]:
        """Yield events not seen before; a line that is still being written comes next time."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._at)
            whole = file.read().rpartition(b"\n")[0]
        self._at += len(whole) + 1 if whole else 0
        for line in whole.splitlines():
            event: dict[str, Any] = json.loads(line)
            if event["kind"] == "start":
                self.task = Task(step=event["step"], visit=event["visit"])
            elif event["kind"] in {"done", "failed"}:
                self.task = None
            self.ended = event["kind"] == "end"
            yield event


def _command(folder: Path, profile: str) -> list[str]:
    flow = snakefile()
    command = [sys.executable, "-c", SNAKEMAKE, "--snakefile", str(flow), "--directory", str(folder)]
    command += ["--config", f"python={shlex.quote(sys.executable)}", "--profile", str(_profile(flow, profile))]
    return [*command, "--nocolor", "--keep-going"]


def snakefile() -> Path:
    """Return the workflow: from the installed package, or beside it in a checkout."""
    for folder in (PACKAGE / "pipelines", PACKAGE.parent / "pipelines"):
        if (folder / "study" / "Snakefile").exists():
            return folder / "study" / "Snakefile"
    raise StudyError("The workflow (pipelines/study/Snakefile) is not installed. Install mriseg again.")


def _profile(flow: Path, name: str) -> Path:
    shipped = flow.parent / "profiles" / name
    if shipped.is_dir():
        return shipped
    if Path(name).is_dir():
        return Path(name).resolve()
    raise StudyError(f"--profile {name}: expected local, slurm or a folder with a Snakemake config.yaml.")
