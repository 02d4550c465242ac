"""``mriseg step``: one step of one patient, as the workflow calls it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer


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
    if not recorded(patient, step, visit, lambda: work(patient, visit, threads)):
        raise typer.Exit(1)


def _work(step: str) -> Callable[[Any, Any, int], None]:
    if step == "page":
        from mriseg.report import write_patient_page

        return lambda patient, _visit, _threads: write_patient_page(patient)
    from mriseg.study import steps

    known = {
        "convert": lambda patient, visit, _threads: steps.convert_visit(patient, visit),
        "segment": lambda patient, visit, threads: steps.segment_visit(patient, visit, threads=threads),
        "register": lambda patient, _visit, _threads: steps.register_visits(patient),
        "measure": lambda patient, _visit, _threads: steps.measure_patient(patient),
    }
    if step not in known:
        raise typer.BadParameter(f"unknown step {step!r}; expected one of {', '.join([*known, 'page'])}.")
    return known[step]
