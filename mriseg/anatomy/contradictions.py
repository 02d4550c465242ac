"""What no knee can be: labels that are exchanged, turned, or lie where their structure does not.

These are refusals, not doubts: every limit lies far outside of what real knees show, sick ones and cut ones too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import cc3d
import edt
import numpy as np

from mriseg.geometry import apply_affine, thin
from mriseg.types import Array, Bone, FloatArray, Label, LabelMap


@dataclass(frozen=True, slots=True, kw_only=True)
class AnatomyLimits:
    """Limits of contradiction, with what 52 manual label maps of the OAI (K-L 0 to 4) show.

    Parameters
    ----------
    coarse_mm : float
        Distance to which voxels are thinned first.
    volume_ratio : float
        Largest cartilage to bone (0.03 to 0.25).
    far_mm, share_on : float
        A cartilage voxel is on its bone where that is at most ``far_mm`` away (6.2) and no other bone is nearer; so
        must be at least this share of a cartilage (0.88).
    median_mm : float
        Largest median distance of a cartilage from its bone (2.1).
    piece_mm3, piece_share, gap_mm : float
        A piece of this size and share of its cartilage must come within ``gap_mm`` of its bone (all do, within 1.6).
    tilt_cos : float
        Least cosine between the line from tibia to femur and the upward axis, and between the line from femur to
        patella and the forward axis seen from above (0.94, 0.84): 0.5 is 60 degrees.
    pointer_mm : float
        How far the centre of a cartilage may lie on the wrong side of that of its bone: femur below, tibia above,
        patella behind (none does; the nearest are 18, 18 and 7 mm on the right side).
    """

    coarse_mm: float = 1.5
    volume_ratio: float = 1.0
    far_mm: float = 7.0
    share_on: float = 0.5
    median_mm: float = 4.5
    piece_mm3: float = 300.0
    piece_share: float = 0.1
    gap_mm: float = 3.0
    tilt_cos: float = 0.5
    pointer_mm: float = 4.0


LIMITS = AnatomyLimits()
FACES = {Bone.FEMUR: -np.eye(3)[2], Bone.TIBIA: np.eye(3)[2], Bone.PATELLA: -np.eye(3)[1]}  # bone -> cartilage, RAS


def contradictions(label_map: LabelMap, limits: AnatomyLimits = LIMITS) -> tuple[str, ...]:
    """Statements that contradict anatomy, in plain words; empty where nothing does.

    Parameters
    ----------
    label_map : LabelMap
        In the true world frame (RAS), of either side. A bone or cartilage may be absent: that is no contradiction.
    limits : AnatomyLimits
    """
    coarse = thin(label_map, limits.coarse_mm)
    return (*_exchanged(coarse, limits), *_turned(coarse, limits))


def named(label: int) -> str:
    """Value and name of a label, as in ``2 (femoral cartilage)``."""
    return f"{int(label)} ({Label(label).name.lower().replace('_', ' ')})"


def _exchanged(coarse: LabelMap, limits: AnatomyLimits) -> Iterator[str]:
    """Cartilage that is larger than its bone, or does not lie on it."""
    present = [bone for bone in Bone if (coarse.data == bone.label).any()]
    spacing = tuple(coarse.grid.spacing_mm.tolist())
    away = {bone: edt.edt(coarse.data != bone.label, anisotropy=spacing) for bone in present}
    for bone in present:
        layer = coarse.data == bone.cartilage
        if not layer.any():
            continue
        size, core = np.count_nonzero(layer), np.count_nonzero(coarse.data == bone.label)
        what = f"labels look exchanged: {int(bone.cartilage)} is no cartilage of {int(bone.label)}"
        if size >= limits.volume_ratio * core:
            ml = coarse.grid.voxel_mm3 / 1000
            yield f"{what}: {named(bone.cartilage)} measures {size * ml:.1f} ml, {named(bone.label)} {core * ml:.1f} ml"
        elif reason := _off_its_bone(bone, layer, away, limits):
            yield f"{what}: {reason}"
        elif reason := _loose(bone, layer, away[bone], coarse.grid.voxel_mm3, limits):
            yield reason


def _off_its_bone(bone: Bone, layer: Array, away: dict[Bone, Array], limits: AnatomyLimits) -> str:
    own = away[bone][layer]
    rest = {b: away[b][layer] for b in away if b is not bone}
    nearest = np.min(list(rest.values()), axis=0) if rest else np.full(own.shape, np.inf)
    on = float(np.mean((own <= limits.far_mm) & (own <= nearest)))
    if on >= limits.share_on and np.median(own) <= limits.median_mm:
        return ""
    elsewhere = {b: float(np.mean((d < own) & (d <= limits.far_mm))) for b, d in rest.items()}
    host = max(elsewhere, key=elsewhere.__getitem__, default=None)
    found = f"{100 * on:.0f} % of {named(bone.cartilage)} lies on {named(bone.label)}"
    if host is not None and elsewhere[host] > on:
        return f"{found}, {100 * elsewhere[host]:.0f} % on {named(host.label)}"
    return f"{found}, half of it more than {np.median(own):.1f} mm away"


def _loose(bone: Bone, layer: Array, away: Array, voxel_mm3: float, limits: AnatomyLimits) -> str:
    """Large pieces of a cartilage that touch nothing of their bone."""
    pieces = cc3d.connected_components(layer, connectivity=26)
    sizes = np.bincount(pieces.ravel())[1:]
    least = max(limits.piece_mm3 / voxel_mm3, limits.piece_share * sizes.sum())
    loose = [n + 1 for n in np.flatnonzero(sizes >= least) if away[pieces == n + 1].min() > limits.gap_mm]
    ml = sum(int(sizes[n - 1]) for n in loose) * voxel_mm3 / 1000
    return f"{ml:.1f} ml of {named(bone.cartilage)} lies apart from {named(bone.label)}" if loose else ""


def _turned(coarse: LabelMap, limits: AnatomyLimits) -> Iterator[str]:
    """Bones that lie in the wrong order, or carry their cartilage on the wrong face."""
    centre = {label: _centre_mm(coarse, label) for label in Label if (coarse.data == label).any()}
    wrong = []
    for bone, outward in FACES.items():
        if bone.label in centre and bone.cartilage in centre:
            along = float((centre[bone.cartilage] - centre[bone.label]) @ outward)
            if along < -limits.pointer_mm:
                side = {Bone.FEMUR: "above", Bone.TIBIA: "below", Bone.PATELLA: "in front of"}[bone]
                wrong.append(f"{named(bone.cartilage)} lies {-along:.0f} mm {side} the middle of {named(bone.label)}")
    for one, two in combinations(Bone, 2):
        if one.label in centre and two.label in centre:
            wrong += _misplaced(one, two, centre[two.label] - centre[one.label], limits)
    if wrong:
        bones = ", ".join(str(bone) for bone in Bone if bone.label in centre)
        yield (
            f"the orientation of the file, or the order of its labels, is no knee's: {'; '.join(wrong)}. Nothing of it "
            f"can be measured ({bones})"
        )


def _misplaced(one: Bone, two: Bone, line_mm: FloatArray, limits: AnatomyLimits) -> list[str]:
    """Wrong places of two bones by the line between their centres, RAS mm."""
    if (one, two) == (Bone.FEMUR, Bone.TIBIA) and -line_mm[2] < limits.tilt_cos * np.linalg.norm(line_mm):
        return [f"{named(one.label)} does not lie above {named(two.label)}"]
    if (one, two) == (Bone.FEMUR, Bone.PATELLA) and line_mm[1] < limits.tilt_cos * np.linalg.norm(line_mm[:2]):
        return [f"{named(two.label)} does not lie in front of {named(one.label)}"]
    if (one, two) == (Bone.TIBIA, Bone.PATELLA) and line_mm[2] < 0:
        return [f"{named(two.label)} lies below {named(one.label)}"]
    return []


def _centre_mm(coarse: LabelMap, label: Label) -> FloatArray:
    return apply_affine(coarse.grid.affine, np.argwhere(coarse.data == label).mean(axis=0))
