"""``mriseg run``: all blind steps of a study."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from mriseg.study import Study
    from mriseg.study.group import PatientOutcome
    from mriseg.study.runner import Plan, Run, RunOptions


def command(
    study: Annotated[Path, typer.Argument(help="Study folder with study.toml, participants.tsv and dicom/.")],
    *,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Patients at once; never more than cores.")] = 2,
    profile: Annotated[str, typer.Option(help="local, slurm, or a folder with a Snakemake profile.")] = "local",
    only: Annotated[list[str] | None, typer.Option(help="Work on this participant only; may be repeated.")] = None,
    redo: Annotated[
        str | None, typer.Option(help="Redo this step and what follows: convert, segment, register, measure or page.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and why; do nothing.")] = False,
) -> None:
    """Convert, segment, register, measure and write the pages of every patient, blind to the arm.

    What is up to date is not redone, a killed run goes on where it stopped, and one failing patient does not stop the
    others. Exits 1 where a patient failed; the reasons are printed and stand in derivatives/mriseg/group/failures.tsv.

    Examples:

        mriseg run STUDY

        mriseg run STUDY --dry-run

        mriseg run STUDY --jobs 4 --only sub-03 --redo measure
    """
    from mriseg.cli._signals import stoppable
    from mriseg.study import open_study
    from mriseg.study.runner import RunOptions
    from mriseg.study.step_table import STEP_NAMES

    if redo is not None and redo not in STEP_NAMES:
        raise typer.BadParameter(f"--redo {redo}: expected one of {', '.join(STEP_NAMES)}.")
    opened = open_study(study)
    options = RunOptions(jobs=jobs, profile=profile, only=tuple(only or ()), redo=redo)
    if dry_run:
        _say_plan(opened, options)
        return
    with stoppable():
        outcomes = _run(opened, options)
    failed = print_outcomes(outcomes)
    typer.echo(f"Pages and tables: {opened.paths.group / 'index.html'}")
    if failed:
        raise typer.Exit(1)


def _say_plan(study: Study, options: RunOptions) -> None:
    """Print every step that a run would do, with the reason."""
    from mriseg.study.overview import study_state
    from mriseg.study.runner import make_plan

    plan = make_plan(study_state(study), options)
    for name, steps in plan.steps.items():
        for step in steps:
            typer.echo(f"{name} {step.task}: {step.status}, {step.reason}")
    typer.echo(_summary(plan))


def _summary(plan: Plan) -> str:
    if not plan.steps:
        return "Up to date: nothing to do."
    return f"{plan.total} steps of {len(plan.steps)} patients to do."


def _run(study: Study, options: RunOptions) -> tuple[PatientOutcome, ...]:
    from rich.console import Console
    from rich.markup import escape

    from mriseg.report.study_pages import write_pages
    from mriseg.study.lock import run_lock
    from mriseg.study.mask_findings import mask_findings
    from mriseg.study.runner import Run

    console = Console(stderr=True, soft_wrap=True)
    with run_lock(study.paths, lost=_stop_at_once) as handle:
        run = Run(study=study, options=options, inherit=(handle,))
        with console.status("Looking at images and outputs ..."):
            plan = run.plan()
        for finding in mask_findings(study):
            if finding.severity == "warn":
                console.print(f"[yellow]{escape(finding.finding)}[/]")
        console.print(_summary(plan))
        if plan.steps:
            _with_progress(run, plan, console)
        state, outcomes = run.finish(plan)
        write_pages(state, outcomes)
    return outcomes


def _with_progress(run: Run, plan: Plan, console: Console) -> None:
    from mriseg.cli._progress import RunProgress

    with RunProgress(console, plan.total) as progress:
        run.work(plan, progress.tell, progress.tick)


def _stop_at_once() -> None:
    """End this process, and with it its workers: another run has taken the study over."""
    os.write(2, b"Another run has taken this study over, since this one gave no sign of life. Stopped.\n")
    os._exit(1)


def print_outcomes(outcomes: tuple[PatientOutcome, ...]) -> int:
    """Print a table of all patients with the reasons of those that are not done; return how many failed."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from mriseg.study.group import counts

    colour = {"done": "green", "failed": "red"}
    table = Table(box=None, pad_edge=False)
    for column in ("patient", "state", "why"):
        table.add_column(column)
    for result in outcomes:
        state = f"[{colour.get(result.state, 'yellow')}]{result.state}[/]"
        table.add_row(result.participant_id, state, escape("\n".join(result.reasons)))
    Console(soft_wrap=False).print(table)
    typer.echo(counts(outcomes))
    return sum(o.state == "failed" for o in outcomes)
