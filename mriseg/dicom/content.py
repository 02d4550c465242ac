"""What only the pixels can tell: whether slices are blank, and whether a volume holds one knee or two."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import uniform_filter1d

from mriseg.types import Array, FloatArray, IntArray, Volume

WIDE_MM = 220.0  # a coil for one knee sees less
VALLEY = 0.15  # of the lower of two peaks
VALLEY_MM = 5.0
LEAST_SHARE = 0.2  # of the whole signal on either side
SMOOTH_MM = 5.0
SPARSE = 8  # a first look at every eighth row and column, which is enough for all but blank slices


def blank_inside(slices: Array) -> IntArray:
    """Return the numbers of slices, (N, rows, columns), that hold one value throughout between slices with an image.

    Noise makes this impossible in what a scanner measured: such a file was damaged on its way. Blank slices at an end
    may be those of a slab that was filled up.
    """
    filled = np.array([_varies(s[::SPARSE, ::SPARSE]) or _varies(s) for s in slices])
    inside = np.flatnonzero(filled)
    blank = np.flatnonzero(~filled)
    return blank[(blank > inside[0]) & (blank < inside[-1])] if len(inside) else blank[:0]


def _varies(image: Array) -> bool:
    return bool(image.min() != image.max())


def holds_two_knees(volume: Volume) -> bool:
    """Whether the signal falls into two parts, left and right, with air between them.

    The grid must have its first axis closest to the right. False for an image without signal.
    """
    step = float(volume.grid.spacing_mm[0])
    if volume.grid.shape[0] * step < WIDE_MM:
        return False
    profile = np.abs(volume.data).mean(axis=(1, 2), dtype=np.float64)
    profile = uniform_filter1d(profile - np.percentile(profile, 5), max(1, round(SMOOTH_MM / step)))
    middle = slice(len(profile) // 5, len(profile) - len(profile) // 5)
    return _parts(profile, int(np.argmin(profile[middle])) + middle.start, step)


def _parts(profile: FloatArray, cut: int, step: float) -> bool:
    """Whether the profile has a wide enough valley at ``cut`` and much signal on both sides."""
    left, right = np.maximum(profile[:cut], 0), np.maximum(profile[cut:], 0)
    total = left.sum() + right.sum()
    if total <= 0 or min(left.sum(), right.sum()) < LEAST_SHARE * total:
        return False
    low = profile < VALLEY * min(left.max(), right.max())
    if not low[cut]:
        return False
    high = np.flatnonzero(~low)
    before, after = high[high < cut], high[high > cut]
    return bool(len(before) and len(after) and (after[0] - before[-1] - 1) * step >= VALLEY_MM)
