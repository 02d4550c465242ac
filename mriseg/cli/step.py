"""``mriseg step``: one step of one patient, as the workflow calls it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mriseg.study import Patient


def command(
    study: Annotated[Path, typer.Argument(help="Study folder.")],
    step: Annotated[str, typer.Argument(help="convert, segment, register, measure or page.")],
    participant: Annotated[str, typer.Argument(help="Participant id.")],
    visit: Annotated[str | None, typer.Argument(help="Visit id, for convert and segment.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads that this step may use.")] = 1,
) -> None:
    """Run one step of one patient; a failure is recorded in the patient's folder and the exit code is 1."""
    from mriseg.study import open_study
    from mriseg.study.failures import recorded

    patient = open_study(study).patient(participant)
    work = _work(step)
    if visit is None and step in {"convert", "segment"}:
        raise typer.BadParameter(f"{step} needs a visit id.")
    if not recorded(patient, step, visit, lambda: work(patient, visit or "", threads)):
        raise typer.Exit(1)


def _work(step: str) -> Callable[[Patient, str, int], None]:
    """Import and return the work of one step; every process loads its own step only."""
    if step == "convert":
        from mriseg.study.steps.convert import convert_visit

        return lambda patient, visit, _: convert_visit(patient, visit)
    if step == "segment":
        from mriseg.study.steps.segment import segment_visit

        return lambda patient, visit, threads: segment_visit(patient, visit, threads=threads)
    if step == "register":
        from mriseg.study.steps.register import register_visits

        return lambda patient, _, __: register_visits(patient)
    if step == "measure":
        from mriseg.study.steps.measure import measure_patient

        return lambda patient, _, __: measure_patient(patient)
    if step == "page":
        from mriseg.report import write_patient_page

        return lambda patient, _, __: write_patient_page(patient)
    raise typer.BadParameter(f"unknown step {step!r}; expected convert, segment, register, measure or page.")
