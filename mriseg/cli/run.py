"""``mriseg run``: all blind steps of a study."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from mriseg.study import Study
    from mriseg.study.group import PatientOutcome
    from mriseg.study.workflow import RunOptions


def command(
    study: Annotated[Path, typer.Argument(help="Study folder with study.toml, participants.tsv and dicom/.")],
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Processes at once.")] = 2,
    profile: Annotated[str, typer.Option(help="local, slurm, or a folder with a Snakemake profile.")] = "local",
    only: Annotated[list[str] | None, typer.Option(help="Work on this participant only; may be repeated.")] = None,
    redo: Annotated[
        str | None, typer.Option(help="Redo this step and what follows: convert, segment, register, measure or page.")
    ] = None,
) -> None:
    """Convert, segment, register, measure and write the pages of every patient, blind to the arm.

    What is up to date is not redone, a killed run goes on where it stopped, and one failing patient does not stop the
    others. Exits 1 where a patient failed; the reasons are printed and stand in derivatives/mriseg/group/failures.tsv.

    Examples:

        mriseg run STUDY

        mriseg run STUDY --jobs 4 --only sub-03 --redo measure
    """
    from mriseg.study import open_study
    from mriseg.study.workflow import STEPS, RunOptions

    if redo is not None and redo not in STEPS:
        raise typer.BadParameter(f"--redo {redo}: expected one of {', '.join(STEPS)}.")
    opened = open_study(study)
    options = RunOptions(jobs=jobs, profile=profile, only=tuple(only or ()), redo=redo)
    outcomes = _run(opened, options)
    failed = print_outcomes(outcomes)
    typer.echo(f"Pages and tables: {opened.paths.group / 'index.html'}")
    if failed:
        raise typer.Exit(1)


def _run(study: Study, options: RunOptions) -> tuple[PatientOutcome, ...]:
    from rich.console import Console
    from rich.markup import escape

    from mriseg.report import write_study_page
    from mriseg.study import group, workflow
    from mriseg.study.corrections import keep_corrections
    from mriseg.study.inventory_cache import study_inventory
    from mriseg.study.mask_files import mask_findings, with_masks

    console = Console(stderr=True)
    with workflow.one_run_at_a_time(study):
        for kept in keep_corrections(study):
            console.print(f"{kept.name}: a reader's correction is kept and used.")
        with console.status("Reading the headers under dicom/ ..."):
            inventory = study_inventory(study)
        group.write_inventory(study, with_masks(study, inventory))
        for finding in mask_findings(study):
            if finding.severity == "warn":
                console.print(f"[yellow]{escape(finding.finding)}[/]")
        visits = workflow.plan_visits(study, inventory, options.only)
        workflow.write_plan(study, inventory, visits, options.jobs)
        code = _with_progress(study, options, console) if visits else 0
        outcomes = group.gather(study)
        write_study_page(study, outcomes)
    if code and not any(o.state == "failed" for o in outcomes):
        console.print(f"[red]The workflow itself stopped (code {code}); its log is {study.paths.log}[/]")
        raise typer.Exit(1)
    return outcomes


def _with_progress(study: Study, options: RunOptions, console: Console) -> int:
    """Run the workflow under one progress line a stage."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from mriseg.study import workflow
    from mriseg.study.progress import read_progress

    name, note = TextColumn("{task.description:<10}"), TextColumn("{task.fields[note]}")
    with Progress(name, BarColumn(), MofNCompleteColumn(), note, TimeElapsedColumn(), console=console) as progress:
        tasks = {step: progress.add_task(step, total=None, note="") for step in workflow.STEPS}

        def tick() -> None:
            log = study.paths.log.read_text(encoding="utf-8", errors="replace")
            planned = "Job stats" in log or "Nothing to be done" in log
            for step, state in read_progress(log).items():
                note = f"[red]{state.failed} failed[/]" if state.failed else ""
                note = "up to date" if planned and not state.planned else note
                progress.update(tasks[step], total=state.planned or None, completed=state.done, note=note)

        return workflow.run_snakemake(study, options, tick)


def print_outcomes(outcomes: tuple[PatientOutcome, ...]) -> int:
    """Print a table of all patients with the reasons of those that failed; return how many are not done."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    colour = {"done": "green", "failed": "red", "open": "yellow"}
    table = Table(box=None, pad_edge=False)
    for column in ("patient", "state", "why"):
        table.add_column(column)
    for result in outcomes:
        state = f"[{colour[result.state]}]{result.state}[/]"
        table.add_row(result.participant_id, state, escape("\n".join(result.reasons)))
    Console(soft_wrap=False).print(table)
    done = sum(o.state == "done" for o in outcomes)
    failed = sum(o.state == "failed" for o in outcomes)
    typer.echo(f"{done} of {len(outcomes)} patients done, {failed} failed.")
    return failed
