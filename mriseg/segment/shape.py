"""Do the bones have the shape of a knee? The atlas is laid onto each, and what it has to give is judged."""

from __future__ import annotations

from mriseg.atlas import Carried, carry, load_atlas
from mriseg.errors import GeometryError
from mriseg.geometry import thin
from mriseg.segment.inference import of_each_bone
from mriseg.surfaces import extract_surface
from mriseg.types import Bone, LabelMap

COARSE_MM = 1.4  # fine enough for a fit that is judged in millimetres, and ten times quicker than the image's grid
SMOOTHING_MM = 1.0
# Largest of 52 manually segmented OAI knees (K-L 0 to 4) on this coarse grid, and a fifth more: residual .37 mm, bend
# 1.9, 1.4 and 1.3 mm. Slices of 3.5 mm change neither.
RESIDUAL_MM = 0.45
BEND_MM = {Bone.FEMUR: 2.4, Bone.TIBIA: 1.8, Bone.PATELLA: 1.7}
LEAST_SEEN = 0.8  # of the joint surface; those 52 show 96 % and more
LEAST_MM3 = 3_000.0  # a smaller piece is no bone, which the volumes say already


def shape_doubts(label_map: LabelMap) -> list[str]:
    """Reasons to doubt the shape of each bone of ``label_map``, which is in the right-knee frame.

    A bone that is absent or smaller than 3 ml is passed over: its volume is doubted elsewhere.
    """
    coarse = thin(label_map, COARSE_MM)
    return [reason for _, found in of_each_bone(lambda bone: doubts_of(bone, coarse), 0) for reason in found]


def doubts_of(bone: Bone, coarse: LabelMap) -> list[str]:
    """Reasons to doubt the shape of one bone of a coarse label map."""
    mask = coarse.mask(bone.label)
    if mask.sum() * coarse.grid.voxel_mm3 < LEAST_MM3:
        return []
    try:
        surface = extract_surface(mask, coarse.grid, smoothing_mm=SMOOTHING_MM)
        return judged(bone, carry(load_atlas()[bone], bone, surface))
    except GeometryError:
        return [f"The {bone} has no surface in the image."]


def judged(bone: Bone, fitted: Carried) -> list[str]:
    """Reasons to doubt a bone after the fit: stricter than measuring is, which must cope with every real knee."""
    reasons = []
    if fitted.residual_mm > RESIDUAL_MM:
        reasons.append(f"the atlas lies {fitted.residual_mm:.2f} mm off it (expected under {RESIDUAL_MM} mm)")
    if fitted.bend_mm > BEND_MM[bone]:
        reasons.append(f"it differs from the atlas by {fitted.bend_mm:.1f} mm (expected under {BEND_MM[bone]} mm)")
    if fitted.seen < LEAST_SEEN:
        reasons.append(f"only {100 * fitted.seen:.0f} % of its joint surface is in the image")
    return [f"The shape of the {bone} is doubtful: {'; '.join(reasons)}."] if reasons else []
