"""Scanning sessions in a folder of DICOM files, by patient and date, before there is a manifest."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mriseg import dicom
from mriseg.study.agreement import days_between


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What was scanned in one study of one patient: its volumes, when and where they lie.

    ``folder`` is relative to the scanned folder; an archive stands for what lies in it. ``known`` says whether the
    headers tell who it is.
    """

    folder: Path
    when: datetime | None
    known: bool
    volumes: tuple[dicom.FoundVolume, ...]


def find_sessions(volumes: Iterable[dicom.FoundVolume], root: Path) -> dict[str, list[Session]]:
    """Return sessions by participant id, each in the order of dates, or of folders where dates are missing.

    Patients are told apart by their DICOM identity, which is not written anywhere, or by the uppermost folder where an
    anonymiser emptied it, and numbered in the order of their folders.
    """
    studies: dict[tuple[str, str], list[dicom.FoundVolume]] = defaultdict(list)
    for volume in volumes:
        studies[volume.header.patient_key, volume.header.study_uid].append(volume)
    by_patient: dict[str, list[Session]] = defaultdict(list)
    for (patient, _), found in studies.items():
        folder = _folder(found, root)
        when = min((v.header.acquired for v in found if v.header.acquired), default=None)
        session = Session(folder=folder, when=when, known=bool(patient), volumes=tuple(found))
        by_patient[patient or f"\0{folder.parts[:1]}"].append(session)
    ordered = sorted(by_patient.values(), key=lambda sessions: min(s.folder for s in sessions))
    digits = max(2, len(str(len(ordered))))
    return {
        f"sub-{n:0{digits}d}": sorted(sessions, key=lambda s: (s.when or datetime.min, s.folder))
        for n, sessions in enumerate(ordered, 1)
    }


def _folder(volumes: Iterable[dicom.FoundVolume], root: Path) -> Path:
    """Return the folder or archive, relative to ``root``, that holds all files."""
    files = {file for volume in volumes for file in volume.files}
    parents = {dicom.archive_of(file) or file.parent for file in files}
    return Path(os.path.commonpath(parents)).relative_to(root)


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
