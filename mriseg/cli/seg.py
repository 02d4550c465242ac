"""``mriseg seg``: label maps and DICOM SEG."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    labels: Annotated[Path, typer.Argument(help="Label map (NIfTI, NRRD, MHA) or DICOM SEG (.dcm).", exists=True)],
    out: Annotated[Path, typer.Argument(help="DICOM SEG (.dcm) or label map (.nii.gz) to write.", dir_okay=False)],
    source: Annotated[Path, typer.Option(help="DICOM of the series that the labels lie on.", exists=True)],
    manual: Annotated[bool, typer.Option("--manual", help="A reader drew or corrected the labels.")] = False,
) -> None:
    """Turn a label map into DICOM SEG, or DICOM SEG into a label map on the voxels of its series.

    The SEG object carries the patient and study of the series, so that an archive files it beside the images.

    Examples:

        mriseg seg sub-01_dseg.nii.gz sub-01_seg.dcm --source dicom/sub-01/dess

        mriseg seg reader.dcm sub-01_dseg.nii.gz --source dicom/sub-01/dess
    """
    from mriseg.dicom import matching_volume, read_seg, scan, write_seg
    from mriseg.nifti import write_label_map
    from mriseg.study.masks import read_mask

    to_dicom = out.suffix.lower() == ".dcm"
    if to_dicom == (labels.suffix.lower() == ".dcm"):
        raise typer.BadParameter("one of the two files must end in .dcm, the other be a label map.")
    found = scan(source)
    if to_dicom:
        label_map = read_mask(labels)
        write_seg(out, label_map, matching_volume(found, label_map.grid), manual=manual)
    else:
        write_label_map(out, read_seg(labels, matching_volume(found, read_seg(labels).grid).stack.grid))
    typer.echo(out)
