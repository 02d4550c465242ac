"""``mriseg convert``: DICOM series to NIfTI."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from mriseg.cli._names import ShowNames, say_names

log = logging.getLogger(__name__)


def command(
    dicom: Annotated[Path, typer.Argument(help="Folder, zip archive or file with DICOM, at any depth.", exists=True)],
    out: Annotated[Path, typer.Argument(help="Folder for the NIfTI files and their JSON sidecars.", file_okay=False)],
    show_names: ShowNames = False,
) -> None:
    """Turn every MR volume below a folder into NIfTI (`.nii.gz`) with a JSON sidecar.

    Slices are sorted by position. Echoes, phases, time points and directions become files of their own. A series with
    missing, repeated or sheared slices is refused and named, never repaired; then the exit code is 1, and all other
    volumes are written. File names and sidecars carry no patient data.

    Examples:

        mriseg convert dicom/ nifti/

        mriseg convert visit.zip nifti/
    """
    from mriseg.dicom import Account, export_all, listed, scan, shown

    found = scan(dicom)
    written, failed = export_all(found.volumes, out)
    notes: dict[str, list[str]] = {}
    for volume in found.volumes:
        for note in volume.notes:
            notes.setdefault(note, []).append(volume.name)
    for note, names in notes.items():
        log.warning("%s: %s", listed(names), note)
    for path in written:
        typer.echo(path)
    account = Account(read=found.files_read, refused=(*found.refused, *failed))
    for line in account.to_do:
        log.warning("%s", line)
    for line in account.troubles:
        log.error("refused %s", line)
    if not found.volumes:
        log.error("no volume below %s: %s", shown(dicom.name), account)
    if show_names:
        say_names(" ".join(map(str, account.refused)), dicom)
    if account.troubled or not written:
        raise typer.Exit(1)
