"""``mriseg register``: two visits of one knee to one rigid transform a bone."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mriseg.types import Side

if TYPE_CHECKING:
    from mriseg.types import LabelMap

log = logging.getLogger(__name__)


def command(
    baseline: Annotated[Path, typer.Argument(help="Image of the first visit (NIfTI).", dir_okay=False)],
    followup: Annotated[Path, typer.Argument(help="Image of the later visit (NIfTI).", dir_okay=False)],
    out: Annotated[Path, typer.Argument(help="Where to write the transforms (JSON).", dir_okay=False)],
    *,
    side: Annotated[Side, typer.Option(help="Which knee both images show.")],
    baseline_labels: Annotated[Path | None, typer.Option(help="Label map of the first visit.", dir_okay=False)] = None,
    followup_labels: Annotated[Path | None, typer.Option(help="Label map of the later visit.", dir_okay=False)] = None,
) -> None:
    """Register two visits of one knee: one rigid transform per bone, baseline to follow-up, RAS mm.

    Bones are aligned by their surfaces and by the intensities of bone and cortical edge; cartilage and joint space are
    left out, so that cartilage loss cannot pull the alignment. Both visits are treated alike: swapping them gives the
    inverse. Without label maps the whole image is aligned as one block, which is coarser and marked as such.

    Examples:

        mriseg register bl.nii.gz fu.nii.gz --baseline-labels bl_dseg.nii.gz --followup-labels fu_dseg.nii.gz
        --side R xfm.json

        mriseg register bl.nii.gz fu.nii.gz --side L xfm.json
    """
    if (baseline_labels is None) != (followup_labels is None):
        raise typer.BadParameter("give both --baseline-labels and --followup-labels, or none of them")
    from mriseg.files import write_json
    from mriseg.nifti import read_volume
    from mriseg.register import register, to_json

    registration = register(
        read_volume(baseline),
        read_volume(followup),
        baseline_labels=_checked(baseline_labels, side) if baseline_labels else None,
        followup_labels=_checked(followup_labels, side) if followup_labels else None,
    )
    write_json(out, {"side": side.value, **to_json(registration)})
    for bone, result in registration.bones.items():
        typer.echo(f"{bone}: {result.verdict}" + (f" ({'; '.join(result.reasons)})" if result.reasons else ""))
    if any(result.verdict == "failed" for result in registration.bones.values()):
        raise typer.Exit(1)


def _checked(path: Path, side: Side) -> LabelMap:
    """Read a label map that contradicts neither anatomy nor the side; a doubt about the side is logged."""
    from mriseg.study.masks import read_checked

    label_map, remark = read_checked(path, side)
    if remark:
        log.warning("%s", remark)
    return label_map
