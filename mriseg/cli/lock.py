"""``mriseg lock``: seal plan and measurements before the allocation is opened."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mriseg.study.sealing import Source


def command(
    study: Annotated[Path | None, typer.Argument(help="Study folder that was run.")] = None,
    *,
    table: Annotated[Path | None, typer.Option(help="Measurements as in regions.tsv, instead of a study.")] = None,
    plan: Annotated[Path | None, typer.Option(help="TOML with [analysis]; with --table.")] = None,
    participants: Annotated[Path | None, typer.Option(help="Strata and covariates; with --table.")] = None,
    failures: Annotated[Path | None, typer.Option(help="What could not be measured; with --table.")] = None,
    sdc: Annotated[Path | None, typer.Option(help="repeatability.tsv that will say who is a responder.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder that will hold the results; with --table.")] = None,
    again: Annotated[
        str, typer.Option(help="Replace an earlier seal, for this reason; the earlier one stays listed.")
    ] = "",
    verify: Annotated[
        bool, typer.Option("--verify", help="Change nothing; exit 1 where something was altered.")
    ] = False,
) -> None:
    """Seal the analysis plan and every measurement in lock.json, so that a later change shows.

    Nothing here knows an arm. What no allocation could make comparable is said now. `mriseg compare` checks the
    seal before it opens the allocation and prints every change.

    Examples:

        mriseg lock STUDY

        mriseg lock STUDY --verify

        mriseg lock STUDY --again "sub-07 was corrected by the reader before unblinding"
    """
    from mriseg.cli._source import choose_source
    from mriseg.study.sealing import check_seal, set_seal

    source = choose_source(
        study,
        table=table,
        plan=plan,
        participants=participants,
        failures=failures,
        sdc=sdc,
        out=out,
        current=not verify,
    )
    if verify:
        changes = check_seal(source)
        for change in changes:
            typer.secho(change, fg="red")
        typer.echo(f"{source.lock}: {len(changes)} change(s) after the seal." if changes else f"{source.lock}: intact.")
        raise typer.Exit(1 if changes else 0)
    lock = set_seal(source, reason=again)
    for sentence in _warnings(source):
        typer.secho(sentence, fg="yellow", err=True)
    typer.echo(
        f"{source.lock}: plan and {len(lock['files'])} file(s) sealed at {lock['sealed']}, seal {lock['seal'][:16]}"
    )


def _warnings(source: Source) -> list[str]:
    """Say what a comparison would leave out, or why it could not be made at all."""
    from mriseg.errors import AnalysisError

    found = []
    try:
        waiting = _waiting(source)
        if waiting:
            names = ", ".join(waiting[:5]) + (", ..." if len(waiting) > 5 else "")
            found = [
                f"{len(waiting)} visit(s) wait for a review and do not count ({names}). `mriseg review` judges them."
            ]
        source.measured()
    except AnalysisError as error:
        found.append(f"cannot be compared as it stands: {error}")
    return found


def _waiting(source: Source) -> list[str]:
    """Visits whose values wait for a reader in the table that is sealed."""
    table = source.measurements()
    if "state" not in table or source.plan.include_needs_review:
        return []
    rows = table[table["state"] == "needs-review"]
    return sorted({f"{p} {v}" for p, v in zip(rows["participant_id"], rows["visit"], strict=True)})
