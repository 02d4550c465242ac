"""The option ``--show-names``: what the marks in messages stand for, on the terminal alone."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

ShowNames = Annotated[
    bool, typer.Option("--show-names", help="Say which names the marks #... stand for; they may identify patients.")
]


def say_names(text: str, dicom: Path, others: Iterable[Path] = ()) -> None:
    """Print the true names of files and folders below ``dicom``, or of ``others``, that are marks in ``text``."""
    from mriseg.dicom import find_files, names_behind

    for mark, name in names_behind(text, [*find_files(dicom)[0], *others]).items():
        typer.echo(f"{mark} is {name}")
