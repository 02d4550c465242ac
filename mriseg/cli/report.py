"""``mriseg report``: the pages again, from the files that are there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(study: Annotated[Path, typer.Argument(help="Study folder that was run.")]) -> None:
    """Write the page of every measured patient and the study page again; measures nothing.

    Example:

        mriseg report STUDY
    """
    from mriseg.report import write_patient_page, write_study_page
    from mriseg.study import group, open_study
    from mriseg.study.failures import recorded

    opened = open_study(study)
    measured = [p for p in opened.patients() if opened.paths.regions(p.id).exists()]
    done = [recorded(p, "page", None, lambda p=p: write_patient_page(p)) for p in measured]  # type: ignore[misc]
    write_study_page(opened, group.gather(opened))
    typer.echo(f"{sum(done)} of {len(measured)} patient pages, and {opened.paths.group / 'index.html'}")
    if not all(done):
        raise typer.Exit(1)
