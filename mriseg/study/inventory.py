"""What lies under ``dicom/``: the series of every visit, the one that is measured, and everything that deviates."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mriseg import dicom
from mriseg.errors import MrisegError
from mriseg.study.agreement import check_agreement
from mriseg.study.config import SeriesRule, StudyConfig
from mriseg.study.findings import Finding, Key, Manifest
from mriseg.study.manifest import Participant, VisitEntry
from mriseg.study.paths import StudyPaths
from mriseg.study.series_rule import choose_series


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenSeries:
    """The series that is measured: its name, its UID as it may be shown, and the state of its files."""

    name: str
    series_uid: str
    files: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """The chosen series of every visit that has one, and all findings."""

    chosen: Mapping[Key, ChosenSeries]
    findings: tuple[Finding, ...]

    def blocks(self, participant: str, visit: str) -> tuple[str, ...]:
        """Findings that keep a visit from being converted."""
        return tuple(
            f.finding
            for f in self.findings
            if f.severity == "block" and f.participant_id == participant and f.visit == visit
        )


def visit_folder(paths: StudyPaths, entries: Mapping[Key, VisitEntry], participant: str, visit: str) -> Path:
    """Folder or archive of one visit: from ``visits.tsv``, or ``dicom/<participant>/<visit>``, ``.zip`` or not.

    Raises
    ------
    DicomError
        Where a mark in ``visits.tsv`` stands for several folders.
    """
    entry = entries.get((participant, visit))
    named = entry.folder if entry and entry.folder else f"{participant}/{visit}"
    folder = dicom.find_shown(paths.dicom, named)
    archive = folder.with_name(folder.name + ".zip")
    return archive if archive.is_file() and not folder.exists() else folder


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
            found, lines = _look_at_visit(paths, config.series, person, visit.id, entries)
            findings += lines
            if found is not None:
                chosen[name, visit.id] = found
    manifest = Manifest(participants=participants, visits=config.visits, entries=entries)
    findings += check_agreement(manifest, chosen)
    findings += _unused_folders(paths, config, participants, entries)
    return Inventory(chosen={k: _series(v) for k, v in chosen.items()}, findings=tuple(findings))


def _series(found: dicom.FoundVolume) -> ChosenSeries:
    uid = dicom.public_uid(found.series_uid)
    return ChosenSeries(name=found.name, series_uid=uid, files=fingerprint(found))


def _look_at_visit(
    paths: StudyPaths, rule: SeriesRule, person: Participant, visit: str, entries: Mapping[Key, VisitEntry]
) -> tuple[dicom.FoundVolume | None, list[Finding]]:
    """Scan one visit and choose its series; what stands in the way is a finding."""
    name = person.participant_id
    where = f"{name} {visit}"

    def finding(severity: str, text: str) -> Finding:
        return Finding(participant_id=name, visit=visit, severity=severity, finding=text)

    lines: list[Finding] = []
    try:
        folder = visit_folder(paths, entries, name, visit)
        if not folder.exists():
            return None, [finding("block", f"{where}: not scanned: the visit has no folder under dicom/.")]
        scan = dicom.scan(folder)
        lines += [finding("warn", f"{where}: refused {line}") for line in scan.account.troubles]
        lines += [finding("note", f"{where}: {line}.") for line in scan.account.to_do]
        lines += [finding("note", f"{where}: {line}") for line in _extra_sessions(scan)]
        series = entries[name, visit].series if (name, visit) in entries else ""
        choice = choose_series(scan, rule, where=where, side=person.side, series=series)
    except MrisegError as error:
        text = str(error) if str(error).startswith(where) else f"{where}: {error}"
        return None, [*lines, finding("block", text)]
    found = choice.volume
    lines += [finding("note", f"{where}: {found.name}: {note}.") for note in (*choice.reasons, *found.notes)]
    return found, lines


def _extra_sessions(scan: dicom.Scan) -> Iterator[str]:
    """Mention that the folder of one visit holds several scanning sessions."""
    studies = {v.header.study_uid for v in scan.volumes}
    if len(studies) > 1:
        yield f"the folder holds {len(studies)} scanning sessions (DICOM studies); the rule looks at all of them."


def _unused_folders(
    paths: StudyPaths, config: StudyConfig, participants: tuple[Participant, ...], entries: Mapping[Key, VisitEntry]
) -> list[Finding]:
    """Mention what lies beside the visits: folders of nobody, and further sessions of a participant."""
    if not paths.dicom.is_dir():
        return []
    used = _used_folders(paths, config, participants, entries)
    findings = []
    strangers = []
    for top in sorted(paths.dicom.iterdir()):
        inside = [folder for folder in used if folder.is_relative_to(top)]
        if not inside and _holds_images(top):
            strangers.append(top)
        elif top not in inside and top.is_dir():
            owners = {used[folder] for folder in inside}
            extra = [p for p in sorted(top.iterdir()) if _holds_images(p) and not _touches(p, inside)]
            if extra and len(owners) == 1:
                names = dicom.listed([dicom.distinct_path(paths.dicom, p.relative_to(paths.dicom)) for p in extra])
                owner = owners.pop()
                text = f"{owner}: {len(extra)} further sessions lie in the folder and belong to no visit: {names}."
                findings.append(Finding(participant_id=owner, visit="", severity="note", finding=text))
    if strangers:
        text = f"{len(strangers)} folders under dicom/ belong to no participant of participants.tsv and are not used."
        findings.append(Finding(participant_id="", visit="", severity="note", finding=text))
    return findings


def _used_folders(
    paths: StudyPaths, config: StudyConfig, participants: tuple[Participant, ...], entries: Mapping[Key, VisitEntry]
) -> dict[Path, str]:
    """Return folder or archive -> participant of every visit."""
    used: dict[Path, str] = {}
    for person in participants:
        for visit in config.visits:
            with suppress(MrisegError):
                used[visit_folder(paths, entries, person.participant_id, visit.id)] = person.participant_id
    return used


def _holds_images(path: Path) -> bool:
    """Whether a folder, or an archive, could be a session."""
    return not path.name.startswith(".") and (path.is_dir() or path.suffix.lower() == ".zip")


def _touches(path: Path, used: list[Path]) -> bool:
    return any(path.is_relative_to(folder) or folder.is_relative_to(path) for folder in used)


def fingerprint(found: dicom.FoundVolume) -> str:
    """Return a hash over the images of a series and over size and time of their files; file names stay out of it."""
    digest = hashlib.sha256("\n".join(found.sop_uids).encode())
    for file in found.files:
        # A member of an archive has no state of its own; that of the archive stands for it.
        state = (dicom.archive_of(file) or file).stat()
        digest.update(f"{state.st_size}\0{state.st_mtime_ns}\n".encode())
    return digest.hexdigest()
