"""``mriseg new``: draft a study folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mriseg.cli._names import ShowNames, say_names


def command(
    dicom: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Folder of DICOM files, in any tree.")],
    study: Annotated[Path, typer.Argument(help="Study folder to make.")],
    show_names: ShowNames = False,
) -> None:
    """Draft study.toml, participants.tsv and visits.tsv from a folder of DICOM files; guesses nothing silently.

    The DICOM folder is linked, never copied or changed. What a person has to settle is listed. Names of files and
    folders that could identify a patient are given as marks, also in visits.tsv.

    Example:

        mriseg new /data/incoming STUDY
    """
    from rich.console import Console

    from mriseg.study.draft import draft_study

    console = Console(stderr=True)
    with console.status("Reading the headers ..."):
        remarks = draft_study(dicom, study)
    for remark in remarks:
        typer.echo(f"- {remark}")
    if show_names:
        say_names(" ".join([*remarks, (study / "visits.tsv").read_text(encoding="utf-8")]), dicom)
    typer.echo(f"Drafted {study / 'study.toml'}; {len(remarks)} remarks. Next: read it, then `mriseg check {study}`.")
