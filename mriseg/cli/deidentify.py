"""``mriseg deidentify``: DICOM to hand on."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

log = logging.getLogger(__name__)


def command(
    dicom: Annotated[Path, typer.Argument(help="Folder, zip archive or file with DICOM, at any depth.", exists=True)],
    out: Annotated[Path, typer.Argument(help="Folder for the copies.", file_okay=False)],
    secret: Annotated[
        Path,
        typer.Option(
            help="File with the secret of the study, made if absent. Who holds it can link copies to patients: keep "
            "it, and do not hand it on. The same file gives the same pseudonyms and date shifts."
        ),
    ],
) -> None:
    """Copy MR images without what identifies a patient.

    Only listed elements are kept (stricter than the basic profile of DICOM PS3.15). Unique identifiers and patient ids
    are replaced consistently, all dates of a patient move by one number of days, so that intervals survive; times of
    day stay. Reports, documents and screen shots are left out. Pixels are not changed: look at images that are named
    as perhaps showing text, and deface heads by other means.

    Examples:

        mriseg deidentify dicom/ for-sharing/ --secret ~/keys/trial.secret
    """
    from mriseg.dicom import deidentify, read_secret

    result = deidentify(dicom, out, read_secret(secret))
    for warning in result.warnings:
        log.warning("%s", warning)
    for line in result.account.troubles:
        log.error("refused %s", line)
    for line in result.account.passed_over:
        log.warning("passed over %s", line)
    typer.echo(f"{len(result.written)} images written, {len(result.refused)} files left out")
    if result.account.troubled or not result.written:
        raise typer.Exit(1)
