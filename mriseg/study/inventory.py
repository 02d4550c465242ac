"""What lies under ``dicom/``: the series of every visit, the one that is measured, and everything that deviates."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mriseg import dicom
from mriseg.errors import StudyError
from mriseg.study.config import SeriesRule, StudyConfig, VisitTable
from mriseg.study.manifest import Participant, VisitEntry
from mriseg.study.paths import StudyPaths

Key = tuple[str, str]  # participant, visit


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of ``inventory.tsv``; ``severity`` is block, warn or note."""

    participant_id: str
    visit: str
    severity: str
    finding: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """The chosen series of every visit that has one, and all findings."""

    chosen: Mapping[Key, dicom.FoundVolume]
    findings: tuple[Finding, ...]

    def blocks(self, participant: str, visit: str) -> tuple[str, ...]:
        """Findings that keep a visit from being converted."""
        return tuple(
            f.finding
            for f in self.findings
            if f.severity == "block" and f.participant_id == participant and f.visit == visit
        )


def visit_folder(paths: StudyPaths, entries: Mapping[Key, VisitEntry], participant: str, visit: str) -> Path:
    """Folder of one visit: from ``visits.tsv``, or ``dicom/<participant>/<visit>``."""
    entry = entries.get((participant, visit))
    return paths.dicom / (entry.folder if entry else f"{participant}/{visit}")


def choose_series(scan: dicom.Scan, rule: SeriesRule, *, where: str) -> dicom.FoundVolume:
    """Return the one series that the rule names.

    Raises
    ------
    StudyError
        Where none or several fit; the candidates are listed and nothing is guessed.
    """
    fitting = [v for v in scan.volumes if _fits(v, rule)]
    if len(fitting) == 1:
        return fitting[0]
    names = ", ".join(sorted(v.name for v in (fitting or scan.volumes))) or "none"
    refused = "".join(f" Refused: {r}" for r in scan.refused[:3])
    if fitting:
        raise StudyError(
            f"{where}: {len(fitting)} series fit the rule [series] of study.toml: {names}. Narrow the rule."
        )
    raise StudyError(f"{where}: no series fits the rule [series] of study.toml. Volumes found: {names}.{refused}")


def _fits(found: dicom.FoundVolume, rule: SeriesRule) -> bool:
    header = found.header
    return (
        (rule.description is None or re.search(rule.description, header.label) is not None)
        and (rule.exclude is None or re.search(rule.exclude, header.label) is None)
        and (rule.plane is None or header.plane == rule.plane)
        and (rule.echo is None or header.echo_number == rule.echo)
        and (rule.max_spacing_mm is None or max(header.spacing_mm) <= rule.max_spacing_mm)
    )


def take_inventory(
    paths: StudyPaths,
    config: StudyConfig,
    participants: tuple[Participant, ...],
    entries: Mapping[Key, VisitEntry],
) -> Inventory:
    """Look at every visit of every participant; a problem of one becomes a finding and the others go on."""
    chosen: dict[Key, dicom.FoundVolume] = {}
    findings: list[Finding] = []
    for person in participants:
        name = person.participant_id
        if person.problem:
            findings.append(Finding(participant_id=name, visit="", severity="block", finding=person.problem))
        for visit in config.visits:
            found, lines = _look_at_visit(paths, config.series, person, visit, entries)
            findings += lines
            if found is not None:
                chosen[name, visit.id] = found
        findings += _compare_visits(name, config, chosen)
    findings += _unlisted_folders(paths, participants, entries)
    return Inventory(chosen=chosen, findings=tuple(findings))


def _look_at_visit(
    paths: StudyPaths,
    rule: SeriesRule,
    person: Participant,
    visit: VisitTable,
    entries: Mapping[Key, VisitEntry],
) -> tuple[dicom.FoundVolume | None, list[Finding]]:
    name = person.participant_id

    def finding(severity: str, text: str) -> Finding:
        return Finding(participant_id=name, visit=visit.id, severity=severity, finding=text)

    folder = visit_folder(paths, entries, name, visit.id)
    where = f"{name} {visit.id}"
    if not folder.is_dir():
        return None, [finding("block", f"{where}: not scanned: the visit has no folder under dicom/.")]
    scan = dicom.scan(folder)
    lines = [finding("warn", f"{where}: {r}") for r in scan.refused if not r.kind.harmless]
    try:
        found = choose_series(scan, rule, where=where)
    except StudyError as error:
        return None, [*lines, finding("block", str(error))]
    header = found.header
    if person.side and header.laterality and header.laterality is not person.side:
        settled = entries[name, visit.id].settled if (name, visit.id) in entries else ""
        text = (
            f"{where}: participants.tsv says side {person.side}, the header of {found.name} says {header.laterality}."
        )
        advice = f" Settled: {settled}" if settled else " Settle it in the column `settled` of visits.tsv."
        lines.append(finding("note" if settled else "block", text + advice))
    if header.laterality is None:
        lines.append(finding("note", f"{where}: the header of {found.name} names no side; participants.tsv decides."))
    return found, lines


def _compare_visits(name: str, config: StudyConfig, chosen: Mapping[Key, dicom.FoundVolume]) -> list[Finding]:
    """Protocol and interval of every later visit against the first one."""
    first = chosen.get((name, config.visits[0].id))
    findings = []
    for visit in config.visits[1:]:
        later = chosen.get((name, visit.id))
        if first is None or later is None:
            continue
        for deviation in dicom.compare_protocol(first.header, later.header):
            text = f"{name} {visit.id}: protocol differs from baseline: {deviation.described}."
            findings.append(
                Finding(participant_id=name, visit=visit.id, severity=deviation.severity.value, finding=text)
            )
        problem = _interval_problem(first, later, visit)
        if problem:
            text = f"{name} {visit.id}: {problem}"
            findings.append(Finding(participant_id=name, visit=visit.id, severity="warn", finding=text))
    return findings


def _interval_problem(first: dicom.FoundVolume, later: dicom.FoundVolume, visit: VisitTable) -> str | None:
    days = days_between(first.header.acquired, later.header.acquired)
    if days is None:
        return "the acquisition dates are missing, so the interval between the visits is not known."
    if days == 0:
        return (
            "has the same date as baseline: an anonymiser may have set one fixed date. The manifest decides the order."
        )
    if visit.window and not visit.window[0] <= days <= visit.window[1]:
        return f"lies {days} days after baseline, expected {visit.window[0]} to {visit.window[1]}."
    return None


def days_between(first: datetime | None, later: datetime | None) -> int | None:
    """Whole days from ``first`` to ``later``; None where one is unknown."""
    return None if first is None or later is None else (later.date() - first.date()).days


def _unlisted_folders(
    paths: StudyPaths, participants: tuple[Participant, ...], entries: Mapping[Key, VisitEntry]
) -> list[Finding]:
    if entries or not paths.dicom.is_dir():
        return []
    known = {p.participant_id for p in participants}
    extra = [p for p in sorted(paths.dicom.iterdir()) if p.is_dir() and p.name not in known]
    if not extra:
        return []
    text = f"{len(extra)} folders under dicom/ belong to no participant of participants.tsv and are not used."
    return [Finding(participant_id="", visit="", severity="note", finding=text)]


def fingerprint(found: dicom.FoundVolume) -> str:
    """Return a hash over the images of a series and over size and time of their files; file names stay out of it."""
    digest = hashlib.sha256("\n".join(found.sop_uids).encode())
    for file in found.files:
        # A member of an archive has no state of its own; that of the archive stands for it.
        state = next(p for p in (file, *file.parents) if p.is_file()).stat()
        digest.update(f"{state.st_size}\0{state.st_mtime_ns}\n".encode())
    return digest.hexdigest()
