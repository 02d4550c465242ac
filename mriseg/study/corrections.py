"""A reader's correction is ordinary input: it is set aside before anything could write over it, with who and when."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mriseg.errors import StudyError
from mriseg.files import read_json, replacing, sha256, write_json
from mriseg.study.manifest import READER
from mriseg.study.model import Study
from mriseg.study.paths import sidecar_of

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """Who corrected a label map, as a code of the site (``unknown`` where nobody said), and on which day (UTC)."""

    by: str
    on: str


def keep_corrections(study: Study) -> tuple[Path, ...]:
    """Set aside label maps that a reader has edited in place, so that no later run writes over them.

    A label map whose hash is not the one in its sidecar was edited. It is copied to ``desc-corrected_dseg``, which
    goes before every other source from then on. Beside each correction a JSON file says who made it and when. Returns
    the copies made.
    """
    kept = []
    for patient in study.patients():
        for visit in study.visit_ids:
            labels, copy = study.paths.labels(patient.id, visit), study.paths.corrected(patient.id, visit)
            sidecar = sidecar_of(labels)
            if labels.exists() and sidecar.exists() and read_json(sidecar)["output_sha256"] != sha256(labels):
                with replacing(copy) as partial:
                    shutil.copyfile(labels, partial)
                kept.append(copy)
            entry = study.entries.get((patient.id, visit))
            if copy.exists():
                with suppress(StudyError):  # the step of this patient fails with it, not the whole run
                    remember(copy, entry.reader if entry else "", edited=labels if copy in kept else copy)
    return tuple(kept)


def remember(copy: Path, reader: str, *, edited: Path | None = None) -> Correction:
    """Write beside a correction who made it and when, unless that is known of this very file already.

    Parameters
    ----------
    copy : Path
        The corrected label map.
    reader : str
        Code of the reader of this visit from ``visits.tsv``; empty where none is given.
    edited : Path, optional
        The file whose time is the day of the correction; None takes ``copy``.

    Raises
    ------
    StudyError
        Where the name of a reader is no code.
    """
    said = _said(copy)
    found = sha256(copy)
    known = said if said.get("output_sha256", found) == found else {}
    day = datetime.fromtimestamp((edited or copy).stat().st_mtime, tz=UTC).date().isoformat()
    by, on = str(known.get("corrected_by") or reader or UNKNOWN), str(known.get("corrected_on") or day)
    if not READER.match(by):
        raise StudyError(
            f"{copy.name}: the name of its reader is no code. Expected up to 32 letters, digits, dots, hyphens or "
            "underscores, as in initials; give it in the column `reader` of visits.tsv, and never a patient's name."
        )
    write_json(sidecar_of(copy), {"corrected_by": by, "corrected_on": _day(on, copy), "output_sha256": found})
    return Correction(by=by, on=on)


def _said(copy: Path) -> dict[str, object]:
    sidecar = sidecar_of(copy)
    if not sidecar.exists():
        return {}
    try:
        return read_json(sidecar)
    except ValueError as error:
        raise StudyError(
            f"{sidecar.name}: not valid JSON. Correct it, or delete it to have it written anew."
        ) from error


def _day(text: str, copy: Path) -> str:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date().isoformat()
    except ValueError as error:
        raise StudyError(f"{sidecar_of(copy).name}: corrected_on is no day; expected YYYY-MM-DD.") from error
