"""``participants.tsv`` and ``visits.tsv``: who takes part, which knee, and where each visit lies."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from mriseg.errors import StudyError
from mriseg.types import Side

PARTICIPANT_ID = re.compile(r"^sub-[A-Za-z0-9]{1,32}$")
READER = re.compile(r"^[A-Za-z][A-Za-z0-9._-]{0,31}$")  # a code of the site, never a name
SERIES = re.compile(r"\d{1,9}|#[0-9a-f]{4,64}")
TOPICS = ("side", "anatomy", "person", "visit", "date", "protocol")  # what may contradict the manifest
FORBIDDEN_COLUMNS = {"arm", "allocation", "treatment", "treated", "group", "randomisation", "randomization"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Participant:
    """One row of ``participants.tsv``; ``problem`` says why it cannot be worked on, None where it can."""

    participant_id: str
    side: Side | None
    problem: str | None = None
    columns: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitEntry:
    """One row of ``visits.tsv``: folder, series, remarks that settle contradictions by topic, code of the reader."""

    folder: str
    series: str = ""
    settled: Mapping[str, str] = field(default_factory=dict)
    reader: str = ""


def read_participants(path: Path) -> tuple[Participant, ...]:
    """Read ``participants.tsv``.

    A row that cannot be used (no side, a malformed id) is returned with its ``problem``, so that one patient does not
    stop the others.

    Raises
    ------
    StudyError
        Where the file is absent, lacks a column, is empty, repeats an id or holds the arm.
    """
    table = _read_table(path, required=("participant_id", "side"))
    arms = sorted({c for c in table.columns if c.strip().lower() in FORBIDDEN_COLUMNS})
    if arms:
        raise StudyError(
            f"{path.name}: found the column {arms[0]!r}. Nothing before `mriseg compare` may know the arm: "
            "remove the column and keep the allocation in a file outside the study folder."
        )
    ids = table["participant_id"].tolist()
    repeated = sorted({i for i in ids if ids.count(i) > 1})
    if repeated:
        raise StudyError(f"{path.name}: the participants {repeated} are listed more than once.")
    if not ids:
        raise StudyError(f"{path.name}: no participant is listed.")
    return tuple(_participant({str(k): v for k, v in row.items()}) for row in table.to_dict(orient="records"))


def _participant(row: dict[str, str]) -> Participant:
    name = row.pop("participant_id")
    side = row.pop("side").strip().upper()
    if not PARTICIPANT_ID.match(name):
        raise StudyError(
            "participants.tsv: a participant_id is not of the form sub-X with letters and digits only "
            f"(row of length {len(name)}). Give every participant a study id; never use a hospital number."
        )
    known = {"L": Side.LEFT, "LEFT": Side.LEFT, "R": Side.RIGHT, "RIGHT": Side.RIGHT}
    if side in known:
        return Participant(participant_id=name, side=known[side], columns=row)
    found = f"found {side!r}" if side else "it is empty"
    return Participant(
        participant_id=name,
        side=None,
        problem=f"participants.tsv: {name} needs side L or R, {found}. The side is never guessed.",
        columns=row,
    )


def read_visits(path: Path) -> dict[tuple[str, str], VisitEntry]:
    """Read ``visits.tsv``; without it (an empty mapping) visits lie in ``dicom/<participant>/<visit>``."""
    if not path.exists():
        return {}
    table = _read_table(path, required=("participant_id", "visit", "folder"))
    entries: dict[tuple[str, str], VisitEntry] = {}
    for row in table.to_dict(orient="records"):
        key = (row["participant_id"], row["visit"])
        folder = Path(row["folder"])
        if folder.is_absolute() or ".." in folder.parts or "\0" in row["folder"]:
            raise StudyError(f"{path.name}: the folder of {key[0]} {key[1]} leaves dicom/. Expected a path inside it.")
        if key in entries:
            raise StudyError(f"{path.name}: {key[0]} {key[1]} is listed more than once.")
        settled = _settled(row.get("settled", ""), where=f"{path.name}: {key[0]} {key[1]}")
        series = row.get("series", "").strip().lower()
        if series and not SERIES.fullmatch(series):
            raise StudyError(
                f"{path.name}: {key[0]} {key[1]}: series {series!r} is no series number and no mark like #3f2a."
            )
        reader = row.get("reader", "").strip()
        entries[key] = VisitEntry(folder=row["folder"], series=series, settled=settled, reader=reader)
    return entries


def _settled(remark: str, *, where: str) -> dict[str, str]:
    """Read ``side: why; date: why`` as topic -> remark."""
    parts = [part.partition(":") for part in remark.split(";") if part.strip()]
    settled = {topic.strip().lower(): why.strip() for topic, _, why in parts}
    if not all(topic in TOPICS and why for topic, why in settled.items()):
        raise StudyError(
            f"{where}: `settled` says {remark!r}. Expected TOPIC: WHY, several parted by semicolons; "
            f"topics are {', '.join(TOPICS)}."
        )
    return settled


def _read_table(path: Path, *, required: tuple[str, ...]) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise StudyError(f"{path}: no such file.") from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise StudyError(f"{path.name}: not a table separated by tabs.") from error
    missing = [c for c in required if c not in table.columns]
    if missing:
        raise StudyError(f"{path.name}: the columns {missing} are missing, found {list(table.columns)}.")
    return table
