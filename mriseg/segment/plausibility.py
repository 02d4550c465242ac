"""Is this a knee, and a whole one? Ends in ``needs-review`` with reasons rather than in a wrong number."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mriseg.errors import SegmentationError
from mriseg.types import Bone, FloatArray, Label, LabelMap, Volume

# Range of 52 manually segmented OAI knees (K-L 0 to 4, both sexes), widened by a third of its ends.
VOLUME_MM3: Mapping[Label, tuple[float, float]] = {
    Label.FEMUR: (50_000, 400_000),
    Label.FEMORAL_CARTILAGE: (4_000, 36_000),
    Label.TIBIA: (30_000, 250_000),
    Label.TIBIAL_CARTILAGE: (1_200, 12_000),
    Label.PATELLA: (6_000, 45_000),
    Label.PATELLAR_CARTILAGE: (500, 7_500),
}
THICKNESS_MM = (0.6, 4.5)
LEAST_CONFIDENCE = {True: 0.70, False: 0.55}  # bone, cartilage
SMALLEST_FIELD_MM = 50.0


def refuse_unusable(volume: Volume) -> None:
    """Raise where an image cannot be a knee MR at all.

    Raises
    ------
    SegmentationError
        For an image without contrast, in Hounsfield units, or smaller than a knee joint.
    """
    data = volume.data
    if float(np.ptp(data)) == 0:
        raise SegmentationError(
            f"The image is empty: every voxel is {float(data.flat[0]):g}. Convert the series again."
        )
    if float((data < -500).mean()) > 0.05:
        raise SegmentationError(
            "The image holds values below -500 in more than 5 % of its voxels, as CT in Hounsfield units does; "
            "expected an MR magnitude image."
        )
    field = volume.grid.spacing_mm * volume.grid.shape
    if float(field.min()) < SMALLEST_FIELD_MM or min(volume.grid.shape) < 8:
        raise SegmentationError(
            f"The image spans {' x '.join(f'{f:.0f}' for f in field)} mm in {volume.grid.shape} voxels; expected a "
            f"three-dimensional stack of at least {SMALLEST_FIELD_MM:.0f} mm along each axis."
        )


def doubts(label_map: LabelMap, confidence: Mapping[Label, float]) -> tuple[str, ...]:
    """Reasons, in plain sentences, why a person should look at a segmentation; empty where there are none.

    ``label_map`` is in the right-knee frame with canonical axes (i right, j front, k up).
    """
    reasons = [*_volumes(label_map), *_arrangement(label_map), *_thickness(label_map), *_border(label_map)]
    for label, value in confidence.items():
        if value < LEAST_CONFIDENCE[label in {bone.label for bone in Bone}]:
            reasons.append(f"The network is unsure of the {name(label)} (confidence {value:.2f}).")
    return tuple(reasons)


def name(label: Label) -> str:
    """Name of a label for a sentence."""
    return label.name.lower().replace("_", " ")


def _volumes(label_map: LabelMap) -> list[str]:
    counts = np.bincount(label_map.data.ravel(), minlength=len(Label) + 1)
    reasons = []
    for label, (low, high) in VOLUME_MM3.items():
        volume = float(counts[label]) * label_map.grid.voxel_mm3
        if volume == 0:
            reasons.append(f"No {name(label)} was found.")
        elif not low <= volume <= high:
            reasons.append(
                f"The {name(label)} measures {volume / 1000:.1f} ml, expected {low / 1000:g} to {high / 1000:g} ml."
            )
    return reasons


def _arrangement(label_map: LabelMap) -> list[str]:
    centres = {bone: _centre(label_map, bone.label) for bone in Bone if label_map.mask(bone.label).any()}
    if len(centres) < len(Bone):
        return []
    reasons = []
    up = centres[Bone.FEMUR][2] - centres[Bone.TIBIA][2]
    ahead = centres[Bone.PATELLA][1] - centres[Bone.FEMUR][1]
    aside = abs(centres[Bone.FEMUR][0] - centres[Bone.TIBIA][0])
    if not 25 <= up <= 130:
        reasons.append(f"The femur lies {up:.0f} mm above the tibia (centres), expected 25 to 130 mm.")
    if not 20 <= ahead <= 80:
        reasons.append(f"The patella lies {ahead:.0f} mm in front of the femur (centres), expected 20 to 80 mm.")
    if aside > 30:
        reasons.append(f"Femur and tibia lie {aside:.0f} mm side by side (centres), expected at most 30 mm.")
    return reasons


def _centre(label_map: LabelMap, label: Label) -> FloatArray:
    voxels = np.argwhere(label_map.data == label).mean(axis=0)
    return np.asarray(label_map.grid.affine[:3, :3] @ voxels + label_map.grid.affine[:3, 3], dtype=np.float64)


def _thickness(label_map: LabelMap) -> list[str]:
    reasons = []
    for bone in Bone:
        area = contact_mm2(label_map, bone)
        volume = float(label_map.mask(bone.cartilage).sum()) * label_map.grid.voxel_mm3
        if area > 0 and not THICKNESS_MM[0] <= volume / area <= THICKNESS_MM[1]:
            reasons.append(
                f"The {name(bone.cartilage)} is {volume / area:.1f} mm thick on average, expected "
                f"{THICKNESS_MM[0]:g} to {THICKNESS_MM[1]:g} mm."
            )
    return reasons


def contact_mm2(label_map: LabelMap, bone: Bone) -> float:
    """Area of contact between a bone and its cartilage in mm2, to within a fifth.

    Shared voxel faces overstate a surface by 1 (along an axis) to 1.73; 1.5 is the mean over all orientations.
    """
    data, spacing = label_map.data, label_map.grid.spacing_mm
    faces = []
    for axis in range(3):
        lower = np.moveaxis(data, axis, 0)[:-1]
        upper = np.moveaxis(data, axis, 0)[1:]
        pairs = ((lower == bone.label) & (upper == bone.cartilage)) | (
            (lower == bone.cartilage) & (upper == bone.label)
        )
        faces.append(float(pairs.sum()) * float(np.prod(spacing) / spacing[axis]))
    return float(np.sum(faces)) / 1.5


def _border(label_map: LabelMap) -> list[str]:
    """Cartilage that reaches the edge of the image: the field of view ends inside the joint."""
    reasons = []
    for bone in Bone:
        mask = label_map.mask(bone.cartilage)
        total = int(mask.sum())
        if not total:
            continue
        edge = sum(int(np.take(mask, n, axis=axis).sum()) for axis in range(3) for n in (0, -1))
        area = edge / total * max(mask.shape)
        if edge > 30 and area > 0.5:
            reasons.append(f"The {name(bone.cartilage)} reaches the edge of the image: part of the joint is cut off.")
    return reasons
