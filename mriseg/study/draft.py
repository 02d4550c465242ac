"""``mriseg new``: a first study.toml, participants.tsv and visits.tsv from what a DICOM folder holds."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mriseg import dicom
from mriseg.errors import StudyError

_STUDY_TOML = """\
# Drafted by `mriseg new`. Read every line: nothing here is more than a proposal.

[study]
id = "{name}"
title = "{name}"
{visits}
# Which series is measured. Found, with the number of visits that hold each:
{series}
[series]
description = '{pattern}'

[segment]
method = "network"        # or "readers": label maps in masks/sub-X_ses-Y_dseg.nii.gz

# The analysis plan is sealed by `mriseg lock` before the allocation is opened.
# [analysis]
# region = "FT"
# metric = "dAB"
# baseline = "{first}"
# followup = "{last}"
# reference = "placebo"
# treated = "active"
# seed = 1
"""
_VISIT = '\n[[visits]]\nid = "{id}"\nday = {day}\nwindow = [{low}, {high}]\n'


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftVisit:
    """One scanning session found under ``dicom/``: its volumes, when and where they lie."""

    folder: str
    when: datetime | None
    volumes: tuple[dicom.FoundVolume, ...]


def draft_study(dicom_folder: Path, study: Path) -> list[str]:
    """Write a draft study folder for the files in ``dicom_folder``; return what a person has to settle.

    Patients are told apart by their DICOM identity, which is not written anywhere, and numbered in the order of their
    folders. ``dicom/`` becomes a link to ``dicom_folder`` unless it already lies there.

    Raises
    ------
    StudyError
        Where no MR volume is found, or a draft would write over existing files.
    """
    taken = [n for n in ("study.toml", "participants.tsv", "visits.tsv") if (study / n).exists()]
    if taken:
        raise StudyError(f"{study.name}: {', '.join(taken)} exist already. Choose a new folder; nothing was written.")
    scan = dicom.scan(dicom_folder)
    if not scan.volumes:
        raise StudyError(f"{dicom_folder.name}: no MR volume found, {len(scan.refused)} files or stacks refused.")
    patients = _patients(scan.volumes, dicom_folder)
    remarks = [f"refused: {r}" for r in scan.refused if not r.kind.harmless]
    study.mkdir(parents=True, exist_ok=True)
    if (study / "dicom").resolve() != dicom_folder.resolve():
        (study / "dicom").symlink_to(os.path.relpath(dicom_folder.resolve(), study.resolve()))
    days = _visit_days(patients.values())
    ids = ["baseline", *(f"month{max(1, round(d / 30.44))}" for d in days[1:])]
    if len(set(ids)) < len(ids):
        ids = ["baseline", *(f"visit{n + 1}" for n in range(1, len(days)))]
    remarks += _write_tables(study, patients, ids)
    (study / "study.toml").write_text(_study_toml(study.resolve().name, scan.volumes, ids, days), encoding="utf-8")
    return remarks


def _patients(volumes: Iterable[dicom.FoundVolume], root: Path) -> dict[str, list[DraftVisit]]:
    """Sessions by patient, each in the order of their dates, or of their folders where dates are missing."""
    sessions: dict[tuple[str, str], list[dicom.FoundVolume]] = defaultdict(list)
    for volume in volumes:
        sessions[volume.header.patient_key, volume.header.study_uid].append(volume)
    by_patient: dict[str, list[DraftVisit]] = defaultdict(list)
    for (patient, _), found in sessions.items():
        parents = [str(file.parent.resolve()) for volume in found for file in volume.files]
        folder = Path(os.path.commonpath(parents)).relative_to(root.resolve()).as_posix()
        when = min((v.header.acquired for v in found if v.header.acquired), default=None)
        by_patient[patient].append(DraftVisit(folder=folder, when=when, volumes=tuple(found)))
    ordered = sorted(by_patient.values(), key=lambda visits: min(v.folder for v in visits))
    return {
        f"sub-{n:02d}": sorted(visits, key=lambda v: (v.when or datetime.min, v.folder))
        for n, visits in enumerate(ordered, 1)
    }


def _visit_days(patients: Iterable[list[DraftVisit]]) -> list[int]:
    """Median day of the first, second, ... session since baseline, for as many as most patients have."""
    patients = list(patients)
    count = Counter(len(visits) for visits in patients).most_common(1)[0][0]
    days = [0]
    for n in range(1, count):
        gaps = [
            (v[n].when.date() - v[0].when.date()).days  # type: ignore[union-attr]
            for v in patients
            if len(v) > n and v[n].when and v[0].when
        ]
        days.append(max(days[-1] + 1, sorted(gaps)[len(gaps) // 2] if gaps else 30 * n))
    return days


def _write_tables(study: Path, patients: Mapping[str, list[DraftVisit]], ids: list[str]) -> list[str]:
    """Write both manifests; return what could not be filled in."""
    remarks, people, visits = [], ["participant_id\tside"], ["participant_id\tvisit\tfolder\tsettled"]
    folders = Counter(v.folder for sessions in patients.values() for v in sessions)
    for name, sessions in patients.items():
        sides = {v.header.laterality for s in sessions for v in s.volumes if v.header.laterality}
        people.append(f"{name}\t{next(iter(sides)).value if len(sides) == 1 else ''}")
        if len(sides) != 1:
            found = "no side" if not sides else "both sides"
            remarks.append(f"{name}: the headers name {found}. Fill in L or R in participants.tsv.")
        if len(sessions) != len(ids):
            remarks.append(f"{name}: {len(sessions)} sessions found, expected {len(ids)}. Check visits.tsv.")
        for visit, session in zip(ids, sessions, strict=False):
            visits.append(f"{name}\t{visit}\t{session.folder}\t")
            if folders[session.folder] > 1:
                remarks.append(f"{name} {visit}: shares its folder with another session. Sort the files by session.")
            if session.when is None:
                remarks.append(f"{name} {visit}: no acquisition date; the order of the visits is that of the folders.")
    (study / "participants.tsv").write_text("\n".join(people) + "\n", encoding="utf-8")
    (study / "visits.tsv").write_text("\n".join(visits) + "\n", encoding="utf-8")
    return remarks


def _study_toml(name: str, volumes: tuple[dicom.FoundVolume, ...], ids: list[str], days: list[int]) -> str:
    held = Counter(v.header.label for v in volumes)
    finest: dict[str, float] = {}
    for volume in volumes:
        voxel = float(volume.header.spacing_mm[0] * volume.header.spacing_mm[1] * volume.header.spacing_mm[2])
        finest[volume.header.label] = min(voxel, finest.get(volume.header.label, voxel))
    # Several volumes under one description (echoes) or coarse voxels make a poor choice; many visits a good one.
    best = min(held, key=lambda d: (finest[d], -held[d], d))
    table = "".join(f"#   {_plain(d)!r}: {n}, voxel {finest[d]:.2f} mm3\n" for d, n in sorted(held.items()))
    visits = "".join(
        _VISIT.format(
            id=i, day=d, low=d - (14 if not d else max(14, d // 6)), high=d + (14 if not d else max(14, d // 6))
        )
        for i, d in zip(ids, days, strict=True)
    )
    safe = re.sub(r"[^A-Za-z0-9_.-]", "-", name).strip("-.") or "study"
    pattern = "^" + re.escape(best).replace("'", ".") + "$"
    return _STUDY_TOML.format(name=safe, visits=visits, series=table, pattern=pattern, first=ids[0], last=ids[-1])


def _plain(text: str) -> str:
    return "".join(c for c in text if c.isprintable())[:80]
