"""Measure one knee at one or more visits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mriseg.anatomy import other, side_of
from mriseg.errors import MeasurementError
from mriseg.geometry import to_right_knee
from mriseg.measure.bone import BoneResult, BoneVisit, measure_bone
from mriseg.measure.common_space import PAIR, Pose, in_fixed_order, motion_of
from mriseg.measure.lesions import find_lesions
from mriseg.measure.matching import match
from mriseg.measure.metrics import REGIONS, blank, bone_of, joined, region_values
from mriseg.measure.parameters import MeasureParameters
from mriseg.types import (
    Bone,
    Defect,
    LabelMap,
    Measurement,
    RegionValue,
    Registration,
    RigidTransform,
    RowState,
    Side,
    Verdict,
    VisitMeasurement,
)

PREFIX = {Bone.FEMUR: "F", Bone.TIBIA: "T", Bone.PATELLA: "P"}
DEFAULTS = MeasureParameters()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Bone:
    """What became of one bone: its ``result`` at the visits numbered ``at``, and why it has none at the others.

    ``review`` numbers the visits at which a person has to look first; ``notes`` is for a reader.
    """

    result: BoneResult | None
    at: tuple[int, ...]
    state: Mapping[int, RowState]
    review: frozenset[int]
    notes: tuple[str, ...]

    def visit(self, number: int) -> BoneVisit | None:
        """Result at one visit."""
        if self.result is None or number not in self.at:
            return None
        return self.result.visits[self.at.index(number)]


def measure(
    baseline: LabelMap,
    followup: LabelMap | None,
    registration: Registration | None,
    *,
    side: Side,
    parameters: MeasureParameters = DEFAULTS,
    side_checked: bool = False,
) -> Measurement:
    """Measure cartilage, denuded area and lesions of one knee at one visit or two; see :func:`measure_visits`."""
    if followup is None:
        return measure_visits([baseline], [], side=side, parameters=parameters, side_checked=side_checked)
    if registration is None:
        raise MeasurementError("Two visits need a registration: run `mriseg register` first.")
    labels = [baseline, followup]
    return measure_visits(labels, [registration], side=side, parameters=parameters, side_checked=side_checked)


def measure_visits(
    labels: Sequence[LabelMap],
    registrations: Sequence[Registration],
    *,
    side: Side,
    parameters: MeasureParameters = DEFAULTS,
    side_checked: bool = False,
) -> Measurement:
    """Measure cartilage, denuded area and lesions of one knee, all visits on one bone surface in their common space.

    Parameters
    ----------
    labels : sequence of LabelMap
        Baseline first, each in its own space.
    registrations : sequence of Registration
        Motion of each bone from baseline to every later visit, in their order. A bone that one lacks, or that failed,
        is ``failed`` at that visit and measured at the others.
    side : Side
    parameters : MeasureParameters
    side_checked : bool
        Whether the caller has compared the shape with the side, or somebody has settled it.

    Raises
    ------
    MeasurementError
        Where a later visit comes without registration, baseline is surely the other knee, or no bone can be measured.
    """
    if len(registrations) != len(labels) - 1:
        raise MeasurementError(
            f"{len(labels)} visits need {len(labels) - 1} registrations with baseline, found {len(registrations)}."
        )
    knees = [to_right_knee(one, side) for one in labels]
    if not side_checked:
        _check_side(labels[0], side)
    bones = {bone: _measure_one(bone, knees, registrations, side=side, parameters=parameters) for bone in Bone}
    notes = tuple(note for part in bones.values() for note in part.notes)
    surfaces = {bone: part.result.surface for bone, part in bones.items() if part.result is not None}
    if not surfaces:
        raise MeasurementError("No bone of this knee can be measured. " + " ".join(notes))
    lesions = _lesions(bones, len(knees), parameters)
    visits = tuple(_visit(bones, number, lesions[number], parameters) for number in range(len(knees)))
    return Measurement(surfaces=surfaces, visits=visits, notes=notes)


def _check_side(labels: LabelMap, side: Side) -> None:
    """Refuse a knee where every bone of the map, be it one, is sure of the other side: nobody else has looked."""
    shown = side_of(labels)
    if shown.all_sure_of(other(side)):
        raise MeasurementError(
            f"The label map looks like side {other(side)} but was given as {side}: {shown}. Correct the side, or the "
            "orientation in the file."
        )


def _measure_one(
    bone: Bone,
    knees: Sequence[LabelMap],
    registrations: Sequence[Registration],
    *,
    side: Side,
    parameters: MeasureParameters,
) -> _Bone:
    """Measure one bone at the visits that show it; without baseline there is nothing to measure against."""
    state: dict[int, RowState] = {}
    review: set[int] = set()
    notes: list[str] = []
    motions: dict[int, RigidTransform] = {}
    for number, labels in enumerate(knees):
        name = _name_of(number, len(knees))
        if not _drawn(labels, bone):
            state[number] = RowState.MISSING
            notes.append(f"{bone}: bone or cartilage is missing in the {name} label map.")
            continue
        motion, reason = motion_of(bone, knees[0], labels, registrations[number - 1] if number else None, side)
        if motion is None:
            state[number] = RowState.FAILED
            notes.append(f"{bone}: {reason}, {name} is not measured.")
            continue
        motions[number] = motion
        if not (labels.data == bone.cartilage).any():
            review.add(number)
            notes.append(
                f"{bone}: the {name} label map holds no cartilage of it, so that all of its joint surface counts as "
                "denuded. Accept this, or correct the map."
            )
    if 0 not in motions:
        return _Bone(result=None, at=(), state=state, review=frozenset(), notes=tuple(notes))
    at = tuple(motions)
    try:
        result = _in_fixed_order(bone, [knees[n] for n in at], [motions[n] for n in at], parameters)
    except MeasurementError as error:
        return _Bone(result=None, at=(), state=state, review=frozenset(), notes=(*notes, str(error)))
    notes += [*result.carried.reasons, *_losses(bone, result, at, len(knees))]
    if result.carried.verdict is not Verdict.GOOD:
        review.update(at)
    return _Bone(result=result, at=at, state=state, review=frozenset(review), notes=tuple(notes))


def _name_of(number: int, visits: int) -> str:
    """Name of a visit in a note: the library knows no visit ids."""
    if number == 0:
        return "baseline"
    return "follow-up" if visits == PAIR else f"follow-up {number}"


def _drawn(labels: LabelMap, bone: Bone) -> bool:
    """Whether a map shows this bone and draws cartilage at all; where it draws some, a bone without any is bare."""
    cartilage = [other.cartilage for other in Bone]
    return bool((labels.data == bone.label).any() and labels.mask(*cartilage).any())


def _in_fixed_order(
    bone: Bone, labels: Sequence[LabelMap], motions: Sequence[RigidTransform], parameters: MeasureParameters
) -> BoneResult:
    """Measure in the order that the content gives, and give back the order asked for."""
    poses: list[Pose] = in_fixed_order(labels, motions)
    result = measure_bone(bone, [labels[p.number] for p in poses], [p.to_visit for p in poses], parameters)
    back = sorted(range(len(poses)), key=lambda n: poses[n].number)
    return replace(result, visits=tuple(result.visits[n] for n in back))


def _losses(bone: Bone, result: BoneResult, at: Sequence[int], visits: int) -> list[str]:
    """Say which regions a visit does not show, in sentences."""
    notes = []
    for number, visit in zip(at, result.visits, strict=True):
        for state, why in (
            (RowState.CUT, "the field of view ends inside"),
            (RowState.FAILED, "no thickness could be measured in part of"),
        ):
            names = [region for region, found in visit.lost.items() if found is state]
            if names:
                notes.append(f"{bone}, {_name_of(number, visits)}: {why} {', '.join(names)}.")
    return notes


def _lesions(bones: Mapping[Bone, _Bone], visits: int, parameters: MeasureParameters) -> list[list[Defect]]:
    """Lesions of every visit; each later visit is compared with baseline, and baseline with the last one measured."""
    found: list[list[Defect]] = [[] for _ in range(visits)]
    for bone, part in bones.items():
        if part.result is None:
            continue
        first, *later = [find_lesions(visit.bed, PREFIX[bone], parameters) for visit in part.result.visits]
        old = [lesion.defect for lesion in first]
        for number, lesions in zip(part.at[1:], later, strict=True):
            old, new = match(first, lesions, part.result.surface.area_mm2, parameters)
            found[number].extend(new)
        found[0].extend(old)
    return found


def _visit(
    bones: Mapping[Bone, _Bone], number: int, defects: list[Defect], parameters: MeasureParameters
) -> VisitMeasurement:
    shown = {bone: visit for bone, part in bones.items() if (visit := part.visit(number)) is not None}
    rows: list[RegionValue] = []
    samples = joined([visit.samples for visit in shown.values()]) if shown else None
    for region, leaves in REGIONS.items():
        lacking = sorted(bone_of(region) - set(shown))
        lost = [visit.lost[leaf] for visit in shown.values() for leaf in leaves if leaf in visit.lost]
        if lacking or samples is None:
            rows.extend(blank(region, bones[lacking[0]].state.get(number, RowState.FAILED)))
        elif lost:
            rows.extend(blank(region, lost[0]))
        elif any(number in bones[bone].review for bone in bone_of(region)):
            rows.extend(_for_review(region_values(region, samples, parameters.figure)))
        else:
            rows.extend(region_values(region, samples, parameters.figure))
    return VisitMeasurement(
        thickness={bone: visit.thickness for bone, visit in shown.items()},
        to_visit={bone: visit.to_visit for bone, visit in shown.items()},
        regions=tuple(rows),
        defects=tuple(defects),
    )


def _for_review(rows: tuple[RegionValue, ...]) -> list[RegionValue]:
    """Mark measured rows: a person has to accept them before they count."""
    return [replace(row, state=RowState.NEEDS_REVIEW) if row.state is RowState.MEASURED else row for row in rows]
