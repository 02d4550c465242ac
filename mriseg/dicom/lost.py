"""Files that could not be read and lie among the slices of a series: what is left of it only looks whole."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from mriseg.dicom.contents import DamagedError, NotMrError

UNFINISHED = re.compile(r"(\.(part|partial|crdownload|download|filepart|tmp|temp|bak|gz))+$")
HEXADECIMAL = re.compile(r"(?=[0-9a-f]*\d)[0-9a-f]{8,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LostFile:
    """A file that was not read, and the error that says why."""

    path: Path
    error: Exception

    @property
    def series_uid(self) -> str:
        """Series that its header still names, "" where it does not."""
        return self.error.series_uid if isinstance(self.error, DamagedError) else ""

    @property
    def is_dicom(self) -> bool:
        """Whether it was DICOM before it was damaged."""
        return isinstance(self.error, DamagedError)


def lost_by_series(
    lost: Sequence[LostFile], series_of: Mapping[Path, int], uids: Mapping[str, int]
) -> dict[int, list[LostFile]]:
    """Return the lost files that may belong to each series.

    Parameters
    ----------
    lost : sequence of LostFile
    series_of : mapping
        File of one slice -> its series.
    uids : mapping
        SeriesInstanceUID -> series.
    """
    folders: dict[Path, dict[Path, int]] = defaultdict(dict)
    for path, series in series_of.items():
        folders[path.parent][path] = series
    result: dict[int, list[LostFile]] = defaultdict(list)
    for each in lost:
        if isinstance(each.error, NotMrError) or each.path.name.startswith("."):
            continue
        known = {uids[each.series_uid]} if each.series_uid in uids else _around(each, folders[each.path.parent])
        for series in known:
            result[series].append(each)
    return result


def _around(each: LostFile, beside: Mapping[Path, int]) -> set[int]:
    """Return the series whose slices lie around a file in the order of names, or all that it may belong to."""
    pattern = _pattern(each.path.name)
    patterns = [_pattern(p.name) for p in beside]
    random_names = len(set(patterns)) > max(2, len(patterns) // 2)
    alike = [p for p, found in zip(beside, patterns, strict=True) if found == pattern]
    if not alike and (each.is_dicom or (random_names and each.path.suffix == next(iter(beside)).suffix)):
        alike = list(beside)
    order = sorted([*alike, each.path], key=lambda p: _natural(p.name))
    runs = [series for series, _ in groupby(beside[p] for p in order if p in beside)]
    if len(runs) != len(set(runs)):
        return set(runs)  # names say nothing about where a series begins and ends
    at = order.index(each.path)
    return {beside[p] for p in (*order[max(at - 1, 0) : at], *order[at + 1 : at + 2])}


def _pattern(name: str) -> str:
    """Return what the names of the slices of one series have in common."""
    stem = HEXADECIMAL.sub("#", UNFINISHED.sub("", name.lower()))
    return re.sub(r"#([._-]*#)+", "#", re.sub(r"\d+", "#", stem))


def _natural(name: str) -> list[tuple[int, str]]:
    """Sort numbers in names by their value."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]
