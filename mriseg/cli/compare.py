"""``mriseg compare``: the only command that opens the allocation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mriseg.compare.result import Comparison
    from mriseg.study.sealing import Source


def command(
    study: Annotated[Path | None, typer.Argument(help="Study folder that was run.")] = None,
    *,
    allocation: Annotated[Path, typer.Option(help="CSV with participant_id and arm, kept outside the study.")],
    table: Annotated[Path | None, typer.Option(help="Measurements as in regions.tsv, instead of a study.")] = None,
    plan: Annotated[Path | None, typer.Option(help="TOML with [analysis]; with --table.")] = None,
    participants: Annotated[Path | None, typer.Option(help="Strata and covariates; with --table.")] = None,
    failures: Annotated[Path | None, typer.Option(help="What could not be measured; with --table.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the results; with --table.")] = None,
    sdc: Annotated[Path | None, typer.Option(help="repeatability.tsv: who changed beyond it is a responder.")] = None,
) -> None:
    """Compare the arms as the analysis plan says, and write comparison.json, results.html and tidy tables.

    The estimate is treated minus reference: ANCOVA, judged by a permutation test and the interval that belongs to it,
    with the HC3 interval beside. Measurements, plan and what was sealed with `mriseg lock` are checked before the
    allocation is opened, and whatever changed since the seal is shown with the results.

    Examples:

        mriseg compare STUDY --allocation allocation.csv

        mriseg compare --table regions.tsv --plan plan.toml --allocation allocation.csv --out results

    The [table] part of the plan file names the columns of another reading system (docs/statistics.md).
    """
    from mriseg.cli._source import choose_source
    from mriseg.compare.analysis import compare_arms
    from mriseg.compare.joining import open_allocation
    from mriseg.compare.tables import read_table
    from mriseg.files import sha256
    from mriseg.study.sealing import seal_state

    source = choose_source(
        study, table=table, plan=plan, participants=participants, failures=failures, sdc=sdc, out=out
    )
    _refuse_inside(allocation)
    measured, sdc_table = source.measured(), read_table(source.sdc) if source.sdc else None
    hashes = source.hashes()
    lock = seal_state(source, hashes)
    trial = open_allocation(measured, read_table(allocation), source.plan)
    comparison = compare_arms(trial, source.plan, sdc=sdc_table)
    inputs = hashes | {allocation.name: sha256(allocation)}
    _write(source, comparison, lock, inputs)
    _say(source, comparison, lock)


def _refuse_inside(allocation: Path) -> None:
    """Keep the arms out of any study folder, where other steps could read them; a link inside one counts too."""
    from mriseg.errors import AnalysisError

    folders = [folder for path in (allocation.absolute(), allocation.resolve()) for folder in path.parents]
    study = next((folder for folder in folders if (folder / "study.toml").exists()), None)
    if study is not None:
        raise AnalysisError(
            f"{allocation} lies inside the study folder {study}; keep it elsewhere, so that nothing but "
            "`mriseg compare --allocation` can know an arm."
        )


def _write(source: Source, comparison: Comparison, lock: dict[str, object], inputs: dict[str, str]) -> None:
    from mriseg.compare import tidy
    from mriseg.compare.export import comparison_json
    from mriseg.files import write_json, write_text
    from mriseg.report.results import results_page
    from mriseg.report.results_figures import flow_diagram
    from mriseg.study.provenance import versions

    name = source.root.name if source.root else source.table.name
    write_json(source.out / "comparison.json", comparison_json(comparison, lock, inputs, versions()))
    write_text(source.out / "results.html", results_page(comparison, lock, inputs, title=name))
    plan = comparison.plan
    write_text(source.out / "comparison_flow.svg", str(flow_diagram(comparison.flow, plan.baseline, plan.followup)))
    tables = {
        "comparison_endpoints": tidy.endpoints_table(comparison),
        "comparison_values": tidy.values_table(comparison),
        "comparison_dictionary": tidy.dictionary_table(),
    }
    for stem, table in tables.items():
        write_text(source.out / f"{stem}.tsv", table.to_csv(sep="\t", index=False))


def _say(source: Source, comparison: Comparison, lock: dict[str, object]) -> None:
    """Print the primary result on one line, and everything that changed after the seal."""
    from mriseg.report.results_text import ends, p_text, percent

    result, judged = comparison.primary.comparison, comparison.primary.judgement
    assert judged is not None
    reference, treated = result.arms
    level = percent(1 - comparison.plan.alpha)
    typer.echo(
        f"{result.region} {result.metric}, {treated} minus {reference}: {result.estimate:.4g} {result.unit} "
        f"({level}% interval {ends(judged.interval)}, p {p_text(judged.p)}, {judged.method}; "
        f"HC3 interval {result.ci_low:.4g} to {result.ci_high:.4g}, p {p_text(result.p_ancova)}), "
        f"n {result.n[0]} and {result.n[1]}; detectable difference {result.detectable_effect:.4g} {result.unit}"
    )
    refused = comparison.sensitivity["responders"]
    if source.sdc and isinstance(refused, dict) and "refused" in refused:
        typer.secho(f"responders are not compared: {refused['refused']}", fg="yellow", err=True)
    for change in lock["changes"]:  # type: ignore[attr-defined]
        typer.secho(f"changed after the seal: {change}", fg="yellow", err=True)
    typer.echo(f"Results: {source.out}")
