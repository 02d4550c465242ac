"""The images of one visit: the series that is measured, and a hash of what its files hold."""

from __future__ import annotations

import hashlib
import json
import time
from functools import lru_cache
from pathlib import Path

from mriseg import dicom
from mriseg.errors import MrisegError
from mriseg.study.code import code_of
from mriseg.study.config import SeriesRule
from mriseg.study.hashes import SETTLED_NS, Hashes, facts_of
from mriseg.study.inventory import visit_folder
from mriseg.study.model import Patient
from mriseg.study.series_rule import Choice, choose_series
from mriseg.types import Side


def choose(patient: Patient, visit: str) -> Choice:
    """Scan the folder of one visit and choose its series; a second call for unchanged files does not look again.

    Raises
    ------
    MrisegError
        Where none or several series fit, or the folder cannot be read.
    """
    folder = visit_folder(patient.study.paths, patient.study.entries, patient.id, visit)
    asked = (f"{patient.id} {visit}", *_asked(patient, visit))
    return _choose(folder, tuple(_facts(folder)), patient.study.config.series, asked)


def _asked(patient: Patient, visit: str) -> tuple[Side | None, str]:
    """Side of the participant and the series that ``visits.tsv`` names."""
    entry = patient.study.entries.get((patient.id, visit))
    return patient.participant.side, entry.series if entry else ""


@lru_cache(maxsize=2)
def _choose(folder: Path, _facts: tuple[str, ...], rule: SeriesRule, asked: tuple[str, Side | None, str]) -> Choice:
    where, side, series = asked
    return choose_series(dicom.scan(folder), rule, where=where, side=side, series=series)


def series_hash(patient: Patient, visit: str, hashes: Hashes) -> str:
    """Hash of the contents of the chosen files, whatever their names, order and times; a text where there are none."""
    try:
        folder = visit_folder(patient.study.paths, patient.study.entries, patient.id, visit)
        facts = _facts(folder)
        rule, asked = patient.study.config.series.model_dump_json(), _asked(patient, visit)
        key = "\n".join([*facts, rule, *map(str, asked), code_of(__name__).sha256])
        known = hashes.derived(key)
        if known is not None:
            return known
        files = {dicom.archive_of(file) or file for file in choose(patient, visit).volume.files}
    except (MrisegError, OSError) as error:
        return f"unreadable: {type(error).__name__}"
    contents = sorted(hashes.of(file) or "absent" for file in files)
    found = hashlib.sha256(json.dumps(contents).encode()).hexdigest()
    if all(time.time_ns() - int(fact.rsplit(" ", 1)[1]) > SETTLED_NS for fact in facts):
        hashes.remember(key, found)
    return found


def _facts(folder: Path) -> list[str]:
    """What the file system says of every file of a visit, archives as one."""
    return sorted({_facts_of(file) for file in dicom.find_files(folder)[0]})


def _facts_of(file: Path) -> str:
    """Facts of a file, of the archive that it is a member of, or of a link that leads nowhere."""
    try:
        return facts_of(file.stat())
    except (FileNotFoundError, NotADirectoryError):
        return facts_of((dicom.archive_of(file) or file).lstat())
