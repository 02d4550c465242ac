"""``participants.tsv`` and ``visits.tsv``: who takes part, which knee, and where each visit lies."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from mriseg.delimited import read_cells, with_names
from mriseg.errors import StudyError, TableError
from mriseg.types import Side
from mriseg.words import ARM_COLUMNS, known, side_of, some

PARTICIPANT_ID = re.compile(r"^sub-[A-Za-z0-9]{1,32}$")
READER = re.compile(r"^[A-Za-z][A-Za-z0-9._-]{0,31}$")  # a code of the site, never a name
SERIES = re.compile(r"\d{1,9}|#[0-9a-f]{4,64}")
TOPICS = ("side", "anatomy", "person", "visit", "date", "protocol")  # what may contradict the manifest
VISIT_COLUMNS = ("participant_id", "visit", "folder", "series", "settled", "reader")


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
    arms = sorted({c for c in table.columns if c.casefold() in ARM_COLUMNS})
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
    written = row.pop("side")
    if not PARTICIPANT_ID.match(name):
        raise StudyError(
            "participants.tsv: a participant_id is not of the form sub-X with letters and digits only "
            f"(row of length {len(name)}). Give every participant a study id; never use a hospital number."
        )
    side = side_of(written)
    if side is not None:
        return Participant(participant_id=name, side=side, columns=row)
    found = f"found {written!r}" if written else "it is empty"
    return Participant(
        participant_id=name,
        side=None,
        problem=f"participants.tsv: {name} needs side L or R, {found}. The side is never guessed.",
        columns=row,
    )


def read_visits(path: Path) -> dict[tuple[str, str], VisitEntry]:
    """Read ``visits.tsv``; without it (an empty mapping) visits lie in ``dicom/<participant>/<visit>``.

    Raises
    ------
    StudyError
        A column is missing or not one of ``VISIT_COLUMNS``, a visit comes twice, or its folder leaves ``dicom/``.
    """
    if not path.exists():
        return {}
    table = _read_table(path, required=("participant_id", "visit", "folder"), known_columns=VISIT_COLUMNS)
    entries: dict[tuple[str, str], VisitEntry] = {}
    for row in table.to_dict(orient="records"):
        key = (row["participant_id"], row["visit"])
        folder = Path(row["folder"])
        if folder.is_absolute() or ".." in folder.parts or "\0" in row["folder"]:
            raise StudyError(f"{path.name}: the folder of {key[0]} {key[1]} leaves dicom/. Expected a path inside it.")
        if key in entries:
            raise StudyError(f"{path.name}: {key[0]} {key[1]} is listed more than once.")
        settled = _settled(row.get("settled", ""), where=f"{path.name}: {key[0]} {key[1]}")
        series = row.get("series", "").lower()
        if series and not SERIES.fullmatch(series):
            raise StudyError(
                f"{path.name}: {key[0]} {key[1]}: series {series!r} is no series number and no mark like #3f2a."
            )
        reader = row.get("reader", "")
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


def check_visits(entries: Iterable[tuple[str, str]], participants: Iterable[str], visits: Iterable[str]) -> None:
    """Refuse rows of ``visits.tsv`` (participant, visit) that name nobody of the study, or no visit of it."""
    people, ids = set(participants), set(visits)
    strangers = sorted({who for who, _ in entries if who not in people})
    if strangers:
        shown = [who if PARTICIPANT_ID.match(who) else f"a name of {len(who)} characters" for who in strangers]
        raise StudyError(f"visits.tsv: {some(shown)} is not in participants.tsv. Mend or remove these rows.")
    strange = sorted({(who, visit) for who, visit in entries if visit not in ids})
    if strange:
        raise StudyError(
            f"visits.tsv: {some(f'{who} {visit!r}' for who, visit in strange)} is no visit of study.toml, "
            f"which has {', '.join(sorted(ids))}."
        )


def _read_table(path: Path, *, required: tuple[str, ...], known_columns: tuple[str, ...] = ()) -> pd.DataFrame:
    """Read a table of words, '' where missing, folders as written; with ``known_columns`` any other one is an error."""
    if not path.exists():
        raise StudyError(f"{path}: no such file.")
    try:
        table = with_names(read_cells(path), (*required, *known_columns), path.name)
    except TableError as error:
        raise StudyError(str(error)) from None
    missing = [c for c in required if c not in table.columns]
    if missing:
        raise StudyError(f"{path.name}: the columns {missing} are missing, found {list(table.columns)}.")
    unknown = [c for c in table.columns if known_columns and c not in known_columns]
    if unknown:
        raise StudyError(f"{path.name}: unknown column {unknown[0]!r}; expected {', '.join(known_columns)}.")
    read = {name: column if name == "folder" else known(column) for name, column in table.items()}
    return pd.DataFrame(read)
