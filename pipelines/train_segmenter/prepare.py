"""Turn each label map into one compact array that the generator reads: shape as signed distances, soft tissue as codes.

    python prepare.py LABELS_DIR ANATOMY.nrrd CACHE_DIR [--only FIRST:LAST:STEP]

One knee becomes ``CACHE_DIR/NAME.npy``, int8 (8, I, J, K), in the right-knee frame on its own grid at about 0.7 mm:

==  ==================================================================================
0   signed distance to the femur, unit 0.05 mm, negative inside, clipped to 6.35 mm
1   the same of femur and femoral cartilage together
2-3 tibia; tibia and its cartilage                       4-5 patella; patella and its cartilage
6   soft tissue code (:class:`Tissue`), carried over from a whole-knee anatomy map
7   signed distance to the hull of the deep tissue, unit 0.5 mm: skin and fat lie outside of it
==  ==================================================================================
"""

from __future__ import annotations

import argparse
import json
from enum import IntEnum
from pathlib import Path

import edt
import numpy as np
import SimpleITK as sitk
from scipy import ndimage
from scipy.spatial import cKDTree
from scipy.special import ndtri

from mriseg.geometry import MIRROR, apply_affine, from_sitk, reorient
from mriseg.nifti import read_label_map
from mriseg.splits import Split, load_splits
from mriseg.types import Array, Bone, FloatArray, Grid, LabelMap

SDF_UNIT_MM = 0.05
HULL_UNIT_MM = 0.5
SMOOTH_MM = 0.45  # hides the steps between 0.7 mm slices, which no real image shows


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


def distance_mm(mask: Array, spacing: FloatArray) -> Array:
    """Signed distance in mm of a fraction image (I, J, K), sub-voxel near its 0.5 level, negative inside."""
    inside = mask > 0.5
    step = tuple(spacing.tolist())
    far = edt.edt(~inside, anisotropy=step, parallel=1) - edt.edt(inside, anisotropy=step, parallel=1)
    far -= np.sign(far) * 0.5 * spacing.min()
    soft = ndimage.gaussian_filter(mask.astype(np.float32), SMOOTH_MM / spacing, truncate=3)
    width = np.sqrt(SMOOTH_MM**2 + spacing.mean() ** 2 / 12)
    near = -width * ndtri(np.clip(soft, 0.01, 0.99))
    share = np.clip((np.abs(far) - 0.6) / 0.5, 0, 1)
    return np.asarray((1 - share) * near + share * far, dtype=np.float32)


def halve_in_plane(label_map: LabelMap) -> tuple[dict[int, Array], Grid]:
    """Fractions of the six labels on a grid with pairs of voxels along j and k merged."""
    i, j, k = label_map.grid.shape
    data = label_map.data[:, : j // 2 * 2, : k // 2 * 2]
    blocks = data.reshape(i, j // 2, 2, k // 2, 2)
    fractions = {n: (blocks == n).mean(axis=(2, 4), dtype=np.float32) for n in range(1, 7)}
    scale = np.diag([1.0, 2, 2, 1])
    scale[1:3, 3] = 0.5
    return fractions, Grid(shape=(i, j // 2, k // 2), affine=label_map.grid.affine @ scale)


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


def hull_distance_mm(deep: Array, spacing: FloatArray) -> Array:
    """Signed distance (I, J, K) to the hull of the deep tissue: closed by 18 mm on a coarse grid."""
    small = np.pad(deep[::3, ::3, ::3], 12)
    small[:, :, :12], small[:, :, -12:] = small[:, :, 12:13], small[:, :, -13:-12]  # the leg goes on
    step = tuple((3 * spacing).tolist())
    grown = edt.edt(~small, anisotropy=step, parallel=1) > 18
    closed = edt.edt(~grown, anisotropy=step, parallel=1) > 18
    signed = edt.edt(~closed, anisotropy=step, parallel=1) - edt.edt(closed, anisotropy=step, parallel=1)
    signed = ndimage.gaussian_filter(signed[12:-12, 12:-12, 12:-12], 1.0)
    zoomed = ndimage.zoom(signed, 3, order=1)[tuple(slice(0, n) for n in deep.shape)]
    pad = [(0, n - m) for n, m in zip(deep.shape, zoomed.shape, strict=True)]
    return np.pad(zoomed, pad, mode="edge")


def prepare(path: Path, anatomy: LabelMapLike) -> tuple[Array, Grid]:
    """Make the channels described above for one label map of a right knee."""
    fractions, grid = halve_in_plane(reorient(read_label_map(path)))
    spacing = grid.spacing_mm
    channels, far = [], {}
    for bone in Bone:
        own = fractions[bone.label]
        far[bone] = distance_mm(own, spacing)
        channels += [far[bone], distance_mm(np.minimum(own + fractions[bone.cartilage], 1), spacing)]
    tissue = carry_anatomy(anatomy, fractions, far, grid)
    bone_or_cartilage = np.minimum.reduce(channels) < 0
    stray = (tissue == Tissue.JOINT_SPACE) & (np.minimum.reduce(channels) > 4)
    tissue[stray] = Tissue.FAT
    hull = hull_distance_mm(bone_or_cartilage | ((tissue > 0) & (tissue != Tissue.VESSEL)), spacing)
    coded = [np.clip(np.rint(c / SDF_UNIT_MM), -127, 127).astype(np.int8) for c in channels]
    coded += [tissue.astype(np.int8), np.clip(np.rint(hull / HULL_UNIT_MM), -127, 127).astype(np.int8)]
    return np.stack(coded), grid


def main() -> None:
    """Prepare every label map of a training or validation knee that is not in the cache yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labels", type=Path)
    parser.add_argument("anatomy", type=Path)
    parser.add_argument("cache", type=Path)
    parser.add_argument("--only", default=":", help="slice of the sorted files, as FIRST:LAST:STEP")
    arguments = parser.parse_args()
    chosen = slice(*(int(n) if n else None for n in arguments.only.split(":")))
    arguments.cache.mkdir(parents=True, exist_ok=True)
    anatomy = load_anatomy(arguments.anatomy)
    usable = load_splits().chosen(arguments.labels.glob("sub-*_dseg.nii.gz"), Split.TRAINING, Split.VALIDATION)
    for path in usable[chosen]:
        target = arguments.cache / f"{path.name.removesuffix('_dseg.nii.gz')}.npy"
        if target.exists():
            continue
        channels, grid = prepare(path, anatomy)
        target.with_suffix(".json").write_text(json.dumps({"affine": grid.affine.tolist(), "shape": grid.shape}))
        np.save(target.with_suffix(".part.npy"), channels)
        target.with_suffix(".part.npy").rename(target)
        print(target.name, channels.shape, flush=True)


if __name__ == "__main__":
    main()
