"""``mriseg verify``: proof that this installation is right."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    keep: Annotated[
        Path | None, typer.Option(help="Keep the simulated patient and its outputs in this folder.")
    ] = None,
) -> None:
    """Check the installation and its accuracy on built-in truth, and print every figure with its limit.

    A digital knee with known lesions, thickness and motion is written as DICOM and taken through conversion,
    registration and measuring. Takes a few minutes; exits 1 where a limit is exceeded.

    Examples:

        mriseg verify

        mriseg verify --keep verification/
    """
    from contextlib import nullcontext
    from tempfile import TemporaryDirectory

    from rich.console import Console

    from mriseg.study.provenance import versions
    from mriseg.study.verification import verify

    console = Console()
    console.print(", ".join(f"{name} {number}" for name, number in versions().items()), style="dim", soft_wrap=True)
    failed = 0
    with TemporaryDirectory() if keep is None else nullcontext(keep) as folder:
        for check in verify(Path(folder)):
            mark = "[green]ok    [/]" if check.passed else "[bold red]FAILED[/]"
            console.print(f"{mark} {check.name:<34} {check.found:>9.3g} {check.unit:<4} limit {check.limit:g}")
            failed += not check.passed
    typer.echo("All figures are within their limits." if not failed else f"{failed} figures exceed their limits.")
    if failed:
        raise typer.Exit(1)
