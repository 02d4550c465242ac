"""The pages that follow a run: those of patients without current values, and that of the study."""

from __future__ import annotations

from mriseg.report.patient import write_absent_page
from mriseg.report.study_page import write_study_page
from mriseg.study.group import PatientOutcome
from mriseg.study.overview import StudyState


def write_pages(state: StudyState, outcomes: tuple[PatientOutcome, ...]) -> None:
    """Write the study page, and in the place of every page that shows values of the past one that says why not."""
    for patient in state.patients:
        if state.row_state(patient) is not None:
            write_absent_page(patient)
    write_study_page(state.study, outcomes)
