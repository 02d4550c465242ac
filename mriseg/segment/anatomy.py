"""What anatomy forbids: two femurs, cartilage away from its bone, islands, cavities inside a bone.

Nothing here adds cartilage. A gap in the cartilage may be denuded bone, which is what a trial looks for.
"""

from __future__ import annotations

import cc3d
import edt
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from mriseg.segment.labelling import LABELS, MASK, widened
from mriseg.types import Bone, FloatArray

SMALLEST_PIECE_MM3 = 40.0
NECK_MM = 3.0
CORE, BEYOND_MM = 0.65, 7.0  # 11 real patellas lose 0 to 0.6 % by this rule
FARTHEST_MM = 7.0  # 52 real knees: 5.3 femoral, 6.0 tibial, 6.2 patellar
CROSS = ndimage.generate_binary_structure(3, 1)


def obey_anatomy(labels: LABELS, spacing_mm: FloatArray) -> LABELS:
    """Apply the rules to ``labels`` (I, J, K) of voxel size ``spacing_mm`` (3,); an empty map stays empty.

    1. A bone is one piece. Other pieces of it become the bone that they grow out of, where there is one.
    2. What hangs on the patella by less than 6 mm is not patella.
    3. Nor is what lies more than 7 mm beyond the rim of its core, as deep as 0.65 of its depth: tendons go on from it.
    4. A cavity enclosed by a bone belongs to the bone; one that reaches its surface is left alone.
    5. Cartilage touches its own bone and ends within 7 mm of it. Pieces under 40 mm3 that are apart from the main layer
       are dropped.
    """
    result = one_piece_each(labels)
    _cut_from(result, Bone.PATELLA, spacing_mm)
    reach = int(np.ceil(FARTHEST_MM / spacing_mm.min()))
    boxes = boxes_of(result)
    for bone in Bone:
        if bone.label in boxes:
            _fill_cavities(result[widened(boxes[bone.label], result.shape)], bone)
        if bone.cartilage in boxes:
            _cartilage_on_bone(result[widened(boxes[bone.cartilage], result.shape, reach)], bone, spacing_mm)
    return result


def one_piece_each(labels: LABELS) -> LABELS:
    """Apply the first rule alone; a copy."""
    result = labels.copy()
    for bone in Bone:
        boxes = boxes_of(result)
        if bone.label in boxes:
            _one_piece(result[widened(boxes[bone.label], result.shape)], bone)
    return result


def boxes_of(labels: LABELS) -> dict[int, tuple[slice, ...]]:
    """Smallest box of each label that occurs in (I, J, K)."""
    return {value: box for value, box in enumerate(ndimage.find_objects(labels), start=1) if box is not None}


def _one_piece(part: LABELS, bone: Bone) -> None:
    pieces, sizes = components(part == bone.label)
    main = int(np.argmax(sizes)) + 1
    others = [b for b in Bone if b is not bone]
    for n, inner in enumerate(ndimage.find_objects(pieces), start=1):
        if n == main:
            continue
        where = widened(inner, part.shape)
        piece = pieces[where] == n
        rim = ndimage.binary_dilation(piece, CROSS) & ~piece
        touching = [int((part[where][rim] == b.label).sum()) for b in others]
        winner = int(np.argmax(touching))
        part[where][piece] = others[winner].label if touching[winner] > 0.2 * rim.sum() else 0


def _cut_from(labels: LABELS, bone: Bone, spacing_mm: FloatArray) -> None:
    """Take away what hangs on a bone and is none of it."""
    box = boxes_of(labels).get(bone.label)
    if box is None:
        return
    part, step = labels[widened(box, labels.shape)], tuple(spacing_mm.tolist())
    for strange in (_behind_neck, _far_from_core):
        part[strange(np.ascontiguousarray(part == bone.label), step)] = 0


def _behind_neck(mask: MASK, step: tuple[float, ...]) -> MASK:
    """What is nearer to another core of a mask than to the largest; cores lie ``NECK_MM`` deep."""
    cores, sizes = components(edt.edt(mask, anisotropy=step) > NECK_MM)
    if len(sizes) < 2:
        return np.zeros_like(mask)
    nearest = ndimage.distance_transform_edt(cores == 0, sampling=step, return_distances=False, return_indices=True)
    return np.asarray(mask & (cores[tuple(nearest)] != int(np.argmax(sizes)) + 1), dtype=np.bool_)


def _far_from_core(mask: MASK, step: tuple[float, ...]) -> MASK:
    """What is more than ``BEYOND_MM`` further from the core of a mask than its surface is."""
    depth = edt.edt(mask, anisotropy=step)
    rim = CORE * float(depth.max())
    return np.asarray(mask & (edt.edt(depth < rim, anisotropy=step) > rim + BEYOND_MM), dtype=np.bool_)


def _fill_cavities(part: LABELS, bone: Bone) -> None:
    outside, sizes = components(part != bone.label)
    for n, inner in enumerate(ndimage.find_objects(outside), start=1):
        reaches_edge = any(s.start == 0 or s.stop == size for s, size in zip(inner, part.shape, strict=True))
        if sizes[n - 1] and not reaches_edge:
            part[inner][outside[inner] == n] = bone.label


def _cartilage_on_bone(part: LABELS, bone: Bone, spacing_mm: FloatArray) -> None:
    voxel_mm3 = float(np.prod(spacing_mm))
    off = edt.edt(part != bone.label, anisotropy=tuple(spacing_mm.tolist()), parallel=2)
    part[(part == bone.cartilage) & (off > FARTHEST_MM)] = 0
    pieces, sizes = components(part == bone.cartilage)
    for n, inner in enumerate(ndimage.find_objects(pieces), start=1):
        where = widened(inner, part.shape, 2)
        piece = pieces[where] == n
        near = ndimage.binary_dilation(piece, CROSS, iterations=2) & (part[where] == bone.label)
        small = sizes[n - 1] * voxel_mm3 < SMALLEST_PIECE_MM3 and sizes[n - 1] < max(sizes)
        if small or not near.any():
            part[where][piece] = 0


def components(mask: MASK) -> tuple[npt.NDArray[np.uint32], list[int]]:
    """Connected pieces of a mask, numbered from 1, and their sizes in voxels."""
    pieces = np.asarray(cc3d.connected_components(mask, connectivity=6, out_dtype=np.uint32))
    return pieces, np.bincount(pieces.ravel())[1:].tolist()
