"""Soft tissue of a whole-knee anatomy map, carried over to another knee by the shapes of its bones."""

from __future__ import annotations

from enum import IntEnum
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage
from scipy.spatial import cKDTree

from mriseg.geometry import MIRROR, apply_affine, from_sitk
from mriseg.types import Array, Bone, FloatArray, Grid

LabelMapLike = tuple[Array, FloatArray]


class Tissue(IntEnum):
    """Soft tissue codes of channel 6."""

    FAT = 0
    MUSCLE = 1
    TENDON = 2
    FAT_PAD = 3
    NERVE = 4
    VESSEL = 5
    MENISCUS = 6
    FIBULA = 7
    JOINT_SPACE = 8


ANATOMY_GROUPS = {
    Tissue.FAT_PAD: (9,),
    Tissue.MUSCLE: tuple(range(12, 27)),
    Tissue.TENDON: (*range(31, 36), *range(41, 49)),
    Tissue.NERVE: (61, 62, 63, 64),
    Tissue.VESSEL: (71, 72, 73, 74, 75, 77, 78),
    Tissue.MENISCUS: (81, 82),
    Tissue.FIBULA: (97,),
    Tissue.JOINT_SPACE: (83, 84, 85, 86, 95, 96, 98),
}
ANATOMY_BONE = {Bone.FEMUR: 95, Bone.TIBIA: 96, Bone.PATELLA: 98}


def surface_points(mask: Array, affine: FloatArray, n: int, rng: np.random.Generator) -> FloatArray:
    """Up to ``n`` points in mm on the border of a mask; the border of the field of view does not count."""
    inner = mask & ~ndimage.binary_erosion(mask, border_value=1)
    voxels = np.argwhere(inner)
    return apply_affine(affine, rng.permutation(voxels)[:n].astype(float))


def fit_affine(source: FloatArray, target: FloatArray) -> FloatArray:
    """Least-squares affine (4, 4), ``source`` (N, 3) -> ``target`` (N, 3)."""
    solution = np.linalg.lstsq(np.c_[source, np.ones(len(source))], target, rcond=None)[0]
    return np.vstack([solution.T, [0, 0, 0, 1]])


def fit_similarity(source: FloatArray, target: FloatArray) -> FloatArray:
    """Least-squares similarity (4, 4), ``source`` (N, 3) -> ``target`` (N, 3) (Umeyama 1991)."""
    a, b = source - source.mean(0), target - target.mean(0)
    u, s, vt = np.linalg.svd(b.T @ a)
    sign = np.diag([1, 1, np.sign(np.linalg.det(u @ vt))])
    linear = (s * np.diag(sign)).sum() / (a**2).sum() * u @ sign @ vt
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = linear, target.mean(0) - linear @ source.mean(0)
    return matrix


def iterate_closest(source: FloatArray, target: FloatArray, start: FloatArray) -> FloatArray:
    """Affine of ``source`` onto ``target``, both ways closest, the worst fifth of the pairs left out."""
    matrix, tree = start, cKDTree(target)
    for n in range(30):
        moved = apply_affine(matrix, source)
        forward, there = tree.query(moved)
        backward, here = cKDTree(moved).query(target)
        pairs = np.r_[np.c_[np.arange(len(source)), there], np.c_[here, np.arange(len(target))]]
        gap = np.r_[forward, backward]
        pairs = pairs[gap <= np.quantile(gap, 0.8)]
        fit = fit_similarity if n < 18 else fit_affine
        matrix = fit(source[pairs[:, 0]], target[pairs[:, 1]])
    return matrix


def load_anatomy(path: Path) -> LabelMapLike:
    """Whole-knee anatomy as a right knee: raw values and affine, joint side found by the fibula."""
    data, grid = from_sitk(sitk.ReadImage(str(path)))
    affine = grid.affine
    x = [apply_affine(affine, np.argwhere(data == v).mean(0))[0] for v in (97, 96)]
    if x[0] < x[1]:
        affine = MIRROR @ affine
    return data.astype(np.uint8), affine


def carry_anatomy(anatomy: LabelMapLike, fractions: dict[int, Array], far: dict[Bone, Array], grid: Grid) -> Array:
    """Soft tissue codes (I, J, K) on ``grid``: one affine a bone, blended by the inverse distance to the bones."""
    data, affine = anatomy
    rng = np.random.default_rng(0)
    maps, weights = [], []
    whole = np.eye(4)
    for bone in Bone:
        mask = fractions[bone.label] > 0.5
        if mask.sum() < 500:
            continue
        target = surface_points(mask, grid.affine, 4000, rng)
        source = surface_points(data == ANATOMY_BONE[bone], affine, 4000, rng)
        joint = _joint_height(fractions, grid)
        low, high = joint - 45, joint + 60
        target = target[(target[:, 2] > low) & (target[:, 2] < high)]
        if not maps:
            whole = _box_fit(source, target)
        matrix = iterate_closest(target, source, np.linalg.inv(whole) if not maps else maps[0])
        maps.append(matrix)
        weights.append((np.abs(np.maximum(far[bone][::4, ::4, ::4], 0)) + 3.0) ** -3.0)
    nodes = np.stack(np.meshgrid(*[np.arange(0, n, 4) for n in grid.shape], indexing="ij"), -1)
    world = apply_affine(grid.affine, nodes.astype(float))
    share = np.stack(weights) / np.sum(weights, axis=0)
    carried = sum(w[..., None] * apply_affine(m, world) for m, w in zip(maps, share, strict=True))
    voxels = apply_affine(np.linalg.inv(affine), np.asarray(carried))
    fine = [_grow(voxels[..., a], grid.shape) for a in range(3)]
    edge = 2  # the outermost slices of the anatomy map are incomplete
    index = tuple(
        np.clip(np.rint(f), edge, n - 1 - edge).astype(np.int16) for f, n in zip(fine, data.shape, strict=True)
    )
    values = data[index]
    table = np.zeros(256, np.uint8)
    for code, group in ANATOMY_GROUPS.items():
        table[list(group)] = code
    return table[values]


def _joint_height(fractions: dict[int, Array], grid: Grid) -> float:
    return float(apply_affine(grid.affine, np.argwhere(fractions[4] > 0.5).mean(0))[2])


def _box_fit(source: FloatArray, target: FloatArray) -> FloatArray:
    """Similarity that brings the distal end and the width of one femur onto another's."""
    width = np.ptp(target[:, 0]) / np.ptp(source[:, 0])
    anchor = [np.array([np.median(p[:, 0]), np.median(p[:, 1]), p[:, 2].min()]) for p in (source, target)]
    matrix = np.diag([width, width, width, 1.0])
    matrix[:3, 3] = anchor[1] - width * anchor[0]
    return matrix


def _grow(coarse: Array, shape: tuple[int, int, int]) -> Array:
    at = np.meshgrid(*[np.arange(n, dtype=np.float32) / 4 for n in shape], indexing="ij", sparse=True)
    for axis, position in enumerate(at):
        low = np.clip(np.floor(position.ravel()).astype(int), 0, coarse.shape[axis] - 2)
        share = (position.ravel() - low).reshape([-1 if a == axis else 1 for a in range(3)])
        coarse = (1 - share) * coarse.take(low, axis) + share * coarse.take(low + 1, axis)
    return coarse
