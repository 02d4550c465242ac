"""``mriseg report``: the pages again, from the files that are there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mriseg.study import Study


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
    from mriseg.study.lock import run_lock

    with run_lock(opened.paths):
        done, count = _write_pages(opened)
    typer.echo(f"{done} of {count} patient pages, and {opened.paths.group / 'index.html'}")
    if done < count:
        raise typer.Exit(1)


def _write_pages(study: Study) -> tuple[int, int]:
    """Write all pages; return how many patients have a page of current values, and how many have such values."""
    from mriseg.report.study_pages import write_pages
    from mriseg.study import group
    from mriseg.study.overview import study_state
    from mriseg.study.state import DONE
    from mriseg.study.work import Worker

    before = study_state(study)
    for state in before.patients:
        if before.row_state(state) is None:
            Worker(patient=state.patient, redo=("page",), only=("page",)).run()
    after = study_state(study)
    write_pages(after, group.gather(study, after))
    current = [p for p in after.patients if after.row_state(p) is None]
    return sum(s.task.step == "page" and s.status in DONE for p in current for s in p.steps), len(current)
