"""The rule ``[series]`` of study.toml: which series of a visit is measured."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mriseg import dicom
from mriseg.errors import MrisegError, StudyError
from mriseg.study.config import SeriesRule
from mriseg.study.sides import of_side
from mriseg.types import Side

MOST = 6  # series that one message names
FAMILIES = {"gradient": {"gr", "gradient", "both"}, "spin": {"se", "spin", "both"}}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Choice:
    """The series that is measured, and how it was chosen where more than the rule decided."""

    volume: dicom.FoundVolume
    reasons: tuple[str, ...] = ()


def choose_series(
    scan: dicom.Scan, rule: SeriesRule, *, where: str, side: Side | None = None, series: str = ""
) -> Choice:
    """Return the one series that the rule names.

    Parameters
    ----------
    scan : Scan
    rule : SeriesRule
    where : str
        Participant and visit, for messages.
    side : Side, optional
        Knee of the participant: decides between two knees where the headers tell them apart.
    series : str, optional
        Number or mark of the series, from ``visits.tsv``; the description need not fit then.

    Raises
    ------
    StudyError
        Where none or several fit; the candidates are listed and nothing is guessed.
    """
    reasons: list[str] = []
    volumes: Sequence[dicom.FoundVolume] = scan.volumes
    if series:
        volumes = [v for v in volumes if is_named(v, series)]
        reasons.append(f"series {series} is named in visits.tsv")
    found = fitting(volumes, rule)
    if series and not found:
        found = fitting(volumes, rule.model_copy(update={"description": None, "exclude": None}))
    sided, told_by = of_side(found, side)
    if told_by:
        reasons.append(f"of {len(found)} fitting series that of side {side} is taken ({told_by})")
    single, copies = without_copies(sided)
    if copies:
        reasons.append(f"{', '.join(copies)} hold the same pixels as {single[0].name}, which is taken")
    if len(single) == 1:
        return Choice(volume=single[0], reasons=tuple(reasons))
    raise StudyError(f"{where}: {_why_not(scan, single, series)}")


def _why_not(scan: dicom.Scan, found: Sequence[dicom.FoundVolume], series: str) -> str:
    """Say why no series or several series fit, and what to do."""
    if found:
        return (
            f"{len(found)} series fit the rule [series] of study.toml: {dicom.listed(series_names(found), MOST)}. "
            "Narrow the rule, or name one by its number or mark in visits.tsv, column `series`."
        )
    held = dicom.listed(series_names(scan.volumes), MOST) or f"none; {scan.account}"
    refused = "".join(f" Refused: {line}" for line in scan.account.troubles[:3])
    if series:
        return f"visits.tsv names series {series}, which is not there. Volumes found: {held}.{refused}"
    return f"no series fits the rule [series] of study.toml. Volumes found: {held}.{refused}"


def is_named(found: dicom.FoundVolume, series: str) -> bool:
    """Whether ``series`` is the number or the mark of the series of a volume."""
    if series.startswith("#"):
        return dicom.uid_mark(found.series_uid, 64).startswith(series)
    return series.isdecimal() and found.header.series_number == int(series)


def series_names(volumes: Sequence[dicom.FoundVolume]) -> list[str]:
    """Name volumes, with marks where series share a number."""
    numbers: dict[int | None, set[str]] = defaultdict(set)
    for volume in volumes:
        numbers[volume.header.series_number].add(volume.series_uid)
    names = [
        f"{v.name} ({dicom.uid_mark(v.series_uid)})" if len(numbers[v.header.series_number]) > 1 else v.name
        for v in volumes
    ]
    return sorted(names)


def without_copies(volumes: Sequence[dicom.FoundVolume]) -> tuple[list[dicom.FoundVolume], list[str]]:
    """Return volumes of which no two hold the same pixels at the same place, and the names of the copies left out."""
    kept: list[dicom.FoundVolume] = []
    copies = []
    for volume in volumes:
        if any(_same_image(volume, other) for other in kept):
            copies.append(volume.name)
        else:
            kept.append(volume)
    return kept, copies


def _same_image(a: dicom.FoundVolume, b: dicom.FoundVolume) -> bool:
    if a.header.echo_ms != b.header.echo_ms or not a.grid.same_as(b.grid, tolerance_mm=1e-4):
        return False
    try:
        return np.array_equal(a.read().data, b.read().data)
    except MrisegError:
        return False


def fitting(volumes: Sequence[dicom.FoundVolume], rule: SeriesRule) -> list[dicom.FoundVolume]:
    """Return the volumes for which all conditions of the rule hold.

    An echo goes by its number, or by the order of echo times where numbers do not tell the echoes of a scan apart, be
    they in one series or in several.
    """
    found = [v for v in volumes if _fits_but_echo(v, rule)]
    if rule.echo is None:
        return found
    scans: dict[object, list[dicom.SeriesHeader]] = defaultdict(list)
    for volume in found:
        scans[_scan_of(volume)].append(volume.header)
    return [v for v in found if _echo_number(v, scans[_scan_of(v)]) == rule.echo]


def _scan_of(found: dicom.FoundVolume) -> tuple[object, ...]:
    """Return what the echoes of one scan have in common."""
    h = found.header
    spacing = tuple(round(s, 3) for s in h.spacing_mm)
    return h.study_uid, h.label, h.scanning_sequence, h.repetition_ms, h.component, h.derived, h.shape, spacing


def _echo_number(found: dicom.FoundVolume, scan: Sequence[dicom.SeriesHeader]) -> int | None:
    time = found.header.echo_ms
    return found.header.echo_number if time is None else dicom.echo_numbers(scan)[dicom.echo_key(time)]


def _fits_but_echo(found: dicom.FoundVolume, rule: SeriesRule) -> bool:
    header = found.header
    return (
        (rule.description is None or _says(found, rule.description))
        and (rule.exclude is None or not _says(found, rule.exclude))
        and (rule.family is None or rule.family in family(header))
        and (rule.plane is None or header.plane == rule.plane)
        and (rule.component is None or (header.component or "magnitude") == rule.component)
        and (rule.derived is None or header.derived == rule.derived)
        and (rule.max_spacing_mm is None or max(header.spacing_mm) <= rule.max_spacing_mm)
    )


def _says(found: dicom.FoundVolume, pattern: str) -> bool:
    """Whether the description in the header, or its known words as the inventory shows them, match."""
    return any(re.search(pattern, text) for text in (found.header.description, found.header.label))


def family(header: dicom.SeriesHeader) -> set[str]:
    """Name what made the echo, gradient or spin, or both (GRASE); empty where the header does not say."""
    words = set(header.scanning_sequence.lower().split())
    return {name for name, marks in FAMILIES.items() if words & marks}
