"""A reader's correction is ordinary input: it is set aside before anything could write over it, with who and when."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from mriseg.errors import MrisegError, StudyError
from mriseg.files import read_json, replacing, sha256, write_json
from mriseg.nifti import read_label_map, read_volume, write_label_map
from mriseg.segment.readers import adopt_mask
from mriseg.study.changes import what_changed
from mriseg.study.manifest import READER
from mriseg.study.model import Patient, Study
from mriseg.study.paths import sidecar_of
from mriseg.study.reading import endpoint_value
from mriseg.study.reviews import ReadVerdict, Review, append_review, new_review
from mriseg.types import LabelMap

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
            edited = labels.exists() and sidecar.exists() and read_json(sidecar)["output_sha256"] != sha256(labels)
            if edited and not _saved_again(labels, study.paths.image(patient.id, visit)):
                with replacing(copy) as partial:
                    shutil.copyfile(labels, partial)
                kept.append(copy)
            entry = study.entries.get((patient.id, visit))
            if copy.exists():
                with suppress(StudyError):  # the step of this patient fails with it, not the whole run
                    remember(copy, entry.reader if entry else "", edited=labels if copy in kept else copy)
    return tuple(kept)


def _saved_again(labels: Path, image: Path) -> bool:
    """Whether an edited file holds the very labels that were there before; then the file as it was is put back.

    To open a map and save it is no correction: it would count without that anybody judged it.
    """
    try:
        grid = read_volume(image).grid
        found = adopt_mask(read_label_map(labels), grid, name=labels.name)
    except MrisegError:
        return False
    with TemporaryDirectory(dir=labels.parent) as folder:
        again = Path(folder) / labels.name
        write_label_map(again, found)
        if sha256(again) != read_json(sidecar_of(labels))["output_sha256"]:
            return False
        again.replace(labels)
    return True


def save_correction(
    patient: Patient, visit: str, labels: LabelMap, *, reader: str, of_map: str, comment: str, seconds: float | None
) -> Review:
    """Save a label map in the place of the one that a reader looked at, and record the verdict ``correct``.

    The map that a first correction replaces is kept beside it. The JSON file of the correction says what differs from
    that one and which value the primary endpoint had before.

    Raises
    ------
    StudyError
        Where nothing differs, or the map changed while it was read.
    """
    paths, name = patient.study.paths, patient.id
    current, copy, automatic = (f(name, visit) for f in (paths.labels, paths.corrected, paths.automatic))
    if sha256(current) != of_map:
        raise StudyError(f"{name} {visit}: the label map changed while it was read. Look at the new one first.")
    if not what_changed(read_label_map(current), labels)["voxels"]:
        raise StudyError(f"{name} {visit}: the correction equals the label map that is there. Accept that one instead.")
    review = new_review(
        name, visit, ReadVerdict.CORRECT, reader=reader, map_sha256=of_map, correction_sha256=of_map,
        comment=comment, seconds=seconds,
    )  # fmt: skip
    if patient.segmentation(visit)["parameters"]["method"] != "corrected" or not automatic.exists():
        with replacing(automatic) as partial:
            shutil.copyfile(current, partial)
    changes = what_changed(read_label_map(automatic), labels)
    write_label_map(copy, labels)
    made = sha256(copy)
    today = datetime.now(UTC).date().isoformat()
    said = {"corrected_by": reader, "corrected_on": today, "output_sha256": made}
    write_json(sidecar_of(copy), said | {"changes": changes, "before": endpoint_value(patient, visit)})
    review = replace(review, correction_sha256=made)
    append_review(paths.reviews, review)
    return review


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
    written = _said(copy)
    found = sha256(copy)
    known = written if written.get("output_sha256", found) == found else {}
    day = datetime.fromtimestamp((edited or copy).stat().st_mtime, tz=UTC).date().isoformat()
    by, on = str(known.get("corrected_by") or reader or UNKNOWN), str(known.get("corrected_on") or day)
    if not READER.match(by):
        raise StudyError(
            f"{copy.name}: the name of its reader is no code. Expected up to 32 letters, digits, dots, hyphens or "
            "underscores, as in initials; give it in the column `reader` of visits.tsv, and never a patient's name."
        )
    said = {"corrected_by": by, "corrected_on": _day(on, copy), "output_sha256": found}
    write_json(sidecar_of(copy), said | {key: value for key, value in known.items() if key not in said})
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
