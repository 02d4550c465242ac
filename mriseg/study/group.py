"""Tables of the whole study, put together from the patients' files; blind to the arm.

Values are current or absent: rows of a patient whose measurement failed or is out of date keep their place, without a
value and with the state in its stead.
"""

from __future__ import annotations

import csv
import io
import shutil
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from mriseg.files import write_text
from mriseg.study.model import Patient, Study
from mriseg.study.overview import StudyState, study_state
from mriseg.study.state import PatientState, Status
from mriseg.study.verdicts import judged_defects, judged_regions
from mriseg.types import RowState

if TYPE_CHECKING:
    from mriseg.study.inventory import Inventory

FAILURE_COLUMNS = ("participant_id", "visit", "step", "state", "reason", "hint", "log")
JUDGED = {"regions": judged_regions, "defects": judged_defects}
INVENTORY_COLUMNS = ("participant_id", "visit", "severity", "finding")


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientOutcome:
    """How far one patient came, and why not further."""

    participant_id: str
    state: str
    reasons: tuple[str, ...]


def outcome(state: PatientState) -> PatientOutcome:
    """Sum up the steps of one patient: the worst state, and the reason of every step that is not done."""
    reasons = [
        f"{step.task}: {step.reason}" if step.status is Status.FAILED else f"{step.task} {step.status}: {step.reason}"
        for step in state.steps
        if step.status is not Status.DONE and not step.reason.startswith("follows ")
    ]
    return PatientOutcome(participant_id=state.patient.id, state=state.status.value, reasons=tuple(_few(reasons)))


def _few(reasons: list[str]) -> list[str]:
    """Reasons without repetition: steps that were never done are one line."""
    fresh = [r for r in reasons if not r.endswith(": not made yet")]
    return fresh or (["not run yet"] if reasons else [])


def counts(outcomes: tuple[PatientOutcome, ...]) -> str:
    """Say in one line how many patients are done, which those that need review are too, failed and neither."""
    found = Counter(o.state for o in outcomes)
    done = found[Status.DONE] + found[Status.NEEDS_REVIEW]
    rest = [f"{found[s]} {s}" for s in (Status.RUNNING, Status.STALE, Status.ABSENT, Status.WAITING) if found[s]]
    rest += [f"{found[Status.NEEDS_REVIEW]} need review"] if found[Status.NEEDS_REVIEW] else []
    return ", ".join([f"{done} of {len(outcomes)} patients done", f"{found[Status.FAILED]} failed", *rest]) + "."


def group_tables(state: StudyState) -> Mapping[str, str]:
    """Text of ``regions.tsv``, ``defects.tsv`` and ``failures.tsv``; a table without any patient is left out."""
    reviewed = frozenset(review.participant_id for review in state.study.reviews())
    texts = {name: "".join(_table(state, name, reviewed)) for name in JUDGED}
    failures = pd.DataFrame([f for p in state.patients for f in _failures(p)], columns=list(FAILURE_COLUMNS))
    texts["failures"] = failures.to_csv(sep="\t", index=False)
    return {name: text for name, text in texts.items() if text}


def gather(study: Study, state: StudyState | None = None) -> tuple[PatientOutcome, ...]:
    """Write the tables of the group; one that stays equal is not touched, one that has no rows any more is removed.

    Without ``state`` it is found out.
    """
    state = study_state(study) if state is None else state
    texts = group_tables(state)
    for name in (*JUDGED, "failures"):
        if name in texts:
            write_text(study.paths.group / f"{name}.tsv", texts[name])
        else:
            (study.paths.group / f"{name}.tsv").unlink(missing_ok=True)
    return tuple(outcome(p) for p in state.patients)


def changed_tables(state: StudyState) -> tuple[str, ...]:
    """Names of the tables of the group that are not what the patients' files say."""
    group = state.study.paths.group
    return tuple(f"{n}.tsv" for n, text in group_tables(state).items() if "".join(_lines(group / f"{n}.tsv")) != text)


def _table(state: StudyState, name: str, reviewed: Collection[str]) -> Iterator[str]:
    """Yield the header and the rows of every patient; what readers said counts where the values are current."""
    header = ""
    for patient in state.patients:
        path = getattr(state.study.paths, name)(patient.patient.id)
        lines, blank = _lines(path), state.row_state(patient)
        if not lines:
            continue
        if not header:
            header = lines[0]
            yield header
        if blank is not None:
            yield from _blanked(lines, blank)[1:] if name == "regions" else ()
        elif patient.patient.id in reviewed:
            table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
            yield JUDGED[name](table, patient.patient.judgements()).to_csv(sep="\t", index=False, header=False)
        else:
            yield from lines[1:]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines(keepends=True)
    except (OSError, UnicodeDecodeError):
        return []


def _blanked(lines: list[str], state: RowState) -> list[str]:
    """Rows of ``regions.tsv`` without values; none of a file that is not such a table."""
    rows = list(csv.DictReader(io.StringIO("".join(lines)), delimiter="\t"))
    names = lines[0].rstrip("\r\n").split("\t")
    if not {"value", "state"} <= set(names) or any(None in row or None in row.values() for row in rows):
        return lines[:1]
    blank = ["\t".join((row | {"value": "", "state": state.value})[n] for n in names) + "\n" for row in rows]
    return [lines[0], *blank]


def withdraw(patient: Patient, blank: RowState) -> None:
    """Take values that are not current out of the patient's own files too; measuring writes them again."""
    paths, name = patient.study.paths, patient.id
    lines = _lines(paths.regions(name))
    if lines:
        write_text(paths.regions(name), "".join(_blanked(lines, blank)))
        write_text(paths.defects(name), "".join(_lines(paths.defects(name))[:1]))
    shutil.rmtree(paths.surfaces(name), ignore_errors=True)


def _failures(state: PatientState) -> Iterator[dict[str, Any]]:
    for step in state.steps:
        if step.status is Status.FAILED:
            yield state.patient.failure(
                step.task.step, step.task.visit, step.reason, hint=step.hint or _hint(step.task.step), log=step.log
            )


def _hint(step: str) -> str:
    return "`mriseg check STUDY` lists what blocks; mend it, then run again." if step == "intake" else ""


def write_inventory(study: Study, inventory: Inventory) -> None:
    """Write ``group/inventory.tsv``: one line for every chosen series and every finding."""
    rows = [
        {"participant_id": p, "visit": v, "severity": "chosen", "finding": found.name}
        for (p, v), found in inventory.chosen.items()
    ]
    rows += [{c: getattr(f, c) for c in INVENTORY_COLUMNS} for f in inventory.findings]
    table = pd.DataFrame(rows, columns=list(INVENTORY_COLUMNS))
    write_text(study.paths.group / "inventory.tsv", table.to_csv(sep="\t", index=False))
