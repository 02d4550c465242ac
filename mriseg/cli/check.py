"""``mriseg check``: inventory and deviations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mriseg.cli._names import ShowNames, say_names


def command(
    study: Annotated[Path, typer.Argument(help="Study folder.")],
    show_names: ShowNames = False,
) -> None:
    """List what a study holds and what deviates: missing visits, sides, protocol, dates, masks. Measures nothing.

    Writes derivatives/mriseg/group/inventory.tsv and exits 1 where something blocks.

    Examples:

        mriseg check STUDY

        mriseg check STUDY --show-names
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from mriseg.study import group, open_study
    from mriseg.study.findings import alike
    from mriseg.study.inventory_cache import study_inventory
    from mriseg.study.mask_files import mask_files
    from mriseg.study.mask_findings import with_masks

    opened = open_study(study)
    inventory = with_masks(opened, study_inventory(opened, anew=True))
    group.write_inventory(opened, inventory)
    colour = {"block": "red", "warn": "yellow", "note": "dim"}
    table = Table(box=None, pad_edge=False)
    for column in ("severity", "finding"):
        table.add_column(column)
    for severity, paint in colour.items():
        for line in alike(f.finding for f in inventory.findings if f.severity == severity):
            table.add_row(f"[{paint}]{severity}[/]", escape(line))
    Console().print(table)
    blocking = sum(f.severity == "block" for f in inventory.findings)
    expected = len(opened.participants) * len(opened.visit_ids)
    typer.echo(f"{len(inventory.chosen)} of {expected} visits have their series; {blocking} findings block.")
    if show_names:
        say_names(" ".join(f.finding for f in inventory.findings), opened.paths.dicom, mask_files(opened.paths))
    if blocking:
        raise typer.Exit(1)
