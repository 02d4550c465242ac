"""``mriseg new``: a first study.toml, participants.tsv and visits.tsv from what a DICOM folder holds."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from mriseg import dicom
from mriseg.errors import StudyError
from mriseg.files import write_text
from mriseg.study.config import SeriesRule
from mriseg.study.findings import alike
from mriseg.study.paths import StudyPaths
from mriseg.study.rule_proposal import propose_rule, voxel_mm3
from mriseg.study.series_rule import MOST, fitting, series_names
from mriseg.study.sessions import Session, find_sessions, identity_remarks, visit_days
from mriseg.study.sides import most_of_one_side, side_by_words

_STUDY_TOML = """\
# Drafted by `mriseg new`. Read every line: nothing here is more than a proposal.

[study]
id = "{name}"
title = "{name}"
{visits}
# Which series is measured. Found, with the number of sessions that hold each:
{series}
[series]
{rule}

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


def draft_study(dicom_folder: Path, study: Path) -> list[str]:
    """Write a draft study folder for the files in ``dicom_folder``; return what a person has to settle.

    ``dicom/`` becomes a link to ``dicom_folder`` unless it already lies there. Folders whose names could identify a
    patient are named by marks in visits.tsv (:mod:`mriseg.dicom.filenames`).

    Raises
    ------
    StudyError
        Where no MR volume is found, a draft would write over existing files, or the study would lie among the images.
    """
    paths = StudyPaths(study)
    taken = [p.name for p in (paths.config, paths.participants, paths.visits) if p.exists()]
    if taken:
        raise StudyError(f"{study.name}: {', '.join(taken)} exist already. Choose a new folder; nothing was written.")
    if study.resolve().is_relative_to(dicom_folder.resolve()):
        raise StudyError(f"{study.name}: the study would lie among the images, which are never written to.")
    scan = dicom.scan(dicom_folder)
    if not scan.volumes:
        troubles = "".join(f" Refused: {line}" for line in scan.account.troubles[:5])
        raise StudyError(f"no MR volume found in the DICOM folder: {scan.account}.{troubles}")
    patients = find_sessions(scan.volumes, dicom_folder)
    sessions = [s for each in patients.values() for s in each]
    days = visit_days(patients.values())
    ids = _visit_ids(days)
    rule = propose_rule([s.volumes for s in sessions])
    _link(paths.dicom, dicom_folder)
    write_text(paths.participants, _participants_tsv(patients))
    write_text(paths.visits, _visits_tsv(patients, ids, dicom_folder))
    write_text(paths.config, _study_toml(study.resolve().name, sessions, rule, ids, days))
    refused = [f"refused: {line}" for line in scan.account.troubles]
    identity = identity_remarks(patients)
    return [*refused, *scan.account.to_do, *identity, *alike(_remarks(patients, ids, rule))]


def _link(link: Path, target: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.resolve() == target.resolve():
        return
    if link.exists():
        raise StudyError("the study folder has a dicom/ of its own, other than the DICOM folder. Choose a new folder.")
    link.symlink_to(os.path.relpath(target.resolve(), link.parent.resolve()))


def _visit_ids(days: list[int]) -> list[str]:
    """Name visits by their month, or by their number where two fall into one month."""
    ids = ["baseline", *(f"month{max(1, round(d / 30.44))}" for d in days[1:])]
    return ids if len(set(ids)) == len(ids) else ["baseline", *(f"visit{n + 1}" for n in range(1, len(days)))]


def _sides(sessions: list[Session]) -> set[str]:
    """Return the sides that the headers name; words of descriptions where no tag does."""
    tags = {v.header.laterality.value for s in sessions for v in s.volumes if v.header.laterality}
    words = {side.value for s in sessions for v in s.volumes if (side := side_by_words(v.header))}
    return tags | words if len(words) > 1 else tags or words


def _participants_tsv(patients: Mapping[str, list[Session]]) -> str:
    sides = {name: _sides(sessions) for name, sessions in patients.items()}
    rows = [f"{name}\t{next(iter(found)) if len(found) == 1 else ''}" for name, found in sides.items()]
    return "\n".join(["participant_id\tside", *rows]) + "\n"


def _visits_tsv(patients: Mapping[str, list[Session]], ids: list[str], root: Path) -> str:
    rows = [
        f"{name}\t{visit}\t{dicom.distinct_path(root, session.folder) or '.'}\t"
        for name, sessions in patients.items()
        for visit, session in zip(ids, sessions, strict=False)
    ]
    return "\n".join(["participant_id\tvisit\tfolder\tsettled", *rows]) + "\n"


def _remarks(patients: Mapping[str, list[Session]], ids: list[str], rule: SeriesRule) -> list[str]:
    """List what the draft could not settle."""
    remarks = []
    folders = Counter(s.folder for sessions in patients.values() for s in sessions)
    for name, sessions in patients.items():
        sides = _sides(sessions)
        if len(sides) != 1:
            found = "no side" if not sides else "both sides"
            remarks.append(f"{name}: the headers name {found}. Fill in L or R in participants.tsv.")
        if len(sessions) != len(ids):
            remarks.append(f"{name}: {len(sessions)} sessions found, expected {len(ids)}. Check visits.tsv.")
        if not all(s.known for s in sessions):
            remarks.append(f"{name}: the headers name no patient; taken from the folder. Check who it is.")
        for visit, session in zip(ids, sessions, strict=False):
            remarks += [f"{name} {visit}: {r}" for r in _session_remarks(session, rule, folders[session.folder] > 1)]
    return remarks


def _session_remarks(session: Session, rule: SeriesRule, shared: bool) -> list[str]:
    remarks = []
    if shared:
        remarks.append("shares its folder with another session. Sort the files by session; `mriseg deidentify` does.")
    if session.when is None:
        remarks.append("no acquisition date; the order of the visits is that of the folders.")
    found = fitting(session.volumes, rule)
    if most_of_one_side(found) != 1:
        held = dicom.listed(series_names(found or session.volumes), MOST)
        what = f"{len(found)} series fit" if found else "no series fits"
        advice = "Change the rule in study.toml, or name a series in visits.tsv, column `series`."
        remarks.append(f"{what} the proposed rule [series]: {held}. {advice}")
    return remarks


def _study_toml(name: str, sessions: list[Session], rule: SeriesRule, ids: list[str], days: list[int]) -> str:
    safe = re.sub(r"[^A-Za-z0-9_.-]", "-", name).strip("-._") or "study"
    visits = "".join(_visit_table(i, d) for i, d in zip(ids, days, strict=True))
    held = Counter(label for s in sessions for label in {v.header.label for v in s.volumes})
    finest = {label: _finest(sessions, label) for label in held}
    table = "".join(f"#   {d or '(no known word)'}: {n}, voxel {finest[d]:.2f} mm3\n" for d, n in sorted(held.items()))
    return _STUDY_TOML.format(
        name=safe[:64], visits=visits, series=table, rule=_rule_toml(rule), first=ids[0], last=ids[-1]
    )


def _visit_table(visit: str, day: int) -> str:
    slack = max(14, day // 6)
    return _VISIT.format(id=visit, day=day, low=day - slack, high=day + slack)


def _finest(sessions: list[Session], label: str) -> float:
    return min(voxel_mm3(v) for s in sessions for v in s.volumes if v.header.label == label)


def _rule_toml(rule: SeriesRule) -> str:
    """Write the conditions of a rule as lines of TOML; patterns in single quotes, where nothing is an escape."""
    lines = []
    for key, value in rule.model_dump(exclude_none=True).items():
        text = str(value).lower() if isinstance(value, bool) else value if isinstance(value, int) else f"'{value}'"
        lines.append(f"{key} = {text}")
    return "\n".join(lines) or "# No stack of slices was found that a knee would fit in."
