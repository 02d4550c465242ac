"""The last detail: about each cartilage, the voxels of the image itself decide, not those of a network's grid.

The rule is that of :mod:`mriseg.segment.sharpen`, on the image's own grid, with the fractions that were found so far as
the prior (docs/decisions/0009).
"""

from __future__ import annotations

import edt
import numpy as np
from scipy import ndimage

from mriseg.segment.inference import of_each_bone
from mriseg.segment.labelling import FILM, LABELS, MASK, box_around, widest
from mriseg.segment.resample import F32, Lines, interpolate, part_of
from mriseg.segment.sharpen import BLUR, weighed
from mriseg.types import Bone, FloatArray

Judged = tuple[tuple[slice, ...], LABELS, MASK]
FAINT = 0.2  # fraction of cartilage about which voxels are judged
REACH_MM = 1.2
SMOOTH = 0.6  # SD in voxels of the finest axis: one noisy voxel makes no hole


def draw_detail(
    labels: LABELS, image: F32, fractions: F32, back: Lines, spacing_mm: FloatArray, *, threads: int = 0
) -> LABELS:
    """Judge the voxels about each cartilage by their own intensities.

    Parameters
    ----------
    labels : array, (I, J, K)
        Values of :class:`~mriseg.types.Label`; they stay as they are away from cartilage.
    image : array, (I, J, K)
        Any intensity unit.
    fractions : array, (7, i, j, k)
        Fractions of background and labels on a coarser grid.
    back : three lines
        Where the image's voxels lie on that grid (:func:`~mriseg.segment.resample.there_and_back`).
    spacing_mm : array, (3,)
        Voxel size of the image.
    threads : int
        Bones that are judged at once; 0 for as many as there are.

    Returns
    -------
    array, (I, J, K)
        A copy; the same as ``labels`` where no cartilage was found.
    """
    result = labels.copy()
    for bone, (where, found, region) in of_each_bone(
        lambda bone: judged(bone, image, fractions, back, spacing_mm), threads
    ):
        write(result[where], found, region, bone)
    return result


def judged(bone: Bone, image: F32, fractions: F32, back: Lines, spacing_mm: FloatArray) -> Judged | None:
    """Where one cartilage is in the image, the label of each voxel there, and the mask of voxels that were judged."""
    box = box_around(fractions[bone.cartilage] > FAINT, margin=4)
    if box is None:
        return None
    where, lines = part_of(back, box)
    shares = np.stack([interpolate(share[box], lines) for share in fractions])
    far = edt.edt(shares[bone.cartilage] <= FAINT, anisotropy=tuple(spacing_mm.tolist()))
    region = np.asarray(far <= REACH_MM, dtype=np.bool_)
    voxels = float(spacing_mm.min()) / spacing_mm
    weighed(image[where], shares, [region], BLUR * voxels)
    for share in shares:
        ndimage.gaussian_filter(share, SMOOTH * voxels, output=share, truncate=2)
    return where, layered(shares, bone), region


def layered(shares: F32, bone: Bone) -> LABELS:
    """Largest label of each voxel of (7, I, J, K), but bone and cartilage against the rest: films keep their place."""
    found: LABELS = shares.argmax(axis=0).astype(np.uint8)
    own, cartilage = shares[bone.label], shares[bone.cartilage]
    film = (own + cartilage > 0.5) & (own <= 0.5) & (widest(cartilage) > FILM)
    found[film] = bone.cartilage
    return found


def write(labels: LABELS, found: LABELS, region: MASK, bone: Bone) -> None:
    """Write what was ``found`` in a region about one cartilage into ``labels``, which other bones keep."""
    own = np.isin(labels, (0, bone.label, bone.cartilage)) | (found == bone.cartilage)
    np.copyto(labels, found, where=region & own)
