"""Files -> series, also where the identifier of the series is missing or was made anew for every file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from mriseg.dicom.describe import patient_key
from mriseg.dicom.grouping import kind, place
from mriseg.dicom.headers import FileHeader
from mriseg.dicom.values import text

FEW = 3  # slices, each with a series of its own, that show that the identifier means nothing

UNNAMED = "the header has no SeriesInstanceUID: series are parted by number, time and folder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Files of one series, and what a reader should know about how they were brought together."""

    headers: tuple[FileHeader, ...]
    note: str = ""


def by_series(headers: Sequence[FileHeader]) -> list[Series]:
    """Part files by the series that they name.

    Without a name they are parted by everything else that tells series apart. Where every slice of a stack has a series
    of its own, an export or an anonymiser made the identifiers anew: these are joined.
    """
    named: dict[object, list[FileHeader]] = defaultdict(list)
    for header in headers:
        named[header.series_uid or _unnamed(header)].append(header)
    slices: dict[object, list[list[FileHeader]]] = defaultdict(list)
    result = []
    for group in named.values():
        if group[0].series_uid and _is_one_slice(group):
            slices[_family(group[0])].append(group)
        else:
            note = (
                ""
                if group[0].series_uid
                else "the header has no SeriesInstanceUID: number, time and folder part series"
            )
            result.append(Series(headers=tuple(group), note=note))
    for groups in slices.values():
        result += _joined(groups)
    return result


def _unnamed(header: FileHeader) -> tuple[object, ...]:
    """Return what tells series apart that have no identifier."""
    keys = ("StudyInstanceUID", "SeriesDescription", "ProtocolName", "SeriesTime")
    return *_family(header), *(text(header.get(key)) for key in keys)


def _family(header: FileHeader) -> tuple[object, ...]:
    """Return what the slices of one series have in common when their identifier is worth nothing."""
    keys = ("SeriesNumber", "SeriesDescription", "ProtocolName", "SeriesDate", "Modality")
    return patient_key(header.get), header.frames[0].path.parent, *(text(header.get(key)) for key in keys)


def _is_one_slice(group: Sequence[FileHeader]) -> bool:
    """Whether files of single images all lie at one position."""
    return all(len(h.frames) == 1 for h in group) and len({place(h.frames[0]) for h in group}) == 1


def _joined(groups: Sequence[list[FileHeader]]) -> list[Series]:
    """Join series of one slice each, unless some of them show the same place twice: then they are repeats."""
    places = [(kind(f), place(f)) for group in groups for header in group for f in header.frames]
    positions = {position for _, position in places}
    if len(positions) < FEW or len(set(places)) < len(places):
        return [Series(headers=tuple(group)) for group in groups]
    note = f"SeriesInstanceUID changes with every slice ({len(groups)} of them): slices are joined by number and folder"
    return [Series(headers=tuple(header for group in groups for header in group), note=note)]
