"""``reviews.tsv``: what readers decided about label maps; appended to, never changed, and written here alone.

A verdict belongs to the content of one map: a map that changed since is unjudged again.
"""

from __future__ import annotations

import csv
import fcntl
import io
import os
import re
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from mriseg.errors import StudyError
from mriseg.study.manifest import PARTICIPANT_ID, READER

LONGEST_COMMENT = 500
_HASH = re.compile(r"^[0-9a-f]{64}$")
_VISIT = re.compile(r"^[A-Za-z0-9]{1,32}$")
_IDENTIFIES = re.compile(r"\d{5,}|\d{1,4}[./-]\d{1,2}[./-]\d{1,4}|\^")  # record numbers, dates, names of DICOM headers


class ReadVerdict(StrEnum):
    """What a reader decided about one label map."""

    ACCEPT = "accept"
    CORRECT = "correct"  # replaced by a map that this reader stands behind
    REJECT = "reject"


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """One row of ``reviews.tsv``.

    Parameters
    ----------
    participant_id, visit : str
    verdict : ReadVerdict
    reader : str
        Code of the reader, never a name.
    time : str
        UTC, ISO 8601.
    map_sha256 : str
        SHA-256 of the label map that was judged.
    correction_sha256 : str
        SHA-256 of the map that took its place, with the verdict ``correct``; empty otherwise.
    seconds : str
        Time spent on the visit in whole seconds; empty where nobody measured it.
    comment : str
        One line; see :func:`one_line`.
    """

    participant_id: str
    visit: str
    verdict: ReadVerdict
    reader: str
    time: str
    map_sha256: str
    correction_sha256: str = ""
    seconds: str = ""
    comment: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "verdict", ReadVerdict(self.verdict))
        if not PARTICIPANT_ID.match(self.participant_id) or not _VISIT.match(self.visit):
            raise ValueError("expected a participant_id of the form sub-X and a visit of letters and digits")
        if not READER.match(self.reader):
            raise ValueError("expected the reader as a code of up to 32 letters, digits, dots, hyphens, underscores")
        if not _HASH.match(self.map_sha256):
            raise ValueError("expected map_sha256 as 64 hexadecimal digits")
        if (self.verdict is ReadVerdict.CORRECT) != bool(_HASH.match(self.correction_sha256)):
            raise ValueError("expected correction_sha256 with the verdict correct, and with no other one")
        if self.seconds and not self.seconds.isdigit():
            raise ValueError("expected whole seconds, or none")
        datetime.fromisoformat(self.time)


COLUMNS = tuple(field.name for field in fields(Review))


def new_review(
    participant: str,
    visit: str,
    verdict: ReadVerdict,
    *,
    reader: str,
    map_sha256: str,
    correction_sha256: str = "",
    seconds: float | None = None,
    comment: str = "",
) -> Review:
    """Make a review of this moment.

    Raises
    ------
    StudyError
        Where the reader is no code or the comment may identify a person; neither is repeated in the message.
    """
    check_reader(reader)
    return Review(
        participant_id=participant,
        visit=visit,
        verdict=verdict,
        reader=reader,
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        map_sha256=map_sha256,
        correction_sha256=correction_sha256,
        seconds="" if seconds is None else str(max(0, round(seconds))),
        comment=one_line(comment),
    )


def check_reader(reader: str) -> None:
    """Refuse a reader that is no code, without repeating what may be a name."""
    if not READER.match(reader):
        raise StudyError(
            "The name of the reader is no code. Expected up to 32 letters, digits, dots, hyphens or underscores that "
            "begin with a letter, as in initials."
        )


def one_line(comment: str) -> str:
    """Return a comment as one line without control characters, and without what a spreadsheet takes for a formula.

    Raises
    ------
    StudyError
        Where it holds a date or a long number, which may identify a person, or is too long.
    """
    text = " ".join("".join(c if c.isprintable() else " " for c in comment).split()).lstrip("=+-@ ")
    if len(text) > LONGEST_COMMENT:
        raise StudyError(f"The comment has {len(text)} characters, expected at most {LONGEST_COMMENT}.")
    if _IDENTIFIES.search(text):
        raise StudyError(
            "The comment holds a date, a number of five or more digits or a ^ and may identify a person. "
            "Describe what the images show, and nothing else."
        )
    return text


def append_review(path: Path, review: Review) -> None:
    """Add one row at the end of ``reviews.tsv``, on the disk before this returns; any number of writers may do so."""
    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        content = file.read()
        whole = content[: content.rfind(b"\n") + 1]  # a row without its end was cut off by a crash: nobody heard of it
        file.truncate(len(whole))
        file.write(_line([getattr(review, c) for c in COLUMNS], header=not whole))
        file.flush()
        os.fsync(file.fileno())


def _line(values: list[str], *, header: bool) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerows([COLUMNS, values] if header else [values])
    return text.getvalue().encode()


def read_reviews(path: Path) -> tuple[Review, ...]:
    """Read ``reviews.tsv``, oldest first; without the file nobody has judged anything.

    Raises
    ------
    StudyError
        Where the file is none of this module's; the row and what is wrong with it are named.
    """
    if not path.exists():
        return ()
    try:
        with path.open(encoding="utf-8", newline="") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            text = file.read()
    except UnicodeDecodeError as error:
        raise StudyError(f"{path.name}: not a text file in UTF-8.") from error
    rows = list(csv.reader(io.StringIO(text[: text.rfind("\n") + 1]), delimiter="\t"))
    if rows and tuple(rows[0]) != COLUMNS:
        raise StudyError(f"{path.name}: found the columns {rows[0]}, expected {list(COLUMNS)}.")
    return tuple(_review(row, f"{path.name}, row {n}") for n, row in enumerate(rows[1:], start=2))


def _review(row: list[str], where: str) -> Review:
    try:
        return Review(**dict(zip(COLUMNS, row, strict=True)))  # type: ignore[arg-type]
    except ValueError as error:
        raise StudyError(f"{where}: {error}. Reviews are appended by `mriseg review` and never edited.") from error
