"""Scanning sessions in a folder of DICOM files, by patient and date, before there is a manifest."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from mriseg import dicom
from mriseg.study.agreement import days_between

MOST = 6  # participants that one remark names


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What was scanned in one study of one patient: its volumes, when and where they lie.

    ``folder`` is relative to the scanned folder; an archive stands for what lies in it. ``patient`` is the identity
    that the headers tell, "" where they tell none; it must not be written to any output.
    """

    folder: Path
    when: datetime | None
    patient: str = field(repr=False)
    volumes: tuple[dicom.FoundVolume, ...]

    @property
    def known(self) -> bool:
        """Whether the headers tell who it is."""
        return bool(self.patient)


def find_sessions(volumes: Iterable[dicom.FoundVolume], root: Path) -> dict[str, list[Session]]:
    """Return sessions by participant id, each in the order of dates, or of folders where dates are missing.

    Patients are told apart by their uppermost folder and by their DICOM identity, which is not written anywhere: an id
    that several folders share joins nobody, since anonymisers and sites give the same one to many.
    """
    studies: dict[tuple[object, ...], list[dicom.FoundVolume]] = defaultdict(list)
    for volume in volumes:
        place = _folder([volume], root)
        # Without an identifier of the study its folder and day stand for it.
        day = volume.header.acquired.date() if volume.header.acquired else None
        study = volume.header.study_uid or (place, day)
        studies[place.parts[:1], volume.header.patient_key, study].append(volume)
    by_patient: dict[tuple[object, ...], list[Session]] = defaultdict(list)
    for (top, patient, _), found in studies.items():
        for part in _days(found):
            session = Session(folder=_folder(part, root), when=_first(part), patient=str(patient), volumes=tuple(part))
            by_patient[top, patient].append(session)
    ordered = sorted(by_patient.values(), key=lambda sessions: min(s.folder for s in sessions))
    digits = max(2, len(str(len(ordered))))
    return {
        f"sub-{n:0{digits}d}": sorted(sessions, key=lambda s: (s.when or datetime.min, s.folder))
        for n, sessions in enumerate(ordered, 1)
    }


def _days(volumes: Sequence[dicom.FoundVolume]) -> list[list[dicom.FoundVolume]]:
    """Part volumes of one study identifier that lie in folders of days apart: it was given to several visits."""
    folders: dict[Path, list[dicom.FoundVolume]] = defaultdict(list)
    for volume in volumes:
        folders[_parent(volume.files[0])].append(volume)
    parts: list[list[dicom.FoundVolume]] = []
    for found in sorted(folders.values(), key=lambda group: _first(group) or datetime.min):
        gap = days_between(_first(parts[-1]), _first(found)) if parts else None
        if parts and (gap is None or gap <= 1):
            parts[-1] += found
        else:
            parts.append(found)
    return parts


def _first(volumes: Iterable[dicom.FoundVolume]) -> datetime | None:
    """Return when the first of some volumes was scanned; None where no header says."""
    return min((v.header.acquired for v in volumes if v.header.acquired), default=None)


def identity_remarks(patients: Mapping[str, Sequence[Session]]) -> list[str]:
    """Say where the identity in the headers and the folders contradict each other; quotes neither."""
    by_id: dict[str, list[str]] = defaultdict(list)
    by_top: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for name, sessions in patients.items():
        by_top[sessions[0].folder.parts[:1]].append(name)
        if sessions[0].patient:
            by_id[sessions[0].patient].append(name)
    shared = [
        f"{dicom.listed(names, MOST)}: one patient id in {len(names)} top folders. They are kept apart; where they are "
        "one person, give the rows in visits.tsv one participant_id."
        for names in by_id.values()
        if len(names) > 1
    ]
    mixed = [
        f"{dicom.listed(names, MOST)}: {len(names)} patient ids in one top folder. They are kept apart; where they are "
        "one person, give the rows in visits.tsv one participant_id."
        for top, names in by_top.items()
        if top and len(names) > 1
    ]
    return [*shared, *mixed]


def _folder(volumes: Iterable[dicom.FoundVolume], root: Path) -> Path:
    """Return the folder or archive, relative to ``root``, that holds all files."""
    files = {file for volume in volumes for file in volume.files}
    return Path(os.path.commonpath({_parent(file) for file in files})).relative_to(root)


def _parent(file: Path) -> Path:
    return dicom.archive_of(file) or file.parent


def visit_days(patients: Iterable[list[Session]]) -> list[int]:
    """Median day of the first, second, ... session since baseline, for as many as most patients have."""
    patients = list(patients)
    count = Counter(len(sessions) for sessions in patients).most_common(1)[0][0]
    days = [0]
    for n in range(1, count):
        gaps = [days_between(s[0].when, s[n].when) for s in patients if len(s) > n]
        known = sorted(g for g in gaps if g is not None)
        days.append(max(days[-1] + 1, known[len(known) // 2] if known else 30 * n))
    return days
