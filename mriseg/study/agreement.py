"""Do the headers say the same person, visit, date and knee as the manifest? A contradiction blocks until it is settled.

Values that identify a patient never leave this module: a finding says which kind of value contradicts which.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime

from mriseg import dicom
from mriseg.study.findings import Finding, Key, Manifest
from mriseg.study.sides import side_by_words

MANY = 3  # participants under one patient id: an anonymiser wrote it


def check_agreement(manifest: Manifest, chosen: Mapping[Key, dicom.FoundVolume]) -> list[Finding]:
    """List all findings about who, when and which knee, for the chosen series of all visits."""
    return [
        *_sides(manifest, chosen),
        *_shared_images(chosen),
        *_persons(manifest, chosen),
        *_shared_persons(manifest, chosen),
        *_time_points(manifest, chosen),
        *_dates(manifest, chosen),
        *_protocols(manifest, chosen),
    ]


def _sides(manifest: Manifest, chosen: Mapping[Key, dicom.FoundVolume]) -> Iterator[Finding]:
    sides = {p.participant_id: p.side for p in manifest.participants}
    for key, found in chosen.items():
        side, header = sides[key[0]], found.header
        if header.laterality is None and header.laterality_tag:
            text = f"the header of {found.name} names no single side ({header.laterality_tag})."
            yield manifest.contradiction(key, "side", text)
        elif header.laterality is None:
            yield manifest.remark(key, "note", f"the header of {found.name} names no side; participants.tsv decides.")
        elif side and header.laterality is not side:
            text = f"participants.tsv says side {side}, the header of {found.name} says {header.laterality}."
            yield manifest.contradiction(key, "side", text)
        named = side_by_words(header)
        if side and named and side is not named:
            text = f"participants.tsv says side {side}, the description of {found.name} another one. Look at the image."
            yield manifest.remark(key, "warn", text)


def _shared_images(chosen: Mapping[Key, dicom.FoundVolume]) -> Iterator[Finding]:
    """The same images at two visits: a copy that would measure as no change."""
    owners: dict[str, list[Key]] = defaultdict(list)
    for key, found in chosen.items():
        owners[found.sop_uids[0]].append(key)
    for keys in owners.values():
        for key in keys:
            others = ", ".join(" ".join(k) for k in keys if k != key)
            if others:
                text = f"{key[0]} {key[1]}: holds the same images as {others}. Give each visit its own."
                yield Finding(participant_id=key[0], visit=key[1], severity="block", finding=text)


def _by_person(
    manifest: Manifest, chosen: Mapping[Key, dicom.FoundVolume]
) -> Iterator[tuple[str, list[tuple[Key, dicom.FoundVolume]]]]:
    """Yield the visits of each participant that have a series, baseline first."""
    for person in manifest.participants:
        keys = [(person.participant_id, v.id) for v in manifest.visits]
        yield person.participant_id, [(k, chosen[k]) for k in keys if k in chosen]


def _persons(manifest: Manifest, chosen: Mapping[Key, dicom.FoundVolume]) -> Iterator[Finding]:
    """Another person at a later visit, or the trial's own id of another participant."""
    names = [p.participant_id for p in manifest.participants]
    ids = {_plain(spelt): name for name in names for spelt in (name, name.removeprefix("sub-"))}
    for name, visits in _by_person(manifest, chosen):
        for key, found in visits:
            subject = _plain(found.header.trial_subject)
            if ids.get(subject, name) != name:
                text = f"the clinical trial subject in the header is that of {ids[subject]}."
                yield manifest.contradiction(key, "person", text)
            first = visits[0][1].header
            differs = [
                what
                for what, a, b in (
                    ("patient id", first.patient_key, found.header.patient_key),
                    ("clinical trial subject", first.trial_subject, found.header.trial_subject),
                )
                if a and b and _plain(a) != _plain(b)
            ]
            if differs:
                text = f"the header has another {' and '.join(differs)} than at {visits[0][0][1]}."
                yield manifest.contradiction(key, "person", text)


def _shared_persons(manifest: Manifest, chosen: Mapping[Key, dicom.FoundVolume]) -> Iterator[Finding]:
    """One patient id at several participants; an id that many share tells nothing."""
    names: dict[str, set[str]] = defaultdict(set)
    for (name, _), found in chosen.items():
        if found.header.patient_key:
            names[_plain(found.header.patient_key)].add(name)
    for key, found in chosen.items():
        others = names[_plain(found.header.patient_key)] - {key[0]} if found.header.patient_key else set()
        if not found.header.patient_key or len(others) + 1 >= MANY:
            text = "the header has no patient id of its own; who it is rests on the manifest alone."
            yield manifest.remark(key, "note", text)
        elif others:
            text = f"the header has the same patient id as {', '.join(sorted(others))}."
            yield manifest.contradiction(key, "person", text)


def _time_points(manifest: Manifest, chosen: Mapping[Key, dicom.FoundVolume]) -> Iterator[Finding]:
    """The clinical trial time point names another visit, or the same one at two visits."""
    known = {_plain(v.id): v.id for v in manifest.visits}
    for _, visits in _by_person(manifest, chosen):
        seen: dict[str, str] = {}
        for key, found in visits:
            point = _plain(found.header.trial_timepoint)
            if not point:
                continue
            if known.get(point, key[1]) != key[1]:
                yield manifest.contradiction(key, "visit", f"the header names the time point {known[point]}.")
            elif point in seen:
                yield manifest.contradiction(key, "visit", f"the header names the same time point as at {seen[point]}.")
            seen.setdefault(point, key[1])


def _dates(manifest: Manifest, chosen: Mapping[Key, dicom.FoundVolume]) -> Iterator[Finding]:
    """Interval of every later visit since the first one."""
    windows = {v.id: v.window for v in manifest.visits}
    for _, visits in _by_person(manifest, chosen):
        for key, found in visits[1:]:
            first, window = visits[0], windows[key[1]]
            days = days_between(first[1].header.acquired, found.header.acquired)
            if days is None:
                text = "the acquisition dates are missing, so the interval between the visits is not known."
                yield manifest.remark(key, "warn", text)
            elif days < 0:
                text = f"lies {-days} days before {first[0][1]}; the visits may be swapped."
                yield manifest.contradiction(key, "date", text)
            elif days == 0:
                text = f"has the date of {first[0][1]}: an anonymiser may have set it. The manifest decides."
                yield manifest.remark(key, "warn", text)
            elif first[0][1] == manifest.visits[0].id and window and not window[0] <= days <= window[1]:
                text = f"lies {days} days after {first[0][1]}, expected {window[0]} to {window[1]}."
                yield manifest.remark(key, "warn", text)


def _protocols(manifest: Manifest, chosen: Mapping[Key, dicom.FoundVolume]) -> Iterator[Finding]:
    """Deviations of every later visit from the first one."""
    for _, visits in _by_person(manifest, chosen):
        for key, found in visits[1:]:
            for deviation in dicom.compare_protocol(visits[0][1].header, found.header):
                text = f"protocol differs from {visits[0][0][1]}: {deviation.described}."
                if deviation.severity is dicom.Severity.BLOCK:
                    yield manifest.contradiction(key, "protocol", text)
                else:
                    yield manifest.remark(key, deviation.severity.value, text)


def days_between(first: datetime | None, later: datetime | None) -> int | None:
    """Whole days from ``first`` to ``later``; None where one is unknown."""
    return None if first is None or later is None else (later.date() - first.date()).days


def _plain(value: str) -> str:
    """Letters and digits of an id in one case, so that spelling alone contradicts nothing."""
    return re.sub(r"[^a-z0-9]", "", value.lower())
