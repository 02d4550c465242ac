"""``mriseg status``: what is done, running, failed, stale and open."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    study: Annotated[Path, typer.Argument(help="Study folder.")],
    steps: Annotated[bool, typer.Option("--steps", help="Show every step of every patient and visit.")] = False,
) -> None:
    """Say what is done, running, failed, stale and open in a study, with the reasons. Changes nothing.

    Done means that every output is there as it was made, from the inputs, parameters and code of now. Exits 1 where a
    patient failed.

    Examples:

        mriseg status STUDY

        mriseg status STUDY --steps
    """
    from mriseg.cli.run import print_outcomes
    from mriseg.study import open_study
    from mriseg.study.group import outcome
    from mriseg.study.overview import study_state

    state = study_state(open_study(study))
    if steps:
        for patient in state.patients:
            for step in patient.steps:
                typer.echo("\t".join((patient.patient.id, str(step.task), step.status.value, step.reason)))
    if print_outcomes(tuple(outcome(p) for p in state.patients)):
        raise typer.Exit(1)
