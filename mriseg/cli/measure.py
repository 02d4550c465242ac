"""``mriseg measure``: label maps of one or two visits to regions, defects and surfaces."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mriseg.types import Side

if TYPE_CHECKING:
    from mriseg.types import LabelMap, Registration

log = logging.getLogger(__name__)


def command(
    *,
    baseline: Annotated[
        Path, typer.Option(help="Label map of the first visit (NIfTI, NRRD, MHA, SEG).", dir_okay=False)
    ],
    side: Annotated[Side, typer.Option(help="Which knee the label maps show.")],
    out: Annotated[Path, typer.Option(help="Folder for the tables and surfaces.", file_okay=False)],
    followup: Annotated[Path | None, typer.Option(help="Label map of the later visit.", dir_okay=False)] = None,
    registration: Annotated[
        Path | None, typer.Option(help="Transforms from `mriseg register`; made from the label maps otherwise.")
    ] = None,
    participant: Annotated[str, typer.Option(help="Participant id in the tables.")] = "sub-unnamed",
    baseline_id: Annotated[str, typer.Option(help="Id of the first visit in the tables.")] = "baseline",
    followup_id: Annotated[str, typer.Option(help="Id of the later visit in the tables.")] = "followup",
    band_pct: Annotated[float, typer.Option(help="End of cMF and cLF, percent of the way from notch to back.")] = 75.0,
    min_area_mm2: Annotated[float, typer.Option(help="Smallest lesion.")] = 5.0,
) -> None:
    """Measure cartilage thickness, denuded area and defects of one knee at one or two visits.

    Writes `regions.tsv` and `defects.tsv`, and under `surfaces/` the bones with the thickness of each visit. Both
    visits are measured on one bone surface half-way between them: swapping them flips the signs and nothing else.
    A structure that is missing, cut or could not be measured is a row with a named state and no value.

    Examples:

        mriseg measure --baseline bl_dseg.nii.gz --side R --out knee/

        mriseg measure --baseline bl_dseg.nii.gz --followup fu_dseg.nii.gz --registration xfm.json --side L --out knee/
    """
    if registration is not None and followup is None:
        raise typer.BadParameter("--registration needs --followup")
    if followup is not None and baseline_id == followup_id:
        raise typer.BadParameter("--baseline-id and --followup-id must differ")
    from mriseg.files import write_text
    from mriseg.measure import MeasureParameters, defects_table, measure, regions_table
    from mriseg.study.surface_files import write_surfaces

    first = _checked(baseline, side)
    second = _checked(followup, side) if followup else None
    motion = _motion(first, second, registration)
    parameters = MeasureParameters(band_pct=band_pct, min_area_mm2=min_area_mm2)
    result = measure(first, second, motion, side=side, parameters=parameters, side_checked=True)
    for note in result.notes:
        log.warning("%s", note)
    visits = (baseline_id, followup_id)[: 1 if second is None else 2]
    regions = regions_table(result, participant=participant, side=side, visits=visits)
    defects = defects_table(result, participant=participant, visits=visits)
    write_surfaces(out / "surfaces", result, visits)
    for name, table in (("regions", regions), ("defects", defects)):
        write_text(out / f"{name}.tsv", table.to_csv(sep="\t", index=False, float_format="%.6g"))
    typer.echo(f"{out}: {len(regions)} figures, {len(defects)} defects")


def _checked(path: Path, side: Side) -> LabelMap:
    """Read a label map that contradicts neither anatomy nor the side; a doubt about the side is logged."""
    from mriseg.study.masks import read_checked

    label_map, remark = read_checked(path, side)
    if remark:
        log.warning("%s", remark)
    return label_map


def _motion(first: LabelMap, second: LabelMap | None, stored: Path | None) -> Registration | None:
    """Stored transforms, or transforms from the two label maps; None for a single visit."""
    from mriseg.files import read_json
    from mriseg.register import from_json, register

    if second is None:
        return None
    if stored is not None:
        return from_json(read_json(stored))
    return register(None, None, baseline_labels=first, followup_labels=second)
