"""``mriseg status``: what is done, failed and open."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(study: Annotated[Path, typer.Argument(help="Study folder.")]) -> None:
    """Say what is done, failed and open in a study, with the reasons; exits 1 where a patient failed. Changes nothing.

    Example:

        mriseg status STUDY
    """
    from mriseg.cli.run import print_outcomes
    from mriseg.study import open_study
    from mriseg.study.group import outcome

    if print_outcomes(tuple(outcome(p) for p in open_study(study).patients())):
        raise typer.Exit(1)
