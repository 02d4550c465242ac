"""Label maps to simulate from: files sub-X_ses-Y_side-S_dseg.nii.gz in one folder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mriseg.errors import StudyError
from mriseg.types import Side

NAME = re.compile(r"^(?P<participant>sub-[A-Za-z0-9]+)_ses-(?P<visit>[A-Za-z0-9]+)_side-(?P<side>[LR])_dseg\.nii\.gz$")


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSource:
    """One label map; ``order`` sorts the visits of a participant, ``kl_grade`` is empty where unknown."""

    path: Path
    participant: str
    visit: str
    side: Side
    order: float
    kl_grade: str


def find_sources(folder: Path, *, two_visits: bool) -> list[tuple[LabelSource, ...]]:
    """Group the label maps of a folder by participant, first visit first.

    ``two_visits`` keeps only participants with at least two maps and takes the first two; otherwise the first map of
    everybody is taken. Grades come from ``labels.tsv`` in the folder where there is one.

    Raises
    ------
    StudyError
        Where no file fits, or one participant has both sides.
    """
    grades = _grades(folder / "labels.tsv")
    people: dict[str, list[LabelSource]] = {}
    for path in sorted(folder.glob("*_dseg.nii.gz")):
        match = NAME.match(path.name)
        if match:
            number = re.search(r"\d+", match["visit"])
            source = LabelSource(
                path=path,
                participant=match["participant"],
                visit=match["visit"],
                side=Side(match["side"]),
                order=float(number.group()) if number else 0.0,
                kl_grade=grades.get(path.name, ""),
            )
            people.setdefault(source.participant, []).append(source)
    chosen = [tuple(sorted(maps, key=lambda m: m.order)[: 2 if two_visits else 1]) for maps in people.values()]
    chosen = [maps for maps in chosen if len(maps) == (2 if two_visits else 1)]
    if not chosen:
        what = "participants with two visits among the" if two_visits else "any"
        raise StudyError(f"{folder}: found no {what} label maps named sub-X_ses-Y_side-R_dseg.nii.gz (or side-L).")
    mixed = [maps[0].participant for maps in chosen if len({m.side for m in maps}) > 1]
    if mixed:
        raise StudyError(f"{folder}: {mixed[0]} has label maps of both sides; expected one knee a participant.")
    return chosen


def _grades(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    if not {"file", "kl_grade"} <= set(table.columns):
        return {}
    return dict(zip(table["file"], table["kl_grade"], strict=True))
