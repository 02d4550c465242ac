"""The shafts of femur and tibia go on to the edge of the image.

A network sees little about the outermost slices, and leaves the end of a shaft ragged or short. From where its sections
are whole a shaft is carried on, as far as the image shows its dark cortex: the distance to its surface changes along it
as it did before (docs/decisions/0010).
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from mriseg.segment.cortex import signed_mm
from mriseg.segment.labelling import LABELS
from mriseg.segment.resample import F32
from mriseg.types import Bone, FloatArray

STEP_MM = 5.0
DROP = 0.85  # a whole section has at least this share of the area of the one 5 mm nearer to the joint
LONGEST_MM = 35.0  # end that is looked at
SMALLEST_MM2 = 200.0  # section of a shaft
TAPER = 0.35  # mm of radius a mm of length, at most
SMOOTH_MM = 3.0
SEEN = 0.15  # share of a whole section's contrast of cortex that is left where a shaft goes on
NEAR_MM, RIM_MM = 2.0, 0.75
SMOOTH = 0.7  # SD in voxels of the finest axis


def extend_shafts(labels: LABELS, image: F32, spacing_mm: FloatArray) -> LABELS:
    """Carry a ragged femur on to the uppermost slice, and a ragged tibia to the lowest.

    Parameters
    ----------
    labels : array, (I, J, K)
        Values of :class:`~mriseg.types.Label` in the right-knee frame (k grows upwards).
    image : array, (I, J, K)
        Any intensity unit. A shaft ends where no shell darker than its inside is seen about it, as in padding.
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
    steps = np.clip((at - before) / (2 * step), -most, most)
    change = np.asarray(ndimage.gaussian_filter(steps, SMOOTH_MM / spacing_mm[:2]), dtype=np.float32)
    clear = SEEN * shell(image[:, :, last + 2 * step], before, spacing_mm)
    for k in reversed(range(last if clear > 0 else 0)):
        depth = at + np.float32(last - k) * change
        if shell(image[:, :, k], depth, spacing_mm) < clear:
            return
        section = labels[:, :, k]
        section[(section == 0) & (depth < 0)] = bone.label


def shell(section: F32, depth: F32, spacing_mm: FloatArray) -> float:
    """How much darker an image's ``section`` (I, J) is about a surface than inside; ``depth`` (I, J) in mm from it.

    Least intensities within 2 mm are compared, so that the surface may be a little off; 0 where there is no inside.
    """
    step = spacing_mm[:2]
    smooth = ndimage.gaussian_filter(section, SMOOTH * float(spacing_mm.min()) / step)
    least = ndimage.minimum_filter(smooth, size=tuple(int(2 * NEAR_MM / s) | 1 for s in step))
    rim = least[np.abs(depth) < max(RIM_MM, 0.5 * float(step.max()))]
    inside = least[depth < -NEAR_MM]
    return float(np.median(inside) - np.median(rim)) if inside.size and rim.size else 0.0


def first_whole(area_mm2: FloatArray, step: int, slice_mm: float) -> int:
    """First slice from which sections of ``area_mm2`` (K,) are whole; 0 where they all are, or none is."""
    looked_at = min(round(LONGEST_MM / slice_mm), len(area_mm2) - 3 * step)
    if looked_at < 1:
        return 0
    inner = area_mm2[step : looked_at + step]
    outer = area_mm2[:looked_at]
    whole = np.flatnonzero((outer >= DROP * inner) & (outer > SMALLEST_MM2))
    return int(whole[0]) + step // 2 if whole.size and whole[0] > 0 else 0
