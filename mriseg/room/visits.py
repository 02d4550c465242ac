"""What the visits are called in the room: by their ids, or by the scans of a key that only the server knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mriseg.errors import StudyError
from mriseg.files import write_text
from mriseg.report.masked import draw_key, read_key
from mriseg.study.model import Patient, Study


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """Name shown -> visit, by participant; ``masked`` where the names must not tell the order."""

    visits: Mapping[str, Mapping[str, str]]
    masked: bool

    def of(self, patient: Patient) -> dict[str, str]:
        """Name -> visit of one patient, for the visits that have a label map, in the order in which they are shown."""
        known = self.visits.get(patient.id, {})
        return (
            {name: visit for name, visit in sorted(known.items()) if visit in patient.visits}
            if self.masked
            else {visit: visit for visit in patient.visits}
        )

    def visit(self, patient: Patient, name: str) -> str:
        """Return the visit behind a name; an unknown one is an error."""
        found = self.of(patient)
        if name not in found:
            raise StudyError(f"{patient.id}: there is no visit of this name with a label map.")
        return found[name]


def open_names() -> Names:
    """Call visits by their ids."""
    return Names(visits={}, masked=False)


def masked_names(study: Study, key_file: Path) -> Names:
    """Call visits A, B, ... by a key, which is drawn where there is none yet and kept outside of the study.

    Raises
    ------
    StudyError
        The key would lie in the study folder, where a reader may look, or does not cover it.
    """
    if key_file.resolve().is_relative_to(study.paths.root):
        raise StudyError(f"{key_file.name} lies inside the study folder; keep the key where the reader cannot see it.")
    if not key_file.exists():
        drawn = draw_key({p.id: p.visits for p in study.patients() if p.visits})
        write_text(key_file, drawn.to_csv(index=False))
    key = read_key(key_file)
    visits: dict[str, dict[str, str]] = {}
    for participant, scan, visit in key[["participant_id", "scan", "visit"]].itertuples(index=False, name=None):
        visits.setdefault(participant, {})[scan] = visit
    for patient in study.patients():
        absent = set(patient.visits) - set(visits.get(patient.id, {}).values())
        if absent:
            raise StudyError(f"{key_file.name} does not cover {len(absent)} visit(s) of {patient.id}; give a new key.")
    return Names(visits=visits, masked=True)
