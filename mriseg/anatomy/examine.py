"""One look at a label map before anything is measured on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mriseg.anatomy.bones import laid
from mriseg.anatomy.contradictions import contradictions
from mriseg.anatomy.regions import bare_elsewhere
from mriseg.anatomy.side import SideOpinion, opinion
from mriseg.atlas import RigidLay
from mriseg.types import Bone, LabelMap, Side

UNFIT_MM: Mapping[Bone, float] = {Bone.FEMUR: 2.8, Bone.TIBIA: 2.4, Bone.PATELLA: 4.5}


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What a label map says of itself.

    Parameters
    ----------
    contradictions : tuple of str
        Why it can be no knee, in plain words; empty where nothing contradicts anatomy.
    side : SideOpinion
        Which knee the bones look like; without any bone where their labels or their order are wrong.
    """

    contradictions: tuple[str, ...]
    side: SideOpinion


def examine(label_map: LabelMap, side: Side) -> Examination:
    """Look for contradictions in a label map, and for the side that it shows.

    Parameters
    ----------
    label_map : LabelMap
        In the true world frame (RAS), not mirrored.
    side : Side
        Which knee it is said to show.
    """
    if found := contradictions(label_map):
        return Examination(contradictions=found, side=SideOpinion(right={}))
    return examine_laid(label_map, laid(label_map), side)


def examine_laid(label_map: LabelMap, lays: Mapping[Bone, Mapping[Side, RigidLay]], side: Side) -> Examination:
    """Examine a label map whose bones have been laid onto the atlas already (:func:`mriseg.anatomy.bones.laid`)."""
    unfit = _unfit(lays)
    found = contradictions(label_map) or ((unfit,) if unfit else ())
    shown = {bone: fits[side] for bone, fits in lays.items()}
    return Examination(contradictions=found or bare_elsewhere(label_map, shown, side), side=opinion(lays))


def _unfit(lays: Mapping[Bone, Mapping[Side, RigidLay]]) -> str:
    """Say that the orientation of the whole file is wrong, where half of its bones or more fit the atlas in no way.

    Three bones in their order tell the orientation by themselves: what fits ill then is a shape, which is measured or
    not, bone by bone.
    """
    if len(lays) == len(Bone):
        return ""
    off = {bone: min(fit.residual_mm for fit in fits.values()) for bone, fits in lays.items()}
    unfit = [bone for bone in off if off[bone] > UNFIT_MM[bone]]
    if 2 * len(unfit) < len(off) or not unfit:
        return ""
    told = ", ".join(f"{bone} {off[bone]:.1f} mm off" for bone in off)
    return (
        f"the atlas of a knee fits neither as it lies nor mirrored ({told}): the orientation or the voxel size of the "
        f"file is wrong. Nothing of it can be measured ({', '.join(off)})"
    )
