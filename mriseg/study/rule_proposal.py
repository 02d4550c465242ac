"""A first proposal of the rule ``[series]``: the finest stack of knees that most sessions hold."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from mriseg import dicom
from mriseg.study.config import SeriesRule
from mriseg.study.series_rule import family, fitting
from mriseg.study.sides import most_of_one_side, without_side

FEW_SLICES = 8  # a stack that covers a knee has more


def propose_rule(sessions: Sequence[Sequence[dicom.FoundVolume]]) -> SeriesRule:
    """Propose the rule that names the finest stack of knees that most sessions hold.

    Where several volumes of a session still fit, the plane, the component, original images and the first echo are asked
    for, each only where it parts them. Words for a side stay open: that of the participant decides. What stays tied is
    for a person to settle.
    """
    held: Counter[str] = Counter()
    finest: dict[str, float] = defaultdict(lambda: float("inf"))
    spelt: dict[str, set[str]] = defaultdict(set)
    for session in sessions:
        held.update({without_side(v.header.label) for v in session if _is_stack(v)})
        for volume in filter(_is_stack, session):
            name = without_side(volume.header.label)
            spelt[name].add(volume.header.label)
            finest[name] = min(finest[name], voxel_mm3(volume))
    if not held:
        return SeriesRule()
    label = min(held, key=lambda d: (-held[d], finest[d], d))
    rule = _described(spelt[label]) if label else _undescribed([v for s in sessions for v in s if _is_stack(v)])
    named = [fitting(session, rule) for session in sessions]
    return _narrowed(rule, named)


def _described(labels: Iterable[str]) -> SeriesRule:
    names = [re.escape(label).replace(r"\-", "-") for label in sorted(labels)]
    return SeriesRule(description=f"^({'|'.join(names)})$" if len(names) > 1 else f"^{names[0]}$")


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


def _ties(rule: SeriesRule, sessions: Iterable[Sequence[dicom.FoundVolume]]) -> int:
    return sum(max(0, most_of_one_side(fitting(s, rule)) - 1) for s in sessions)


def _misses(rule: SeriesRule, sessions: Iterable[Sequence[dicom.FoundVolume]]) -> int:
    return sum(not fitting(s, rule) for s in sessions)


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
