"""A reader's correction is ordinary input: it is set aside before anything could write over it, with who and when.

A label map that mriseg did not make itself was edited by a reader. What mriseg made is known by its hash: from the
receipt of the step, from the sidecar, and, while a new map takes the place of an old one, from a small file beside it.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mriseg.errors import StudyError
from mriseg.files import read_json, replacing, sha256, write_json
from mriseg.study.manifest import READER
from mriseg.study.mask_files import correction_file
from mriseg.study.paths import sidecar_of

if TYPE_CHECKING:
    from mriseg.study.model import Patient, Study
    from mriseg.types import LabelMap

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """Who corrected a label map, as a code of the site (``unknown`` where nobody said), and on which day (UTC)."""

    by: str
    on: str


def keep_corrections(study: Study) -> tuple[Path, ...]:
    """Set aside every label map of a study that a reader has edited in place; returns the copies made.

    The copy, ``desc-corrected_dseg``, goes before every other source from then on. Beside it a JSON file says who made
    it and when.
    """
    kept = []
    for patient in study.patients():
        for visit in study.visit_ids:
            copy = study.paths.corrected(patient.id, visit)
            before = _hash(copy)
            keep_edit(patient, visit, recorded=None)
            if _hash(copy) != before:
                kept.append(copy)
    return tuple(kept)


def keep_edit(patient: Patient, visit: str, *, recorded: str | None) -> str:
    """Set aside the label map of one visit where a reader has edited it, and say so; nothing may write over it before.

    Parameters
    ----------
    patient : Patient
    visit : str
    recorded : str or None
        SHA-256 of the map in the receipt of the step.

    Returns
    -------
    str
        What was found, for the log; empty where the map is as mriseg made it. A file that ends early is damaged and
        no correction: it will be made again.
    """
    labels = patient.study.paths.labels(patient.id, visit)
    known = {h for h in (recorded, *_made(labels), _said_by(labels)) if h is not None}
    said = ""
    for file in (_aside(labels), labels):
        found = _hash(file)
        if found is not None and found not in known:
            said = _keep_or_give_up(patient, visit, file, known)
            known.add(found)
    _bring_back(labels)
    write_json(_made_file(labels), {"made": sorted(known)})
    _who_and_when(patient, visit)
    return said


def _keep_or_give_up(patient: Patient, visit: str, file: Path, known: Collection[str]) -> str:
    """Copy an edited map to its place among the corrections, unless it is the rest of a file or was saved unchanged.

    Whatever else is wrong with it is for the reader to mend: the step fails with it, and says so.
    """
    from mriseg.nifti import is_cut_short  # nibabel only where a map was edited
    from mriseg.study.saved_again import saved_again

    if saved_again(patient, visit, file, known):
        return ""
    copy = patient.study.paths.corrected(patient.id, visit)
    if is_cut_short(file):
        name = patient.study.paths.labels(patient.id, visit).name
        return f"{name}: damaged, only a part of the file is there; it is made again."
    with replacing(copy) as partial:
        shutil.copyfile(file, partial)
    _who_and_when(patient, visit, edited=file)
    return f"{copy.name}: a reader's correction is kept and used."


def _who_and_when(patient: Patient, visit: str, edited: Path | None = None) -> None:
    copy = patient.study.paths.corrected(patient.id, visit)
    if copy.exists():
        with suppress(StudyError):  # the step of this visit fails with it
            remember(copy, _reader(patient, visit), edited=edited)


def _bring_back(labels: Path) -> None:
    """Undo a replacement that was cut short between its two halves."""
    aside = _aside(labels)
    if aside.exists() and not labels.exists():
        aside.replace(labels)
    aside.unlink(missing_ok=True)


def put_label_map(patient: Patient, visit: str, label_map: LabelMap) -> None:
    """Write the label map of one visit; an edit that a reader saved in the meantime is kept as the correction first."""
    from mriseg.nifti import write_label_map

    labels = patient.study.paths.labels(patient.id, visit)
    fresh = labels.with_name(f".new.{labels.name}")
    write_label_map(fresh, label_map)
    known = {h for h in (*_made(labels), _said_by(labels), sha256(fresh)) if h is not None}
    write_json(_made_file(labels), {"made": sorted(known)})
    while True:
        with suppress(FileNotFoundError):
            labels.rename(_aside(labels))
        try:
            _link(fresh, labels)
            break
        except FileExistsError:  # a reader has just saved
            keep_edit(patient, visit, recorded=None)
    if (found := _hash(_aside(labels))) is not None and found not in known:
        _keep_or_give_up(patient, visit, _aside(labels), known)
    _aside(labels).unlink(missing_ok=True)
    fresh.unlink(missing_ok=True)


def _link(fresh: Path, labels: Path) -> None:
    """Give a file its name only where nothing has that name; on a file system without links, take its place."""
    try:
        labels.hardlink_to(fresh)
    except FileExistsError:
        raise
    except OSError:
        fresh.replace(labels)


def forget_made(patient: Patient, visit: str) -> None:
    """Remove the small file of hashes once the receipt of the step says what was made."""
    _made_file(patient.study.paths.labels(patient.id, visit)).unlink(missing_ok=True)


def _aside(labels: Path) -> Path:
    return labels.with_name(f".old.{labels.name}")


def _made_file(labels: Path) -> Path:
    return labels.with_name(f".made.{sidecar_of(labels).name}")


def _made(labels: Path) -> list[str]:
    with suppress(OSError, ValueError, KeyError):
        return [str(found) for found in read_json(_made_file(labels))["made"]]
    return []


def _said_by(labels: Path) -> str | None:
    with suppress(OSError, ValueError, KeyError):
        return str(read_json(sidecar_of(labels))["output_sha256"])
    return None


def _hash(path: Path) -> str | None:
    return sha256(path) if path.is_file() else None


def _reader(patient: Patient, visit: str) -> str:
    entry = patient.study.entries.get((patient.id, visit))
    return entry.reader if entry else ""


def correction_of(patient: Patient, visit: str) -> dict[str, str]:
    """Say who corrected the label map of one visit and when, without writing anything down.

    Raises
    ------
    StudyError
        As :func:`remember`.
    """
    found = _known(correction_file(patient.study.paths, patient.id, visit), _reader(patient, visit), None)
    return {"by": found.by, "on": found.on}


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
    found = _known(copy, reader, edited)
    content = {"corrected_by": found.by, "corrected_on": found.on, "output_sha256": sha256(copy)}
    said = _said(copy)
    same = said.get("output_sha256") == content["output_sha256"]  # then what else is known of it stays
    write_json(sidecar_of(copy), content | {k: v for k, v in said.items() if same and k not in content})
    return found


def _known(copy: Path, reader: str, edited: Path | None) -> Correction:
    said, found = _said(copy), sha256(copy)
    known = said if said.get("output_sha256", found) == found else {}
    day = datetime.fromtimestamp((edited or copy).stat().st_mtime, tz=UTC).date().isoformat()
    by, on = str(known.get("corrected_by") or reader or UNKNOWN), str(known.get("corrected_on") or day)
    if not READER.match(by):
        raise StudyError(
            f"{copy.name}: the name of its reader is no code. Expected up to 32 letters, digits, dots, hyphens or "
            "underscores, as in initials; give it in the column `reader` of visits.tsv, and never a patient's name."
        )
    return Correction(by=by, on=_day(on, copy))


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
