"""``mriseg run``: inventory, plan, workers, then the tables of the group."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from mriseg.files import remove_partials, write_json
from mriseg.study import group
from mriseg.study.cluster import ClusterRun
from mriseg.study.crew import Crew, Job
from mriseg.study.inventory_cache import study_inventory
from mriseg.study.mask_findings import with_masks
from mriseg.study.model import Patient, Study
from mriseg.study.overview import StudyState, chosen_patients, study_state
from mriseg.study.run_log import RunLog
from mriseg.study.state import PatientState, Status, StepState
from mriseg.study.step_table import STEP_NAMES, STEPS, tasks_of


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How a run works: patients at once, executor, chosen patients, the first step to redo."""

    jobs: int = 2
    profile: str = "local"
    only: tuple[str, ...] = ()
    redo: str | None = None

    @property
    def redone(self) -> tuple[str, ...]:
        """Steps that are done again: the named one and all that follow it."""
        return STEP_NAMES[STEP_NAMES.index(self.redo) :] if self.redo else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run would do: every step of the chosen patients that is not done, with the reason."""

    state: StudyState
    steps: Mapping[str, tuple[StepState, ...]]
    redo: tuple[str, ...]

    @property
    def total(self) -> int:
        """Number of steps."""
        return sum(len(steps) for steps in self.steps.values())

    def jobs(self, at_once: int) -> list[Job]:
        """One job a patient; threads times jobs never exceed the cores."""
        threads = max(1, cores() // at_once)
        patients = [self.state[name].patient for name in self.steps]
        return [Job(patient=patient, redo=self.redo, threads=threads) for patient in patients]


def cores() -> int:
    """Cores that this process may use."""
    with suppress(AttributeError):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def make_plan(state: StudyState, options: RunOptions) -> Plan:
    """Choose what is to be done."""
    chosen = chosen_patients(state.study, options.only)
    steps = {p.patient.id: _to_do(p, options.redone) for p in state.patients if p.patient.id in chosen}
    return Plan(state=state, steps={name: found for name, found in steps.items() if found}, redo=options.redone)


def _to_do(state: PatientState, redo: tuple[str, ...]) -> tuple[StepState, ...]:
    open_steps = {step.task: step for step in state.to_do}
    asked = {
        task: StepState(task=task, status=Status.STALE, reason="asked for by --redo")
        for step, task in tasks_of(state.patient, STEPS)
        if step.name in redo
    }
    merged = asked | open_steps
    return tuple(merged[task] for _, task in tasks_of(state.patient, STEPS) if task in merged)


Tell = Callable[[Patient, Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a study that is locked already; ``inherit`` is the descriptor of the lock."""

    study: Study
    options: RunOptions
    inherit: tuple[int, ...] = ()

    def plan(self) -> Plan:
        """Look at the images and judge every step."""
        paths = self.study.paths
        for folder in (paths.derivatives, paths.group):
            remove_partials(folder, below=False)
        inventory = study_inventory(self.study)
        group.write_inventory(self.study, with_masks(self.study, inventory))
        return make_plan(study_state(self.study, inventory), self.options)

    def work(self, plan: Plan, tell: Tell, tick: Callable[[], None]) -> None:
        """Do what the plan says. Values that are out of date leave the tables of the group before anything else."""
        group.gather(self.study, plan.state)
        log = RunLog(self.study.paths.log)
        log.write("run", steps=plan.total, patients=len(plan.steps), redo=list(plan.redo))
        local = self.options.profile == "local"
        at_once = min(self.options.jobs, cores())

        def heard(patient: Patient, event: Mapping[str, Any]) -> None:
            log.write(event["kind"], patient=patient.id, **{k: v for k, v in event.items() if k != "kind" and v})
            _mark(patient, event)
            tell(patient, event)

        if local:
            Crew(at_once=at_once, tell=heard, inherit=self.inherit, tick=tick).run(plan.jobs(at_once))
        else:
            ClusterRun(profile=self.options.profile, tell=heard, tick=tick).run(plan.jobs(1))

    def finish(self, plan: Plan) -> tuple[StudyState, tuple[group.PatientOutcome, ...]]:
        """Judge again where something was done, take back what is not current, and write the tables of the group."""
        state = study_state(self.study, study_inventory(self.study)) if plan.steps else plan.state
        for patient in state.patients:
            blank = state.row_state(patient)
            with suppress(OSError):
                if blank is not None:
                    group.withdraw(patient.patient, blank)
        outcomes = group.gather(self.study, state)
        RunLog(self.study.paths.log).write("end", summary=group.counts(outcomes))
        return state, outcomes


def _mark(patient: Patient, event: Mapping[str, Any]) -> None:
    """Write down beside the outputs which step is at work, for ``mriseg status``."""
    path = patient.study.paths.running(patient.id)
    with suppress(OSError):
        if event["kind"] == "start":
            write_json(path, {"step": event["step"], "visit": event["visit"]})
        elif event["kind"] == "end":
            path.unlink(missing_ok=True)
