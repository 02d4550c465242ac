"""Measure one knee at one or two visits."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from mriseg.anatomy import other, side_of
from mriseg.errors import MeasurementError
from mriseg.geometry import halfway, mirror_transform, to_right_knee
from mriseg.measure.bone_visit import BoneVisit
from mriseg.measure.lesions import find_lesions
from mriseg.measure.matching import match
from mriseg.measure.metrics import REGIONS, Pieces, blank, bone_of, joined, region_values
from mriseg.measure.one_bone import BoneResult, measure_bone
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
class _Knee:
    """The bones that were measured, the state of those that were not by visit, and what a reader should know."""

    bones: Mapping[Bone, BoneResult]
    state: tuple[Mapping[Bone, RowState], ...]
    notes: tuple[str, ...]


def measure(
    baseline: LabelMap,
    followup: LabelMap | None,
    registration: Registration | None,
    *,
    side: Side,
    parameters: MeasureParameters = DEFAULTS,
    side_checked: bool = False,
) -> Measurement:
    """Measure cartilage, denuded area and lesions of one knee, both visits on one bone surface in half-way space.

    Parameters
    ----------
    baseline, followup : LabelMap
        In their own spaces; ``followup`` None for a single visit.
    registration : Registration or None
        Motion of each bone between the visits; needed with a follow-up. A bone that it lacks, or that failed, is
        measured at baseline only and is ``failed`` at follow-up.
    side : Side
    parameters : MeasureParameters
    side_checked : bool
        Whether the caller has compared the shape with the side, or somebody has settled it.

    Raises
    ------
    MeasurementError
        Where a follow-up comes without registration, the baseline is surely the other knee, or no bone can be measured.
    """
    if followup is not None and registration is None:
        raise MeasurementError("Two visits need a registration: run `mriseg register` first.")
    first = to_right_knee(baseline, side)
    second = None if followup is None else to_right_knee(followup, side)
    if not side_checked:
        _check_side(baseline, side)
    # The order of computation comes from the content, so that swapping the visits repeats the same arithmetic.
    swapped = second is not None and _key(second) < _key(first)
    knee = _measure_bones(first, second, registration, side=side, swapped=swapped, parameters=parameters)
    if not knee.bones:
        raise MeasurementError("No bone of this knee can be measured. " + " ".join(knee.notes))
    beds = _lesions(knee, parameters)
    visits = [_visit(knee, n, beds[n]) for n in range(1 if second is None else 2)]
    return Measurement(
        surfaces={bone: result.surface for bone, result in knee.bones.items()},
        baseline=visits[0],
        followup=visits[1] if second is not None else None,
        notes=knee.notes,
    )


def _check_side(labels: LabelMap, side: Side) -> None:
    """Refuse a knee whose three bones are all sure of the other side."""
    shown = side_of(labels)
    if shown.contradicts(side):
        raise MeasurementError(
            f"The label map looks like side {other(side)} but was given as {side}: {shown}. Correct the side, or the "
            "orientation in the file."
        )


def _key(labels: LabelMap) -> bytes:
    return hashlib.sha256(labels.data.tobytes() + labels.grid.affine.tobytes()).digest()


def _measure_bones(
    first: LabelMap,
    second: LabelMap | None,
    registration: Registration | None,
    *,
    side: Side,
    swapped: bool,
    parameters: MeasureParameters,
) -> _Knee:
    bones: dict[Bone, BoneResult] = {}
    state: tuple[dict[Bone, RowState], dict[Bone, RowState]] = ({}, {})
    notes: list[str] = []
    for bone in Bone:
        motion, reason = _motion(bone, first, second, registration, side)
        for n, labels in enumerate((first, second)):
            if labels is not None and not _present(labels, bone):
                state[n][bone] = RowState.MISSING
                notes.append(f"{bone}: bone or cartilage is missing in the {('baseline', 'follow-up')[n]} label map.")
        if reason:
            notes.append(reason)
            state[1].setdefault(bone, RowState.FAILED)
        try:
            result = _measure_one(
                bone, first, second, motion=motion, state=state, swapped=swapped, parameters=parameters
            )
        except MeasurementError as error:
            notes.append(str(error))
            state[0].setdefault(bone, RowState.FAILED)
            state[1].setdefault(bone, RowState.FAILED)
            continue
        if result is not None:
            bones[bone] = result
            notes.extend(result.notes)
    return _Knee(bones=bones, state=state, notes=tuple(notes))


def _present(labels: LabelMap, bone: Bone) -> bool:
    return bool((labels.data == bone.label).any() and (labels.data == bone.cartilage).any())


def _motion(
    bone: Bone, first: LabelMap, second: LabelMap | None, registration: Registration | None, side: Side
) -> tuple[RigidTransform | None, str]:
    """Motion of one bone in the right-knee frame, or None and why follow-up cannot be measured."""
    if second is None or registration is None:
        return None, ""
    if _key(first) == _key(second):
        return RigidTransform.identity(), ""
    found = registration.bones.get(bone)
    if found is None:
        return None, f"{bone}: no registration, follow-up is not measured."
    if found.verdict is Verdict.FAILED:
        return None, f"{bone}: registration failed ({'; '.join(found.reasons)}), follow-up is not measured."
    return mirror_transform(found.transform, side), ""


def _measure_one(
    bone: Bone,
    first: LabelMap,
    second: LabelMap | None,
    *,
    motion: RigidTransform | None,
    state: tuple[dict[Bone, RowState], dict[Bone, RowState]],
    swapped: bool,
    parameters: MeasureParameters,
) -> BoneResult | None:
    """Measure one bone at the visits that show it; results in the order baseline, follow-up."""
    usable = [n for n, labels in enumerate((first, second)) if labels is not None and bone not in state[n]]
    if usable != [0, 1] or motion is None or second is None:
        if usable[:1] != [0]:
            return None
        return measure_bone(bone, [first], [RigidTransform.identity()], parameters)
    if not swapped:
        return measure_bone(bone, [first, second], _half_ways(motion), parameters)
    result = measure_bone(bone, [second, first], _half_ways(motion.inverse()), parameters)
    return replace(result, visits=result.visits[::-1])


def _half_ways(motion: RigidTransform) -> list[RigidTransform]:
    """Half-way space -> first visit, and -> second visit; rounded so that a motion and its inverse's inverse agree."""
    half = halfway(RigidTransform(matrix=np.round(motion.matrix, 9)))
    return [half.inverse(), half]


def _lesions(knee: _Knee, parameters: MeasureParameters) -> tuple[list[Defect], list[Defect]]:
    found: tuple[list[Defect], list[Defect]] = ([], [])
    for bone, result in knee.bones.items():
        lesions = [find_lesions(visit.bed, PREFIX[bone], parameters) for visit in result.visits]
        if len(lesions) == 2:
            old, new = match(lesions[0], lesions[1], result.surface.area_mm2, parameters)
            found[0].extend(old)
            found[1].extend(new)
        else:
            found[0].extend(lesion.defect for lesion in lesions[0])
    return found


def _visit(knee: _Knee, number: int, defects: list[Defect]) -> VisitMeasurement:
    shown: dict[Bone, BoneVisit] = {
        bone: result.visits[number] for bone, result in knee.bones.items() if number < len(result.visits)
    }
    lost = {leaf: state for result in knee.bones.values() for leaf, state in result.lost.items()}
    samples: Pieces | None = joined([visit.samples for visit in shown.values()]) if shown else None
    rows: list[RegionValue] = []
    for region in REGIONS:
        lacking = sorted(bone_of(region) - set(shown))
        if lacking or samples is None:
            rows.extend(blank(region, knee.state[number].get(lacking[0], RowState.FAILED)))
        elif any(leaf in lost for leaf in REGIONS[region]):
            rows.extend(blank(region, next(lost[leaf] for leaf in REGIONS[region] if leaf in lost)))
        else:
            review = any(knee.bones[bone].carried.verdict is not Verdict.GOOD for bone in bone_of(region))
            rows.extend(_for_review(region_values(region, samples)) if review else region_values(region, samples))
    return VisitMeasurement(
        thickness={bone: visit.thickness for bone, visit in shown.items()}, regions=tuple(rows), defects=tuple(defects)
    )


def _for_review(rows: tuple[RegionValue, ...]) -> list[RegionValue]:
    """Mark measured rows: a person has to accept them before they count."""
    return [replace(row, state=RowState.NEEDS_REVIEW) if row.state is RowState.MEASURED else row for row in rows]
