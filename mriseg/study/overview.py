"""The state of every patient: what ``run`` plans, and what ``status``, pages, ``lock`` and ``compare`` read."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mriseg.errors import StudyError
from mriseg.files import read_json
from mriseg.study import lock
from mriseg.study.model import Patient, Study
from mriseg.study.receipts import Task
from mriseg.study.state import CURRENT, PatientState, Status, patient_state, running
from mriseg.types import RowState

if TYPE_CHECKING:
    from mriseg.study.inventory import Inventory


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyState:
    """State of all patients, in the order of the manifest."""

    study: Study
    patients: tuple[PatientState, ...]

    def __getitem__(self, participant_id: str) -> PatientState:
        """State of one patient."""
        return next(p for p in self.patients if p.patient.id == participant_id)

    @property
    def judged(self) -> bool:
        """Whether there is anything to judge by: images, or a receipt of any patient."""
        paths = self.study.paths
        return paths.dicom.exists() or any(paths.receipts(p.patient.id).exists() for p in self.patients)

    def row_state(self, state: PatientState) -> RowState | None:
        """State that the rows of a patient have in place of a value; None where the values are current.

        Tables that came from elsewhere, with nothing that says how they were made, are taken as they are.
        """
        values = state.values()
        if values in CURRENT or not self.judged:
            return None
        return RowState.FAILED if values is Status.FAILED else RowState.STALE

    def not_current(self) -> tuple[str, ...]:
        """Name every patient whose values are out of date or not made yet, with the first reason; failures are told."""
        return tuple(
            f"{state.patient.id}: {_why(state)}"
            for state in self.patients
            if state.values() in {Status.STALE, Status.WAITING, Status.RUNNING}
        )


def study_state(study: Study, inventory: Inventory | None = None) -> StudyState:
    """Judge every step of every patient; without ``inventory`` the last one counts, or a look, and nothing is kept."""
    from mriseg.study.inventory_cache import study_inventory  # pydicom only where images are looked at

    if inventory is None and study.paths.dicom.exists():
        inventory = study_inventory(study, keep=False)
    found = tuple(patient_state(patient) for patient in planned_patients(study, inventory))
    if lock.at_work(study.paths):
        found = tuple(running(state, at_work_on(state.patient)) for state in found)
    return StudyState(study=study, patients=found)


def planned_patients(study: Study, inventory: Inventory | None) -> tuple[Patient, ...]:
    """Return all patients with the visits that are blocked, and why; without an inventory only the manifest blocks."""
    return tuple(
        Patient(study=study, participant=p.participant, blocked=dict(_blocked(p, inventory))) for p in study.patients()
    )


def _blocked(patient: Patient, inventory: Inventory | None) -> Iterable[tuple[str, str]]:
    for visit in patient.study.visit_ids:
        problems = [patient.participant.problem] if patient.participant.problem else []
        problems += inventory.blocks(patient.id, visit) if inventory else ()
        if problems:
            yield visit, " ".join(problems)


def chosen_patients(study: Study, only: tuple[str, ...]) -> tuple[str, ...]:
    """Participants that ``--only`` names, or all of them; an unknown one is an error."""
    known = [p.id for p in study.patients()]
    unknown = [name for name in only if name not in known]
    if unknown:
        raise StudyError(f"--only names {unknown}, which participants.tsv does not list.")
    return only or tuple(known)


def at_work_on(patient: Patient) -> tuple[Task, ...]:
    """Step that a run is at, as it wrote it down beside the patient's outputs."""
    with suppress(OSError, ValueError, KeyError):
        said = read_json(patient.study.paths.running(patient.id))
        return (Task(step=said["step"], visit=said["visit"]),)
    return ()


def _why(state: PatientState) -> str:
    step = next(s for s in state.steps if s.status not in {Status.DONE, Status.NEEDS_REVIEW})
    return f"{step.task} {step.status} ({step.reason})"
