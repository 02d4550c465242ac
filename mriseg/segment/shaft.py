"""The shafts of femur and tibia go on to the edge of the image.

A network sees little about the outermost slices, and leaves the end of a shaft ragged or short. From where its sections
are whole a shaft is carried on: the distance to its surface changes along it as it did before (docs/decisions/0010).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from mriseg.segment.cortex import signed_mm
from mriseg.segment.resample import F32
from mriseg.types import Bone, FloatArray

LABELS = npt.NDArray[np.uint8]
STEP_MM = 5.0
DROP = 0.85  # a whole section has at least this share of the area of the one 5 mm nearer to the joint
LONGEST_MM = 35.0  # end that is looked at
SMALLEST_MM2 = 200.0  # section of a shaft
TAPER = 0.35  # mm of radius a mm of length, at most
SMOOTH_MM = 3.0


def extend_shafts(labels: LABELS, image: F32, spacing_mm: FloatArray) -> LABELS:
    """Carry a ragged femur on to the uppermost slice, and a ragged tibia to the lowest.

    Parameters
    ----------
    labels : array, (I, J, K)
        Values of :class:`~mriseg.types.Label` in the right-knee frame (k grows upwards).
    image : array, (I, J, K)
        Any intensity unit; where it is constant, as in padding, there is no bone.
    spacing_mm : array, (3,)
        Voxel size.

    Returns
    -------
    array, (I, J, K)
        A copy in which background became bone; the same as ``labels`` where shafts are whole, or nowhere so.
    """
    result = labels.copy()
    for bone, outwards in ((Bone.FEMUR, -1), (Bone.TIBIA, 1)):
        extend(result[:, :, ::outwards], image[:, :, ::outwards], bone, spacing_mm)
    return result


def extend(labels: LABELS, image: F32, bone: Bone, spacing_mm: FloatArray) -> None:
    """Carry one bone on towards the first slices of ``labels`` (I, J, K)."""
    own = labels == bone.label
    step = max(1, round(STEP_MM / float(spacing_mm[2])))
    last = first_whole(own.sum(axis=(0, 1)) * float(np.prod(spacing_mm[:2])), step, float(spacing_mm[2]))
    if last == 0:
        return
    at, before = (signed_mm(own[:, :, k], spacing_mm[:2]) for k in (last, last + 2 * step))
    most = TAPER * float(spacing_mm[2])
    change = ndimage.gaussian_filter(np.clip((at - before) / (2 * step), -most, most), SMOOTH_MM / spacing_mm[:2])
    part = image[:, :, : last + 1]
    seen = ndimage.maximum_filter(part, 3) > ndimage.minimum_filter(part, 3)
    for k in range(last):
        section = labels[:, :, k]
        section[(section == 0) & seen[:, :, k] & (at + (last - k) * change < 0)] = bone.label


def first_whole(area_mm2: FloatArray, step: int, slice_mm: float) -> int:
    """First slice from which sections of ``area_mm2`` (K,) are whole; 0 where they all are, or none is."""
    looked_at = min(round(LONGEST_MM / slice_mm), len(area_mm2) - 3 * step)
    if looked_at < 1:
        return 0
    inner = area_mm2[step : looked_at + step]
    outer = area_mm2[:looked_at]
    whole = np.flatnonzero((outer >= DROP * inner) & (outer > SMALLEST_MM2))
    return int(whole[0]) + step // 2 if whole.size and whole[0] > 0 else 0
