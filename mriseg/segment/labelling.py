"""Fractions on the network's grid to one label a voxel on the image's grid, at sub-voxel accuracy.

Two boundaries are followed for each bone: of the bone, and of bone and cartilage together. Each is the half-way level
of a fraction that is interpolated to the image's grid, so that there are no steps of the coarser grid, and a cartilage
layer thinner than a coarse voxel keeps its thickness.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from mriseg.segment.resample import F32, Lines, interpolate, part_of
from mriseg.types import Bone

LABELS = npt.NDArray[np.uint8]
MASK = npt.NDArray[np.bool_]
FILM = 0.3  # cartilage is drawn only where the network sees at least this fraction of it in a neighbouring voxel


def label_voxels(fractions: F32, back: Lines) -> LABELS:
    """Label of each voxel of the image.

    Parameters
    ----------
    fractions : array, (7, i, j, k)
        Fractions of background and labels on the network's grid.
    back : three lines
        Where the image's voxels lie on the network's grid (:func:`~mriseg.segment.resample.there_and_back`).

    Returns
    -------
    array, (I, J, K)
        Values of :class:`~mriseg.types.Label`, 0 elsewhere.
    """
    i, j, k = (len(line.low) for line in back)
    labels = np.zeros((i, j, k), np.uint8)
    best = np.full((i, j, k), 0.5, np.float32)
    for bone in Bone:
        own, cartilage = fractions[bone.label], fractions[bone.cartilage]
        box = box_around(own + cartilage > 0.3)
        if box is None:
            continue
        where, lines = part_of(back, box)
        union = interpolate((own + cartilage)[box], lines)
        wins = union > best[where]
        core = wins & (interpolate(own[box], lines) > 0.5)
        layer = wins & ~core & (interpolate(widest(cartilage[box]), lines) > FILM)
        labels[where][core] = bone.label
        labels[where][layer] = bone.cartilage
        np.copyto(best[where], union, where=core | layer)
    return labels


def box_around(mask: MASK, margin: int = 2) -> tuple[slice, ...] | None:
    """Smallest box that holds a mask, with a margin in voxels; None where the mask is empty."""
    boxes = ndimage.find_objects(mask.astype(np.uint8))
    return widened(boxes[0], mask.shape, margin) if boxes else None


def widened(box: tuple[slice, ...], shape: tuple[int, ...], by: int = 1) -> tuple[slice, ...]:
    """Box that is larger by so many voxels on each side, within (I, J, K)."""
    return tuple(slice(max(0, side.start - by), min(n, side.stop + by)) for side, n in zip(box, shape, strict=True))


def widest(fraction: F32) -> F32:
    """Largest fraction among a voxel and its six neighbours, shape (I, J, K)."""
    result = fraction.copy()
    for axis in range(3):
        line = np.moveaxis(fraction, axis, 0)
        out = np.moveaxis(result, axis, 0)
        np.maximum(out[1:], line[:-1], out=out[1:])
        np.maximum(out[:-1], line[1:], out=out[:-1])
    return result
