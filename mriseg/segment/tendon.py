"""The tendons of the quadriceps and of the patella are none of the patella.

They go on from its poles as dark as its cortex, so that a network that has to work in any contrast follows them. But a
bone is marrow within a thin shell: what is dark and lies further from marrow than the cortex is thick is tendon
(docs/decisions/0010).
"""

from __future__ import annotations

import edt
import numpy as np
from scipy import ndimage

from mriseg.segment.anatomy import components
from mriseg.segment.labelling import LABELS, MASK, box_around
from mriseg.segment.resample import F32
from mriseg.types import Bone, FloatArray

SHELL_MM = 1.4  # thickness of the cortex of a patella, and half a voxel more that holds some of it
VOXELS = 1.1  # a shell is at least this many voxels thick: in thick slices the outermost show no marrow
CORE = 0.5  # share of the largest depth at which there is marrow only
RIM_MM = 1.0
LESION_MM = 6.0  # half the width of dark marrow, a lesion, that is filled in before distances are taken
CLEAR = 3.0  # SDs of marrow that cortex must differ by
SMOOTH = 1.0  # SD in voxels of the finest axis


def cut_tendons(labels: LABELS, image: F32, spacing_mm: FloatArray) -> LABELS:
    """Take away from the patella what lies further from its marrow than its cortex is thick.

    Parameters
    ----------
    labels : array, (I, J, K)
        Values of :class:`~mriseg.types.Label`.
    image : array, (I, J, K)
        Any intensity unit.
    spacing_mm : array, (3,)
        Voxel size.

    Returns
    -------
    array, (I, J, K)
        A copy; the same as ``labels`` where no patella was found, or where its marrow cannot be told from its cortex
        (as with fat suppression).
    """
    result = labels.copy()
    box = box_around(labels == Bone.PATELLA.label, margin=3)
    if box is None:
        return result
    part = result[box]
    own = np.ascontiguousarray(part == Bone.PATELLA.label)
    marrow = marrow_of(own, image[box], spacing_mm)
    coarsest = float(spacing_mm.max())
    shell_mm = max(SHELL_MM + coarsest / 2, VOXELS * coarsest)
    if marrow.any():
        part[own & (edt.edt(~marrow, anisotropy=tuple(spacing_mm.tolist())) > shell_mm)] = 0
    return result


def marrow_of(own: MASK, image: F32, spacing_mm: FloatArray) -> MASK:
    """Marrow of a bone (I, J, K), its lesions filled in; empty where intensities do not tell it from cortex."""
    step = tuple(spacing_mm.tolist())
    around = ndimage.gaussian_filter(image, SMOOTH * float(spacing_mm.min()) / spacing_mm, truncate=2)
    depth = edt.edt(own, anisotropy=step)
    core = around[depth > CORE * float(depth.max())]
    if not core.size:
        return np.zeros_like(own)
    level = float(np.median(core))
    noise = 1.4826 * float(np.median(np.abs(core - level)))
    rim = own & (depth <= max(RIM_MM, float(depth[own].min())))
    cortex = float(np.percentile(around[rim], 20))
    if level - cortex < CLEAR * noise:
        return np.zeros_like(own)
    return closed(largest(own & (around > (level + cortex) / 2)), step)


def largest(mask: MASK) -> MASK:
    """Largest piece of a mask (I, J, K) that hangs together by more than a voxel; empty where there is none."""
    pieces, sizes = components(ndimage.binary_erosion(mask))
    if not sizes:
        return np.zeros_like(mask)
    return np.asarray(ndimage.binary_dilation(pieces == int(np.argmax(sizes)) + 1) & mask, dtype=np.bool_)


def closed(mask: MASK, step: tuple[float, ...]) -> MASK:
    """Close gaps of a mask (I, J, K) that are narrower than twice ``LESION_MM``."""
    width = [int(LESION_MM / s) + 2 for s in step]
    grown = edt.edt(~np.pad(mask, [(w, w) for w in width]), anisotropy=step) <= LESION_MM
    inner = tuple(slice(w, -w) for w in width)
    return np.asarray(edt.edt(grown, anisotropy=step)[inner] > LESION_MM)
