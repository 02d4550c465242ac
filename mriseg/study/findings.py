"""Findings of the inventory, and the manifest that settles some of them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mriseg import dicom
from mriseg.study.config import VisitTable
from mriseg.study.manifest import Participant, VisitEntry

WHO = re.compile(r"sub-\w+( \w+)?")
NUMBERS = re.compile(r"#[0-9a-f]{4,}|sub-\w+|\d+([.,]\d+)?")
FEW_ALIKE = 3  # remarks of one kind that are listed one by one
Key = tuple[str, str]  # participant, visit


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of ``inventory.tsv``; ``severity`` is block, warn or note."""

    participant_id: str
    visit: str
    severity: str
    finding: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a person wrote down: participants, visits in their order, and the rows of ``visits.tsv``."""

    participants: tuple[Participant, ...]
    visits: tuple[VisitTable, ...]
    entries: Mapping[Key, VisitEntry]

    def contradiction(self, key: Key, topic: str, text: str) -> Finding:
        """Return a finding that blocks, or a note with the remark that settles its topic in ``visits.tsv``."""
        name, visit = key
        remark = self.entries[key].settled.get(topic, "") if key in self.entries else ""
        advice = f"Settled: {remark}" if remark else f"Mend it, or settle it in visits.tsv: `settled` = {topic}: WHY."
        severity = "note" if remark else "block"
        text = f"{name} {visit}: {text} {advice}"
        return Finding(participant_id=name, visit=visit, severity=severity, finding=text)

    @staticmethod
    def remark(key: Key, severity: str, text: str) -> Finding:
        """Return a finding that blocks nothing."""
        return Finding(participant_id=key[0], visit=key[1], severity=severity, finding=f"{key[0]} {key[1]}: {text}")


def alike(remarks: Iterable[str]) -> list[str]:
    """Return one line, with their number, for many remarks that differ in participant, visit and numbers alone.

    A remark begins with whom it is about: ``sub-01 month6: ...``.
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for remark in remarks:
        who, colon, what = remark.partition(": ")
        groups[NUMBERS.sub("#", what) if colon and WHO.fullmatch(who) else remark].append(remark)
    return [line for group in groups.values() for line in (group if len(group) <= FEW_ALIKE else [_joined(group)])]


def _joined(remarks: Sequence[str]) -> str:
    who = [remark.partition(": ")[0] for remark in remarks]
    what = remarks[0].partition(": ")[2]
    return f"{dicom.listed(who)} ({len(remarks)} alike): {what}"
