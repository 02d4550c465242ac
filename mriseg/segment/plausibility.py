"""Is this a knee, and a whole one? Ends in ``needs-review`` with reasons rather than in a wrong number."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mriseg.errors import SegmentationError
from mriseg.geometry import apply_affine
from mriseg.segment.shape import shape_doubts
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
CUT_MM2 = 12.0  # cartilage on the outermost slice; whole knees of the OAI show none
LEAST_CONFIDENCE = {True: 0.70, False: 0.55}  # bone, cartilage
SMALLEST_FIELD_MM = 30.0


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
    reasons += shape_doubts(label_map)
    for label, value in confidence.items():
        if value < LEAST_CONFIDENCE[label in {bone.label for bone in Bone}]:
            reasons.append(f"The network is unsure of the {name(label)} (confidence {value:.2f}).")
    return tuple(reasons)


def name(label: Label) -> str:
    """Name of a label for a sentence."""
    return label.name.lower().replace("_", " ")


def _volumes(label_map: LabelMap) -> list[str]:
    reasons = []
    for label, (low, high) in VOLUME_MM3.items():
        volume = volume_mm3(label_map, label)
        if volume == 0:
            reasons.append(f"No {name(label)} was found.")
        elif not low <= volume <= high:
            reasons.append(
                f"The {name(label)} measures {volume / 1000:.1f} ml, expected {low / 1000:g} to {high / 1000:g} ml."
            )
    return reasons


def volume_mm3(label_map: LabelMap, label: Label) -> float:
    """Volume of one label in mm3."""
    return float(np.count_nonzero(label_map.data == label)) * label_map.grid.voxel_mm3


def _arrangement(label_map: LabelMap) -> list[str]:
    centres = {bone: centre_mm(label_map, bone.label) for bone in Bone}
    femur, tibia, patella = centres[Bone.FEMUR], centres[Bone.TIBIA], centres[Bone.PATELLA]
    if femur is None or tibia is None or patella is None:
        return []
    reasons = []
    up, ahead, aside = femur[2] - tibia[2], patella[1] - femur[1], abs(femur[0] - tibia[0])
    if not 25 <= up <= 130:
        reasons.append(f"The femur lies {up:.0f} mm above the tibia (centres), expected 25 to 130 mm.")
    if not 20 <= ahead <= 80:
        reasons.append(f"The patella lies {ahead:.0f} mm in front of the femur (centres), expected 20 to 80 mm.")
    if aside > 30:
        reasons.append(f"Femur and tibia lie {aside:.0f} mm side by side (centres), expected at most 30 mm.")
    return reasons


def centre_mm(label_map: LabelMap, label: Label) -> FloatArray | None:
    """Centre of one label in RAS mm, shape (3,); None where it is absent."""
    mask = label_map.data == label
    if not mask.any():
        return None
    profiles = [mask.sum(axis=tuple(a for a in range(3) if a != axis)) for axis in range(3)]
    voxel = np.array([np.average(np.arange(len(profile)), weights=profile) for profile in profiles])
    return apply_affine(label_map.grid.affine, voxel)


def _thickness(label_map: LabelMap) -> list[str]:
    reasons = []
    for bone in Bone:
        area, volume = contact_mm2(label_map, bone), volume_mm3(label_map, bone.cartilage)
        if area > 0 and not THICKNESS_MM[0] <= volume / area <= THICKNESS_MM[1]:
            reasons.append(
                f"The {name(bone.cartilage)} is {volume / area:.1f} mm thick on average, expected "
                f"{THICKNESS_MM[0]:g} to {THICKNESS_MM[1]:g} mm."
            )
    return reasons


def contact_mm2(label_map: LabelMap, bone: Bone) -> float:
    """Area of contact between a bone and its cartilage in mm2, to within a fifth where it is curved.

    Shared voxel faces overstate a surface by 1 (along an axis) to 1.73; 1.5 is the mean over all orientations.
    """
    core, layer = label_map.data == bone.label, label_map.data == bone.cartilage
    spacing = label_map.grid.spacing_mm
    area = 0.0
    for axis in range(3):
        c, v = np.moveaxis(core, axis, 0), np.moveaxis(layer, axis, 0)
        faces = np.count_nonzero(c[:-1] & v[1:]) + np.count_nonzero(v[:-1] & c[1:])
        area += faces * float(np.prod(spacing) / spacing[axis])
    return area / 1.5


def _border(label_map: LabelMap) -> list[str]:
    """Cartilage that reaches the edge of the image: the field of view ends inside the joint."""
    reasons = []
    for bone in Bone:
        faces = [label_map.data.take(n, axis=axis) == bone.cartilage for axis in range(3) for n in (0, -1)]
        sizes = [label_map.grid.voxel_mm3 / label_map.grid.spacing_mm[axis] for axis in range(3) for _ in range(2)]
        area = sum(np.count_nonzero(face) * size for face, size in zip(faces, sizes, strict=True))
        if area > CUT_MM2:
            reasons.append(f"The {name(bone.cartilage)} reaches the edge of the image: part of the joint is cut off.")
    return reasons
