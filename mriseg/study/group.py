"""Tables of the whole study, put together from the patients' files; blind to the arm."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from mriseg.files import write_text
from mriseg.study.inventory import Inventory
from mriseg.study.model import Patient, Study
from mriseg.study.verdicts import judged_defects, judged_regions

FAILURE_COLUMNS = ("participant_id", "visit", "step", "state", "message")
INVENTORY_COLUMNS = ("participant_id", "visit", "severity", "finding")


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientOutcome:
    """How far one patient came: ``done`` where both visits are measured, else why not."""

    participant_id: str
    state: str
    reasons: tuple[str, ...]


def outcome(patient: Patient) -> PatientOutcome:
    """Return done, or failed with the recorded reasons, or open where nothing failed and the page is missing."""
    reasons = tuple(f"{f['step']}: {f['message']}" for f in patient.failures())
    if reasons:
        return PatientOutcome(participant_id=patient.id, state="failed", reasons=reasons)
    if patient.study.paths.page(patient.id).exists():
        return PatientOutcome(participant_id=patient.id, state="done", reasons=())
    return PatientOutcome(participant_id=patient.id, state="open", reasons=("not run yet",))


def gather(study: Study) -> tuple[PatientOutcome, ...]:
    """Write ``group/regions.tsv``, ``defects.tsv`` and ``failures.tsv``; a table that stays equal is not touched."""
    patients = study.patients()
    for name, judged in (("regions", judged_regions), ("defects", judged_defects)):
        files = [(p, path) for p in patients if (path := getattr(study.paths, name)(p.id)).exists()]
        tables = [
            judged(pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False), p.judgements()) for p, path in files
        ]
        if tables:
            write_text(study.paths.group / f"{name}.tsv", pd.concat(tables).to_csv(sep="\t", index=False))
    failures = pd.DataFrame([f for p in patients for f in p.failures()], columns=list(FAILURE_COLUMNS))
    write_text(study.paths.group / "failures.tsv", failures.to_csv(sep="\t", index=False))
    return tuple(outcome(p) for p in patients)


def write_inventory(study: Study, inventory: Inventory) -> None:
    """Write ``group/inventory.tsv``: one line for every chosen series and every finding."""
    rows = [
        {"participant_id": p, "visit": v, "severity": "chosen", "finding": found.name}
        for (p, v), found in inventory.chosen.items()
    ]
    rows += [{c: getattr(f, c) for c in INVENTORY_COLUMNS} for f in inventory.findings]
    table = pd.DataFrame(rows, columns=list(INVENTORY_COLUMNS))
    write_text(study.paths.group / "inventory.tsv", table.to_csv(sep="\t", index=False))
