"""The rule ``[series]`` of study.toml: which series of a visit is measured, and a first proposal of it."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from mriseg import dicom
from mriseg.errors import StudyError
from mriseg.study.config import SeriesRule

FAMILIES = {"gradient": {"gr", "gradient", "both"}, "spin": {"se", "spin", "both"}}
FEW_SLICES = 8  # a stack that covers a knee has more


def choose_series(scan: dicom.Scan, rule: SeriesRule, *, where: str) -> dicom.FoundVolume:
    """Return the one series that the rule names.

    Raises
    ------
    StudyError
        Where none or several fit; the candidates are listed and nothing is guessed.
    """
    fitting = [v for v in scan.volumes if fits(v, rule)]
    if len(fitting) == 1:
        return fitting[0]
    names = ", ".join(sorted(v.name for v in (fitting or scan.volumes))) or "none"
    refused = "".join(f" Refused: {r}" for r in [r for r in scan.refused if not r.kind.harmless][:3])
    if fitting:
        raise StudyError(
            f"{where}: {len(fitting)} series fit the rule [series] of study.toml: {names}. Narrow the rule."
        )
    raise StudyError(f"{where}: no series fits the rule [series] of study.toml. Volumes found: {names}.{refused}")


def fits(found: dicom.FoundVolume, rule: SeriesRule) -> bool:
    """Whether all conditions of the rule hold for a volume."""
    header = found.header
    return (
        (rule.description is None or _says(found, rule.description))
        and (rule.exclude is None or not _says(found, rule.exclude))
        and (rule.family is None or rule.family in family(header))
        and (rule.plane is None or header.plane == rule.plane)
        and (rule.echo is None or header.echo_number == rule.echo)
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


def propose_rule(sessions: Sequence[Sequence[dicom.FoundVolume]]) -> SeriesRule:
    """Propose the rule that names the finest stack of knees that most sessions hold.

    Where several volumes of a session still fit, the plane, the component, original images and the first echo are asked
    for, each only where it parts them. What stays tied is for a person to settle.
    """
    held: Counter[str] = Counter()
    finest: dict[str, float] = defaultdict(lambda: float("inf"))
    for session in sessions:
        held.update({v.header.label for v in session if _is_stack(v)})
        for volume in filter(_is_stack, session):
            finest[volume.header.label] = min(finest[volume.header.label], voxel_mm3(volume))
    if not held:
        return SeriesRule()
    label = min(held, key=lambda d: (-held[d], finest[d], d))
    rule = _described(label) if label else _undescribed([v for s in sessions for v in s if _is_stack(v)])
    named = [[v for v in session if fits(v, rule)] for session in sessions]
    return _narrowed(rule, named)


def _described(label: str) -> SeriesRule:
    return SeriesRule(description="^" + re.escape(label).replace(r"\-", "-") + "$")


def _undescribed(stacks: Sequence[dicom.FoundVolume]) -> SeriesRule:
    """Go by what made the finest stack where descriptions hold no known word."""
    header = min(stacks, key=voxel_mm3).header
    made_by = family(header)
    return SeriesRule.model_validate(
        {"plane": header.plane.value, "family": made_by.pop() if len(made_by) == 1 else None}
    )


def _narrowed(rule: SeriesRule, sessions: Sequence[Sequence[dicom.FoundVolume]]) -> SeriesRule:
    """Add the conditions that part volumes of one session."""
    finest = [min(s, key=voxel_mm3) for s in sessions if s]
    plane = Counter(v.header.plane for v in finest if v.placed).most_common(1)
    echoes = [v.header.echo_number for s in sessions for v in s if v.header.echo_number is not None]
    wishes: list[Mapping[str, object]] = [
        *({"plane": p.value} for p, _ in plane),
        {"component": "magnitude"},
        {"derived": False},
        *({"echo": n} for n in sorted(set(echoes))[:1]),
    ]
    for wish in wishes:
        if _ties(rule, sessions) == 0:
            break
        narrower = SeriesRule.model_validate({**rule.model_dump(), **wish})
        if _ties(narrower, sessions) < _ties(rule, sessions) and _misses(narrower, sessions) <= _misses(rule, sessions):
            rule = narrower
    return rule


def _ties(rule: SeriesRule, sessions: Iterable[Iterable[dicom.FoundVolume]]) -> int:
    return sum(max(0, sum(fits(v, rule) for v in s) - 1) for s in sessions)


def _misses(rule: SeriesRule, sessions: Iterable[Iterable[dicom.FoundVolume]]) -> int:
    return sum(not any(fits(v, rule) for v in s) for s in sessions)


def _is_stack(found: dicom.FoundVolume) -> bool:
    """Whether a volume may be what is measured, and no localiser, map or single slice."""
    header = found.header
    return (
        found.placed
        and not header.localizer
        and header.shape[2] >= FEW_SLICES
        and header.component in ("", "magnitude")
    )


def voxel_mm3(found: dicom.FoundVolume) -> float:
    """Volume of one voxel."""
    a, b, c = found.header.spacing_mm
    return a * b * c
