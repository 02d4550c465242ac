"""``mriseg simulate``: a DICOM trial with known truth."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class SequenceChoice(StrEnum):
    """Sequences that can be simulated, by their name on the command line."""

    DESS = "dess"
    SPGR = "spgr"
    TSE_FS = "tse-fs"


def command(
    out: Annotated[Path, typer.Argument(help="Study folder to make; must not exist or be empty.")],
    *,
    labels: Annotated[
        Path | None, typer.Option(help="Folder of label maps sub-X_ses-Y_side-R_dseg.nii.gz to take knees from.")
    ] = None,
    participants: Annotated[
        int, typer.Option(min=1, help="Number of participants; with --labels at most this many.")
    ] = 6,
    sequence: Annotated[SequenceChoice, typer.Option(help="MR sequence.")] = SequenceChoice.DESS,
    spacing: Annotated[
        str, typer.Option(help="Voxel size 'SLICE ROW COLUMN' in mm, or 'native' for that of the sequence.")
    ] = "native",
    crop: Annotated[bool, typer.Option("--crop", help="Cut the field of view to the joint.")] = False,
    compress: Annotated[bool, typer.Option("--compress", help="Store pixels as lossless JPEG 2000.")] = False,
    plant: Annotated[
        bool,
        typer.Option(
            "--plant", help="With --labels: take the first map of each knee, plant defects, simulate visit two."
        ),
    ] = False,
    arms: Annotated[str, typer.Option(help="Names of the arms, reference first.")] = "placebo,msc",
    growth: Annotated[str, typer.Option(help="Mean growth of full-thickness area by arm, mm2.")] = "60,0",
    growth_sd: Annotated[str, typer.Option(help="SD of that growth by arm, mm2.")] = "20,4",
    truth: Annotated[
        Path | None, typer.Option(help="Folder for the truth; OUT-truth beside the study by default.")
    ] = None,
    allocation: Annotated[
        Path | None, typer.Option(help="File for the allocation; allocation.csv among the truth by default.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything that is drawn.")] = 1,
) -> None:
    """Make a DICOM trial with known truth.

    OUT becomes a study folder that `mriseg run OUT` can process: study.toml, participants.tsv, dicom/, masks/. Beside
    it OUT-truth/ holds truth.tsv, motions.json, labels/ and allocation.csv, never inside.

    Examples:

        mriseg simulate trial
        mriseg simulate trial --participants 12 --spacing "1 0.6 0.6" --crop --compress
        mriseg simulate real --labels labels/ --participants 18
    """
    from rich.progress import Progress

    from mriseg.errors import StudyError
    from mriseg.simulate.run import make_trial, read_plan

    truth = truth or out.with_name(out.name + "-truth")
    for folder in (out, truth):
        if folder.exists() and any(folder.iterdir()):
            raise StudyError(f"{folder} exists and is not empty: give a new folder, nothing is overwritten.")
    allocation = allocation or truth / "allocation.csv"
    for path, option in ((truth, "--truth"), (allocation, "--allocation")):
        if path.resolve().is_relative_to(out.resolve()):
            raise typer.BadParameter("truth and allocation must not lie inside the study folder", param_hint=option)
    if labels is not None and not labels.is_dir():
        raise typer.BadParameter(f"{labels} is no folder", param_hint="--labels")
    plan = read_plan(
        trial=out.name,
        sequence=sequence.value,
        spacing=spacing,
        crop=crop,
        compress=compress,
        plant=plant,
        arms=arms,
        growth=growth,
        growth_sd=growth_sd,
        seed=seed,
    )
    with Progress(transient=True) as progress:
        task = progress.add_task("simulate", total=None)
        for done, total, name in make_trial(
            out, plan, truth=truth, allocation=allocation, labels=labels, count=participants
        ):
            progress.update(task, completed=done, total=total, description=name)
    typer.echo(f"study: {out}\ntruth: {truth}\nallocation: {allocation}")
