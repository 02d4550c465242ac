"""The state of a study, from content alone: what is done, needs review, failed, stale, absent or waiting, and why.

A step is done where every output has the hash in its receipt and the receipt's recipe is the present one. No path, no
time and no interpreter has a say. Everything that asks how far a study is asks here.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from mriseg.errors import MrisegError
from mriseg.study.code import code_of
from mriseg.study.hashes import Hashes, hashes_of
from mriseg.study.model import Patient
from mriseg.study.receipts import Receipt, Recipe, Task, differences, read_receipts
from mriseg.study.step_table import STEPS, Step, assessed, tasks_of
from mriseg.study.verdicts import Standing, verdict_of
from mriseg.types import Verdict


class Status(StrEnum):
    """How far one step of one patient is."""

    WAITING = "waiting"  # never done
    RUNNING = "running"
    DONE = "done"
    NEEDS_REVIEW = "needs review"  # done, and a person has to look at it
    FAILED = "failed"  # tried with the present inputs, in vain
    STALE = "stale"  # done with other inputs, parameters or code, or its outputs were changed
    ABSENT = "absent"  # done with the present inputs; an output was removed since


CURRENT = frozenset({Status.DONE, Status.NEEDS_REVIEW, Status.ABSENT})


@dataclass(frozen=True, slots=True, kw_only=True)
class StepState:
    """State of one step of one patient with the reason for it; ``hint`` and ``log`` go with a failure."""

    task: Task
    status: Status
    reason: str = ""
    hint: str = ""
    log: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientState:
    """State of every step of one patient, in their order, blocked visits first as failures of the step ``intake``."""

    patient: Patient
    steps: tuple[StepState, ...]

    @property
    def status(self) -> Status:
        """The worst of all steps; a step that needs review is done."""
        order = (Status.FAILED, Status.RUNNING, Status.STALE, Status.WAITING, Status.ABSENT, Status.NEEDS_REVIEW)
        found = {step.status for step in self.steps}
        return next((s for s in order if s in found), Status.DONE)

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do or to mend."""
        return self.status in {Status.DONE, Status.NEEDS_REVIEW}

    @property
    def to_do(self) -> tuple[StepState, ...]:
        """Steps that a run would do."""
        return tuple(s for s in self.steps if s.task.step != "intake" and s.status not in DONE)

    def values(self) -> Status:
        """State of the numbers in ``regions.tsv`` and ``defects.tsv``: current, or why they are not to be used."""
        own = next((s.status for s in self.steps if s.task.step == "measure"), Status.FAILED)
        paths = self.patient.study.paths
        tables = (paths.regions(self.patient.id), paths.defects(self.patient.id))
        if own is Status.ABSENT and not all(table.exists() for table in tables):
            return Status.STALE
        if own in CURRENT:
            return own
        failed = any(s.status is Status.FAILED and s.task.step not in {"intake", "page"} for s in self.steps)
        return Status.FAILED if failed else own


DONE = frozenset({Status.DONE, Status.NEEDS_REVIEW})


def patient_state(patient: Patient, *, hashes: Hashes | None = None, steps: tuple[Step, ...] = STEPS) -> PatientState:
    """Judge every step of one patient; the order of the steps says which follows from which."""
    hashes = hashes_of(patient.study.paths.root, patient.id) if hashes is None else hashes
    receipts, failures = read_receipts(patient), failures_of(patient)
    found = [
        StepState(task=Task(step="intake", visit=v), status=Status.FAILED, reason=why)
        for v, why in patient.blocked.items()
    ]
    judged: dict[Task, StepState] = {}
    for step, task in tasks_of(patient, steps):
        upstream = [judged[t] for t in upstream_of(patient, step, task, steps) if t in judged]
        judged[task] = judge(patient, step, task, receipts, upstream=upstream, failures=failures, hashes=hashes)
    hashes.save()
    return PatientState(patient=patient, steps=(*found, *judged.values()))


def failures_of(patient: Patient) -> dict[Task, Mapping[str, Any]]:
    """Recorded failures by task."""
    return {Task(step=f["step"], visit=f["visit"]): f for f in patient.failures()}


def upstream_of(patient: Patient, step: Step, task: Task, steps: tuple[Step, ...]) -> Iterator[Task]:
    """Tasks that write what this one reads."""
    reads = set(step.inputs(patient, task.visit))
    for other, before in tasks_of(patient, steps):
        if before != task and not reads.isdisjoint(other.outputs(patient, before.visit)):
            yield before


def judge(
    patient: Patient,
    step: Step,
    task: Task,
    receipts: Mapping[Task, Receipt],
    *,
    upstream: Collection[StepState],
    failures: Mapping[Task, Mapping[str, Any]],
    hashes: Hashes,
) -> StepState:
    """State of one step, given those that it follows from."""
    receipt, failure = receipts.get(task), failures.get(task)
    behind = [s.task for s in upstream if s.status not in CURRENT]
    if behind:
        status = Status.WAITING if receipt is None else Status.STALE
        return StepState(task=task, status=status, reason=f"follows {', '.join(map(str, behind))}")
    if receipt is None and failure is None:
        return StepState(task=task, status=Status.WAITING, reason="not made yet")
    recipe = present_recipe(patient, step, task, hashes, recorded=receipts)
    if failure is not None and failure["recipe"] == recipe.sha256:
        hint, log = str(failure.get("hint", "")), str(failure.get("log", ""))
        return StepState(task=task, status=Status.FAILED, reason=str(failure["reason"]), hint=hint, log=log)
    if receipt is None:
        return StepState(task=task, status=Status.WAITING, reason="failed before; something changed since")
    found = _judge_outputs(patient, step, task, receipt, hashes)
    if _archived(patient, receipt):
        gone = StepState(
            task=task, status=Status.ABSENT, reason="the study was archived without what this is made from"
        )
        return gone if found.status in CURRENT else found
    changes = list(differences(receipt.recipe, recipe))
    return StepState(task=task, status=Status.STALE, reason=_few(changes)) if changes else found


def _archived(patient: Patient, receipt: Receipt) -> bool:
    """Whether a study was put away without its images and this step's inputs: then nothing can have replaced them."""
    root = patient.study.paths.root
    return not patient.study.paths.dicom.exists() and any(not (root / name).exists() for name in receipt.recipe.inputs)


def _judge_outputs(patient: Patient, step: Step, task: Task, receipt: Receipt, hashes: Hashes) -> StepState:
    root = patient.study.paths.root
    found = outputs_of(patient, step, task, hashes)
    names = sorted({*found, *receipt.outputs})
    changed = [n for n in names if n in found and found[n] != receipt.outputs.get(n)]
    if changed:
        return StepState(task=task, status=Status.STALE, reason=f"{_few(_last(changed))} changed since it was made")
    absent = [n for n in names if n not in found]
    if absent:
        return StepState(task=task, status=Status.ABSENT, reason=f"{_few(_last(absent))} does not exist any more")
    if "images" in receipt.recipe.parameters and not patient.study.paths.dicom.exists():
        return StepState(task=task, status=Status.ABSENT, reason=f"{patient.study.paths.dicom.name}/ is not here")
    labels = patient.study.paths.labels(patient.id, task.visit).relative_to(root).as_posix() if task.visit else ""
    if labels in receipt.outputs and _waits(patient, task.visit, receipt.outputs[labels]):
        reasons = patient.segmentation(task.visit)["assessment"].get("reasons", [])
        return StepState(task=task, status=Status.NEEDS_REVIEW, reason=" ".join(map(str, reasons)))
    return StepState(task=task, status=Status.DONE)


def _waits(patient: Patient, visit: str, labels: str) -> bool:
    """Whether the segmentation asked for a reader and none has settled it."""
    if assessed(patient, visit) != Verdict.NEEDS_REVIEW:
        return False
    standing = verdict_of(patient.study.reviews(), patient.id, visit, labels).standing
    return standing in {Standing.UNJUDGED, Standing.DISPUTED}


def present_recipe(
    patient: Patient, step: Step, task: Task, hashes: Hashes, *, recorded: Mapping[Task, Receipt] | None = None
) -> Recipe:
    """What a step would be made from now.

    Inputs that an earlier step made and that were removed since count by the hash in ``recorded``: what follows from
    them is as good as it was.
    """
    root, code = patient.study.paths.root, code_of(step.module)
    made = {name: sha for receipt in (recorded or {}).values() for name, sha in receipt.outputs.items()}
    inputs = dict(_named(root, step.inputs(patient, task.visit), hashes, made))
    try:
        parameters = dict(step.parameters(patient, task.visit, hashes))
    except (MrisegError, OSError) as error:
        parameters = {"unreadable": str(error)}
    before = (recorded or {}).get(task)
    if before is not None and "images" in parameters and not patient.study.paths.dicom.exists():
        parameters["images"] = before.recipe.parameters.get("images")
    parameters = json.loads(json.dumps(parameters))  # as a receipt gives it back
    return Recipe(inputs=inputs, parameters=parameters, code=code.sha256, libraries=code.versions)


def _named(
    root: Path, paths: Collection[Path], hashes: Hashes, made: Mapping[str, str]
) -> Iterator[tuple[str, str | None]]:
    """Every file of the inputs by its name from the study folder; a folder stands for what was made in it."""
    for path in paths:
        name = path.relative_to(root).as_posix()
        inside = {n for n in made if n.startswith(f"{name}/")}
        if path.is_dir() or inside:
            inside |= {p.relative_to(root).as_posix() for p in path.rglob("*") if p.is_file()}
            for found in sorted(inside):
                yield found, hashes.of(root / found) or made.get(found)
        else:
            yield name, hashes.of(path) or made.get(name)


def outputs_of(patient: Patient, step: Step, task: Task, hashes: Hashes) -> dict[str, str]:
    """SHA-256 of every output that exists, by its name from the study folder; hidden files do not count."""
    root = patient.study.paths.root
    files: list[Path] = []
    for path in step.outputs(patient, task.visit):
        files += [p for p in path.rglob("*") if not p.name.startswith(".")] if path.is_dir() else [path]
    found = {p.relative_to(root).as_posix(): hashes.of(p) for p in files if p.is_file()}
    return {name: sha for name, sha in sorted(found.items()) if sha is not None}


def _last(names: Collection[str]) -> list[str]:
    return [name.rsplit("/", 1)[-1] for name in names]


def _few(items: list[str], most: int = 3) -> str:
    rest = len(items) - most
    return ", ".join(items[:most]) + (f" and {rest} more" if rest > 0 else "")


def running(state: PatientState, tasks: Collection[Task]) -> PatientState:
    """Return the state with the given tasks at work."""
    steps = tuple(replace(s, status=Status.RUNNING, reason="") if s.task in tasks else s for s in state.steps)
    return replace(state, steps=steps)
