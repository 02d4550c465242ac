"""Whether the values of a study are current: what `mriseg lock` and `mriseg compare` may rest on."""

from __future__ import annotations

from mriseg.errors import AnalysisError
from mriseg.study import lock
from mriseg.study.group import changed_tables
from mriseg.study.model import Study
from mriseg.study.overview import study_state
from mriseg.study.state import Status


def refuse_stale(study: Study) -> tuple[str, ...]:
    """Refuse a study whose values are not current, and return what is worth a word about those that are.

    Raises
    ------
    AnalysisError
        Where a run is at work, values are stale or missing, or a table of the group was changed by hand.
    """
    if lock.at_work(study.paths):
        raise AnalysisError(f"{study.paths.root.name}: a run is at work on this study. Wait for it to end.")
    if not (study.paths.group / "regions.tsv").exists():
        raise AnalysisError(f"{study.paths.group / 'regions.tsv'} does not exist yet. Run `mriseg run` first.")
    state = study_state(study)
    if not state.judged:
        return ("No record says how these values were made; nothing was checked.",)
    if stale := state.not_current():
        raise AnalysisError(
            f"Values are not current: {'; '.join(stale)}. Run `mriseg run {study.paths.root.name}` first."
        )
    if changed := changed_tables(state):
        raise AnalysisError(
            f"{', '.join(changed)} in {study.paths.group.name}/ is not what the patients' files say: it was changed by "
            "hand or not gathered yet. Run `mriseg run` to have it written again."
        )
    steps = ((patient.patient.id, step) for patient in state.patients for step in patient.steps)
    return tuple(f"{who} {step.task}: absent, {step.reason}" for who, step in steps if step.status is Status.ABSENT)
