"""Findings of the inventory, and the manifest that settles some of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mriseg.study.config import VisitTable
from mriseg.study.manifest import Participant, VisitEntry

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
