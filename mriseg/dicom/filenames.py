"""Names of files and folders as messages and tables may show them.

Scanners and archives name files after patients, hospital numbers and dates. A name made of common words and short
numbers is shown; any other one becomes a mark like ``#3f2a``, by which :func:`find_shown` finds it again.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from mriseg.dicom.naming import KNOWN_WORDS
from mriseg.errors import DicomError

COMMON_WORDS = KNOWN_WORDS | frozenset(
    """
    im img ima image images mr mri se ser series seq st study exam scan scans slice slices sl frame file files dcm
    dicom dicomdir zip part ses session visit baseline bl followup follow up fup fu month week day year sub subject
    patient pat anon export data raw incoming self
    """.split()  # noqa: SIM905
)
MARK = re.compile(r"#[0-9a-f]{4,64}")
MARK_DIGITS = 4
NUMBER_DIGITS = 5  # of all numbers in a name; a date or a hospital number has more
NUMBERS = 3


def shown(name: str) -> str:
    """Return the name of one file or folder where it is harmless, else its mark.

    >>> shown("IM_03_0088.dcm"), shown("month6"), shown("sub-01")
    ('IM_03_0088.dcm', 'month6', 'sub-01')
    >>> shown("DOE_JANE"), shown("19560412")
    ('#ccde', '#fc85')
    """
    return name if _harmless(name) else "#" + _digest(name)[:MARK_DIGITS]


def shown_path(path: Path | str) -> str:
    """Return a path with every part as :func:`shown` gives it, parted by slashes."""
    return "/".join(map(shown, Path(path).parts))


def distinct_path(folder: Path, path: Path) -> str:
    """Return ``path``, relative to ``folder``, as shown, with marks long enough to tell neighbours apart."""
    parts = []
    for part in path.parts:
        beside = [_digest(p.name) for p in folder.iterdir() if p.name != part] if folder.is_dir() else []
        digits = next(n for n in range(MARK_DIGITS, 65) if not any(d.startswith(_digest(part)[:n]) for d in beside))
        parts.append(part if _harmless(part) else "#" + _digest(part)[:digits])
        folder /= part
    return "/".join(parts)


def find_shown(folder: Path, name: str) -> Path:
    """Return the path below ``folder`` that ``name`` stands for, be its parts true names or marks.

    What does not exist is returned as it is named.

    Raises
    ------
    DicomError
        Where several names have the same mark.
    """
    for part in Path(name).parts:
        if MARK.fullmatch(part) and not (folder / part).exists() and folder.is_dir():
            fitting = [p for p in folder.iterdir() if _digest(p.name).startswith(part[1:])]
            if len(fitting) > 1:
                raise DicomError(f"{len(fitting)} folders have the mark {part}; write the true name instead.")
            folder = fitting[0] if fitting else folder / part
        else:
            folder /= part
    return folder


def names_behind(text: str, paths: Iterable[Path]) -> Mapping[str, str]:
    """Return mark -> true name for the marks in ``text`` that stand for a part of one of ``paths``."""
    marks = set(MARK.findall(text))
    parts = {part for path in paths for part in path.parts}
    return {mark: part for part in sorted(parts) for mark in marks if _digest(part).startswith(mark[1:])}


def _harmless(name: str) -> bool:
    runs = re.findall(r"[A-Za-z]+|[0-9]+", name)
    words = [run.lower() for run in runs if run.isalpha()]
    numbers = [run.lstrip("0") for run in runs if run.isdigit()]
    return (
        re.fullmatch(r"[A-Za-z0-9_. \-]*", name) is not None
        and sum(len(w) == 1 for w in words) <= 1
        and all(len(w) == 1 or w in COMMON_WORDS for w in words)
        and len(numbers) <= NUMBERS
        and sum(map(len, numbers)) <= NUMBER_DIGITS
    )


def _digest(name: str) -> str:
    return hashlib.sha256(os.fsencode(name)).hexdigest()
