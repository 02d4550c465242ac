"""``mriseg report``: the pages again, from the files that are there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    study: Annotated[Path, typer.Argument(help="Study folder that was run.")],
    masked: Annotated[Path | None, typer.Option(help="Folder for outputs with the visit order masked.")] = None,
    key: Annotated[
        Path | None, typer.Option(help="CSV that says which scan is which visit, outside that folder; with --masked.")
    ] = None,
) -> None:
    """Write the page of every measured patient and the study page again; measures nothing.

    With --masked nothing in the study changes: tables, pages, images and label maps in which the visits of each patient
    are called A and B in random order go to another folder, for a reader who must not know which came first. The key is
    drawn once; a key that is there is kept.

    Examples:

        mriseg report STUDY

        mriseg report STUDY --masked FOR_THE_READER --key key.csv
    """
    from mriseg.study import open_study

    if (masked is None) != (key is None):
        raise typer.BadParameter("--masked and --key belong together.")
    opened = open_study(study)
    if masked is not None and key is not None:
        from mriseg.report.masked import write_masked

        typer.echo(f"{write_masked(opened, masked, key)} patient(s) with the visit order masked: {masked}; key: {key}")
        return
    from mriseg.report import write_patient_page, write_study_page
    from mriseg.study import group
    from mriseg.study.failures import recorded

    measured = [p for p in opened.patients() if opened.paths.regions(p.id).exists()]
    done = [recorded(p, "page", None, lambda p=p: write_patient_page(p)) for p in measured]  # type: ignore[misc]
    write_study_page(opened, group.gather(opened))
    typer.echo(f"{sum(done)} of {len(measured)} patient pages, and {opened.paths.group / 'index.html'}")
    if not all(done):
        raise typer.Exit(1)
