"""Fractions on the network's grid to one label a voxel on the image's grid, at sub-voxel accuracy.

Two boundaries are followed for each bone: of the bone, and of bone and cartilage together. Each is the half-way level
of a fraction that is interpolated to the image's grid, so that there are no steps of the coarser grid, and a cartilage
layer thinner than a coarse voxel keeps its thickness.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mriseg.segment.resample import F32, Matrices, apply_axes
from mriseg.types import Bone

LABELS = npt.NDArray[np.uint8]
FILM = 0.3  # cartilage is drawn only where the network sees at least this fraction of it nearby


def label_voxels(fractions: F32, back: Matrices) -> tuple[LABELS, F32]:
    """Label of each voxel of the image, and how sure the network is of it.

    Parameters
    ----------
    fractions : array, (7, i, j, k)
        Fractions of background and labels on the network's grid.
    back : three matrices
        From the network's grid to the image's (:func:`~mriseg.segment.resample.there_and_back`).

    Returns
    -------
    labels : array, (I, J, K)
        Values of :class:`~mriseg.types.Label`, 0 elsewhere.
    union : array, (I, J, K)
        Largest fraction of bone and cartilage together over the three bones.
    """
    shape = (back[0].shape[0], back[1].shape[0], back[2].shape[0])
    labels = np.zeros(shape, np.uint8)
    best = np.full(shape, 0.5, np.float32)
    for bone in Bone:
        own, cartilage = fractions[bone.label], fractions[bone.cartilage]
        if own.max() < 0.5:
            continue
        union = apply_axes(own + cartilage, back)
        wins = union > best
        if not wins.any():
            continue
        core = apply_axes(own, back) > 0.5
        layer = wins & ~core & (apply_axes(widest(cartilage), back) > FILM)
        labels[wins & core] = bone.label
        labels[layer] = bone.cartilage
        best[wins & (core | layer)] = union[wins & (core | layer)]
    return labels, best


def widest(fraction: F32) -> F32:
    """Largest fraction among a voxel and its six neighbours, shape (I, J, K)."""
    result = fraction.copy()
    for axis in range(3):
        line = np.moveaxis(fraction, axis, 0)
        out = np.moveaxis(result, axis, 0)
        np.maximum(out[1:], line[:-1], out=out[1:])
        np.maximum(out[:-1], line[1:], out=out[:-1])
    return result
