"""The steps of one patient in one process: what is not done is done, in order, each with its receipt last."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from mriseg.errors import StudyError
from mriseg.files import remove_partials
from mriseg.study.code import PACKAGE
from mriseg.study.corrections import forget_made, keep_edit
from mriseg.study.failures import clear_failure, explain, record_failure
from mriseg.study.hashes import Hashes, hashes_of
from mriseg.study.model import Patient
from mriseg.study.receipts import Receipt, Task, differences, read_receipts, write_receipts
from mriseg.study.state import CURRENT, DONE, StepState, failures_of, judge, outputs_of, present_recipe, upstream_of
from mriseg.study.step_table import STEPS, Step, tasks_of

ATTEMPTS = 3  # of a step whose inputs change while it reads them


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What a worker says of one step: ``start``, ``done``, ``failed`` or ``note``, with a text."""

    kind: str
    task: Task
    text: str = ""


@dataclass(slots=True, kw_only=True)
class Worker:
    """Does the steps of one patient.

    Parameters
    ----------
    patient : Patient
        With the visits that are blocked.
    threads : int
        Threads that a step may use.
    redo : collection of str
        Steps to do again although they are done.
    only : collection of str, optional
        Steps that may be done at all; every one by default.
    skip : collection of Task
        Steps that brought an earlier process of this run down; they are not tried again.
    say : callable
        Told of every event.
    """

    patient: Patient
    threads: int = 1
    redo: Collection[str] = ()
    only: Collection[str] | None = None
    skip: Collection[Task] = ()
    say: Callable[[Event], None] = lambda _: None
    steps: tuple[Step, ...] = STEPS
    hashes: Hashes = field(init=False)

    def run(self) -> None:
        """Do everything that is not done; a failed step keeps only those from being done that follow from it."""
        self.hashes = hashes_of(self.patient.study.paths.root, self.patient.id)
        remove_partials(self.patient.study.paths.patient(self.patient.id))
        states: dict[Task, StepState] = {}
        for step, task in tasks_of(self.patient, self.steps):
            states[task] = self._advance(step, task, states)
        self.hashes.save()

    def _advance(self, step: Step, task: Task, states: dict[Task, StepState]) -> StepState:
        """Do one step where it is not done and nothing before it is missing; return its state."""
        if step.name != "segment":
            return self._do(step, task, states)
        self._keep_edit(task)
        state = self._do(step, task, states)
        if state.status in DONE:
            forget_made(self.patient, task.visit)
        return state

    def _do(self, step: Step, task: Task, states: dict[Task, StepState]) -> StepState:
        upstream = [states[t] for t in upstream_of(self.patient, step, task, self.steps) if t in states]
        state = self._judge(step, task, upstream)
        ready = all(s.status in CURRENT for s in upstream)
        spared = task in self.skip or (self.only is not None and step.name not in self.only)
        if not ready or spared or (state.status in DONE and step.name not in self.redo):
            if state.status in DONE:
                clear_failure(self.patient, task)
            return state
        self.say(Event(kind="start", task=task, text=state.reason))
        for _ in range(ATTEMPTS):
            if self._attempt(step, task):
                break
        return self._judge(step, task, upstream)

    def _judge(self, step: Step, task: Task, upstream: list[StepState]) -> StepState:
        receipts, failures = read_receipts(self.patient), failures_of(self.patient)
        return judge(self.patient, step, task, receipts, upstream=upstream, failures=failures, hashes=self.hashes)

    def _attempt(self, step: Step, task: Task) -> bool:
        """Do one step once and write its receipt; False where an input changed meanwhile, to be tried again."""
        recipe = present_recipe(self.patient, step, task, self.hashes)
        try:
            clear_failure(self.patient, task)
            step(self.patient, task.visit, threads=self.threads)
            after = present_recipe(self.patient, step, task, self.hashes)
            if after != recipe:
                changed = ", ".join(differences(recipe, after))
                self.say(Event(kind="note", task=task, text=f"{changed} while it was read; tried again."))
                record_failure(self.patient, task, f"{changed} while it was read.", recipe=after.sha256)
                return False
            self._receipt(task, Receipt(recipe=recipe, outputs=self._outputs(step, task)))
            clear_failure(self.patient, task)
        except Exception as error:
            _log_place(error)
            reason, hint = explain(error)
            with suppress(OSError):  # the disk is full; the process above says it
                record_failure(self.patient, task, reason, recipe=recipe.sha256, hint=hint)
            self.say(Event(kind="failed", task=task, text=reason))
            return True
        self.say(Event(kind="done", task=task))
        return True

    def _outputs(self, step: Step, task: Task) -> dict[str, str]:
        found = outputs_of(self.patient, step, task, self.hashes)
        root = self.patient.study.paths.root
        missing = [p.name for p in step.outputs(self.patient, task.visit) if not p.exists()]
        if missing:
            raise StudyError(f"{self.patient.id} {task}: ended without {', '.join(missing)} below {root.name}.")
        return found

    def _receipt(self, task: Task, receipt: Receipt) -> None:
        planned = {t for _, t in tasks_of(self.patient, self.steps)}
        kept = {t: r for t, r in read_receipts(self.patient).items() if t in planned}
        write_receipts(self.patient, kept | {task: receipt})

    def _keep_edit(self, task: Task) -> None:
        """Before a label map can be written over: keep what a reader made of it."""
        labels = self.patient.study.paths.labels(self.patient.id, task.visit)
        if not labels.parent.is_dir():
            return
        receipt = read_receipts(self.patient).get(task)
        name = labels.relative_to(self.patient.study.paths.root).as_posix()
        said = keep_edit(self.patient, task.visit, recorded=receipt.outputs.get(name) if receipt else None)
        if said:
            self.say(Event(kind="note", task=task, text=said))


def _log_place(error: Exception) -> None:
    """Print where an unexpected error arose, without its text, which may quote a header; the log keeps it."""
    frames = traceback.extract_tb(error.__traceback__)
    for frame in frames:
        where = Path(frame.filename)
        name = where.relative_to(PACKAGE) if where.is_relative_to(PACKAGE) else where.name
        print(f"  {name}:{frame.lineno} in {frame.name}", flush=True)  # noqa: T201
    print(type(error).__name__, flush=True)  # noqa: T201
