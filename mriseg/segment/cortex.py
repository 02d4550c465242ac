"""The dark shell of a bone belongs to it.

Cortical bone hardly signals in any sequence, so that a network that has to find bones in every contrast tends to stop
at their marrow. Within 1.5 mm of a bone's surface, 3 mm of a tibial shaft's, a shell is told from marrow and from what
lies around by the intensities of the image (:mod:`mriseg.segment.sharpen`), and joined to the bone
(docs/decisions/0009 and 0010).
"""

from __future__ import annotations

import edt
import numpy as np
from scipy import ndimage
from scipy.special import expit

from mriseg.segment.inference import of_each_bone
from mriseg.segment.labelling import LABELS, MASK, box_around
from mriseg.segment.resample import F32
from mriseg.segment.sharpen import BLUR, weigh
from mriseg.surfaces import to_other_side
from mriseg.types import Bone, FloatArray

Found = tuple[tuple[slice, ...], MASK, MASK]
REACH_MM = 1.5
THICKER = {Bone.TIBIA: 2.0}  # as many times as thick is the cortex of its shaft, 30 mm and more from its cartilage
JOINT_MM, SHAFT_MM = 10.0, 30.0  # distances from cartilage between which it gets thicker
SHELL = 0.6  # prior that a voxel on the surface is cortex; it falls to 0 at the reach
FLAT_MM = 0.3  # as far from the surface it does not fall yet
EDGE_MM = 0.6  # how sharply the network's surface parts marrow from what lies around
TRUST = 1.0  # cortex differs from marrow and from most of what lies around, unlike cartilage from fluid
SMOOTH = 0.7  # SD in voxels of the finest axis: a surface is smooth


def draw_cortex(labels: LABELS, image: F32, spacing_mm: FloatArray, *, threads: int = 0) -> LABELS:
    """Move the surfaces of bones to where the image shows their outside; cartilage and what it touches stays.

    Parameters
    ----------
    labels : array, (I, J, K)
        Values of :class:`~mriseg.types.Label`.
    image : array, (I, J, K)
        Any intensity unit; one without contrast leaves the surfaces within half a voxel.
    spacing_mm : array, (3,)
        Voxel size.
    threads : int
        Bones that are judged at once; 0 for as many as there are.

    Returns
    -------
    array, (I, J, K)
        A copy; the same as ``labels`` where no bone was found.
    """
    result = labels.copy()
    for bone, (box, band, inside) in of_each_bone(lambda bone: found(bone, labels, image, spacing_mm), threads):
        part = result[box]
        part[band & (part == bone.label) & ~inside] = 0
        part[band & (part == 0) & inside] = bone.label
    return result


def found(bone: Bone, labels: LABELS, image: F32, spacing_mm: FloatArray) -> Found | None:
    """Where one bone is, the mask of voxels about its surface that may change, and what lies inside its cortex."""
    most = REACH_MM * THICKER.get(bone, 1.0)
    box = box_around(labels == bone.label, margin=int(np.ceil(most / spacing_mm.min())) + 2)
    if box is None:
        return None
    part = labels[box]
    own = part == bone.label
    depth = signed_mm(own, spacing_mm)
    reach = np.where(own, REACH_MM, reach_mm(part, bone, spacing_mm)).astype(np.float32)
    cartilage = np.isin(part, [b.cartilage for b in Bone])
    band = (np.abs(depth) <= reach) & (own | (part == 0)) & ~ndimage.binary_dilation(cartilage, iterations=2)
    voxels = float(spacing_mm.min()) / spacing_mm
    around = ndimage.gaussian_filter(image[box], BLUR * voxels, truncate=2)
    inside = own.astype(np.float32)
    if band.any():
        inside[band] = 1 - weigh(prior(depth[band], reach[band]), image[box][band], around[band], TRUST)[0]
    return box, band, ndimage.gaussian_filter(inside, SMOOTH * voxels, truncate=2) > 0.5


def signed_mm(mask: MASK, spacing_mm: FloatArray) -> F32:
    """Distance in mm to the other side of a mask, negative inside; of any number of axes, as many as ``spacing_mm``."""
    distance = to_other_side(mask, spacing_mm)
    return np.asarray(np.where(mask, -distance, distance), dtype=np.float32)


def reach_mm(labels: LABELS, bone: Bone, spacing_mm: FloatArray) -> F32 | float:
    """How far outside a bone's surface its cortex may end, in mm, for each voxel (I, J, K)."""
    if bone not in THICKER:
        return REACH_MM
    off = edt.edt(labels != bone.cartilage, anisotropy=tuple(spacing_mm.tolist()))
    along = np.clip((off - JOINT_MM) / (SHAFT_MM - JOINT_MM), 0, 1)
    return np.asarray(REACH_MM * (1 + (THICKER[bone] - 1) * along), dtype=np.float32)


def prior(depth: F32, reach: F32) -> F32:
    """Fractions (3, N) of surroundings, marrow and cortex at ``depth`` mm, (N,), outside a bone's surface.

    Cortex may be as far as ``reach`` mm, (N,), from it.
    """
    flat = FLAT_MM / REACH_MM
    shell = SHELL * np.clip(1 - np.clip(np.abs(depth) / reach - flat, 0, None), 0, 1)
    marrow = expit(-depth / EDGE_MM)
    return np.asarray(np.stack([(1 - shell) * (1 - marrow), (1 - shell) * marrow, shell]), dtype=np.float32)
