"""Workers, one a patient and a few at once, and what becomes of those that hang, crash or are killed."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, Any

from mriseg.study.failures import AGAIN, HINTS, record_failure
from mriseg.study.hashes import Hashes
from mriseg.study.model import Patient
from mriseg.study.receipts import Task
from mriseg.study.state import present_recipe
from mriseg.study.step_table import TABLE, Step, named

TICK_S = 0.5
START_LIMIT_MIN = 30.0  # of a worker that is at no step


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What one worker is to do: the patient with its blocked visits, and steps to do again.

    ``table`` is where the steps are listed, as ``module:name``.
    """

    patient: Patient
    redo: tuple[str, ...] = ()
    threads: int = 1
    table: str = TABLE

    def to_json(self, skip: Iterable[Task]) -> str:
        """Return the job as a worker reads it."""
        study = self.patient.study.paths.root
        content = {"study": str(study), "participant": self.patient.id, "blocked": dict(self.patient.blocked)}
        tried = [[task.step, task.visit] for task in skip]
        how = {"threads": self.threads, "redo": list(self.redo), "skip": tried, "table": self.table}
        return json.dumps(content | how)


@dataclass(slots=True, kw_only=True)
class _Running:
    job: Job
    process: subprocess.Popen[bytes]
    log: IO[bytes]
    task: Task | None = None
    since: float = field(default_factory=time.monotonic)
    skip: list[Task] = field(default_factory=list)
    rest: bytes = b""
    cause: tuple[str, str] | None = None


Tell = Callable[[Patient, Mapping[str, Any]], None]


@dataclass(slots=True, kw_only=True)
class Crew:
    """Works off jobs, ``at_once`` at a time.

    Parameters
    ----------
    at_once : int
    tell : callable
        Told of every event of every patient: kind (start, done, failed, note, end), step, visit, text.
    inherit : tuple of int
        File descriptors that every worker holds open, such as that of the run lock.
    tick : callable
        Called every half second.
    """

    at_once: int
    tell: Tell
    inherit: tuple[int, ...] = ()
    tick: Callable[[], None] = lambda: None
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)

    def run(self, jobs: Iterable[Job]) -> None:
        """Do all jobs. However this ends, no worker is left."""
        waiting = deque(jobs)
        try:
            while waiting or self._selector.get_map():
                while waiting and len(self._selector.get_map()) < self.at_once:
                    self._start(waiting.popleft(), [])
                for key, _ in self._selector.select(TICK_S):
                    self._listen(key.data)
                self._end_hanging()
                self.tick()
        finally:
            for key in list(self._selector.get_map().values()):
                _kill(key.data.process)
                key.data.log.close()
            self._selector.close()

    def _start(self, job: Job, skip: list[Task]) -> None:
        try:
            running = self._launch(job, skip)
        except OSError as error:
            why = f"no worker could be started: {os.strerror(error.errno or 0)}."
            fail_job(job, None, why, HINTS.get(error.errno or 0, AGAIN), self.tell)
            self.tell(job.patient, {"kind": "end"})
            return
        assert running.process.stdout is not None
        os.set_blocking(running.process.stdout.fileno(), False)
        self._selector.register(running.process.stdout, selectors.EVENT_READ, running)

    def _launch(self, job: Job, skip: list[Task]) -> _Running:
        path = job.patient.study.paths.step_log(job.patient.id)
        path.parent.mkdir(parents=True, exist_ok=True)
        log = path.open("ab" if skip else "wb")
        command = [sys.executable, "-m", "mriseg.study.worker", str(os.getpid())]
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(job.threads))
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=os.environ | threads,
            pass_fds=self.inherit,
            start_new_session=True,
        )
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            process.stdin.write(job.to_json(skip).encode())
            process.stdin.close()
        return _Running(job=job, process=process, log=log, skip=skip)

    def _listen(self, worker: _Running) -> None:
        assert worker.process.stdout is not None
        try:
            data = os.read(worker.process.stdout.fileno(), 1 << 16)
        except BlockingIOError:
            return
        *lines, worker.rest = (worker.rest + data).split(b"\n")
        for line in lines:
            self._hear(worker, json.loads(line))
        if not data:
            self._ended(worker)

    def _hear(self, worker: _Running, event: dict[str, Any]) -> None:
        if event["kind"] == "broken":
            worker.cause = event["text"], "Look into the log, then run again."
            return
        if event["kind"] in {"start", "done", "failed"}:
            starts = event["kind"] == "start"
            worker.task = Task(step=event["step"], visit=event["visit"]) if starts else None
            worker.since = time.monotonic()
        self.tell(worker.job.patient, event)

    def _ended(self, worker: _Running) -> None:
        """Close a worker; one that died in a step is a failure of that step, and the other steps go on."""
        assert worker.process.stdout is not None
        self._selector.unregister(worker.process.stdout)
        code = worker.process.wait()
        worker.process.stdout.close()
        worker.log.close()
        if code:
            reason, hint = worker.cause or _cause(code)
            fail_job(worker.job, worker.task, reason, hint, self.tell)
        if code and worker.task is not None:
            self._start(worker.job, [*worker.skip, worker.task])
        else:
            self.tell(worker.job.patient, {"kind": "end"})

    def _end_hanging(self) -> None:
        for key in list(self._selector.get_map().values()):
            worker: _Running = key.data
            limits = worker.job.patient.study.config.run
            limit = limits.limit_of(worker.task.step) if worker.task else START_LIMIT_MIN
            if time.monotonic() - worker.since > 60 * limit:
                hint = "Look into the log; where the step only needs longer, raise its [run.limit_min] in study.toml."
                worker.cause = f"hung: not done after its limit of {limit:g} min, and ended.", hint
                _kill(worker.process)


def fail_job(job: Job, task: Task | None, reason: str, hint: str, tell: Tell) -> None:
    """Record the failure of a step that could not do so itself; without a task it is one of the first step."""
    steps: tuple[Step, ...] = named(job.table)
    task = task or Task(step=steps[0].name, visit=job.patient.planned[0])
    step = next(s for s in steps if s.name == task.step)
    recipe = present_recipe(job.patient, step, task, Hashes())
    with suppress(OSError):
        record_failure(job.patient, task, reason, recipe=recipe.sha256, hint=hint)
    tell(job.patient, {"kind": "failed", "step": task.step, "visit": task.visit, "text": reason})


def _cause(code: int) -> tuple[str, str]:
    """Reason and hint for the exit code of a worker that ended amid a step."""
    if code == -signal.SIGKILL:
        hint = "Run with fewer --jobs, or on a machine with more memory."
        return "killed from outside, most likely since the machine ran out of memory (SIGKILL).", hint
    if code < 0:
        name = signal.Signals(-code).name
        return f"crashed ({name}).", "The log says where; run again, and report it if it comes again."
    return f"ended with code {code}.", "Look into the log; run again, and report it if it comes again."


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
