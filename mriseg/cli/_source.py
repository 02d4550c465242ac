"""The options that say what is compared; shared by ``lock`` and ``compare``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from mriseg.study.sealing import Source


def choose_source(
    study: Path | None,
    *,
    table: Path | None,
    plan: Path | None,
    participants: Path | None,
    failures: Path | None,
    sdc: Path | None,
    out: Path | None,
    current: bool = True,
) -> Source:
    """Take the study folder or the plain table, whichever the command line gives; both or neither is wrong use."""
    from mriseg.study.sealing import from_study, from_table

    if study is not None:
        if any(option is not None for option in (table, plan, participants, failures, out)):
            raise typer.BadParameter("A study folder brings its own table, plan and place for results.")
        source = from_study(study, sdc, current=current)
        for remark in source.remarks:
            typer.secho(remark, fg="yellow", err=True)
        return source
    if table is None or plan is None or out is None:
        raise typer.BadParameter("Give a study folder, or --table, --plan and --out together.")
    return from_table(table, plan, participants=participants, failures=failures, sdc=sdc, out=out)
