"""One visit as a picture: true label map and noise-free MR signal on any grid, sampled from the continuous knee."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from mriseg.geometry import apply_affine
from mriseg.simulate.defects import Filling, PlantedDefect
from mriseg.simulate.fields import Float32, inverse, over
from mriseg.simulate.knee import Knee, Pose
from mriseg.simulate.signal import Tissue
from mriseg.simulate.soft_tissue import Anatomy, BoneSample, paint_soft_tissue
from mriseg.types import Array, Bone, Grid, LabelMap

SLAB = 16
CORTEX_MM = {Bone.FEMUR: 0.9, Bone.TIBIA: 0.8, Bone.PATELLA: 0.9}
TEXTURE = 0.16
FACING = {
    **dict.fromkeys(("cMF", "cLF", "pMF", "pLF"), Bone.TIBIA),
    **dict.fromkeys(("MT", "LT", "P"), Bone.FEMUR),
    "TrF": Bone.PATELLA,
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scene:
    """A knee as it lies in the scanner at one visit, in the right-knee frame of the scanner.

    ``pose`` takes each bone from its frame into the scanner, ``defects`` are cut, ``anatomy`` is the soft tissue.
    """

    knee: Knee
    pose: Pose
    defects: tuple[PlantedDefect, ...]
    anatomy: Anatomy


def sample_bones(scene: Scene, grid: Grid) -> dict[Bone, BoneSample]:
    """Sample the moved knee at the voxel centres of ``grid``."""
    samples = {}
    for bone, shape in scene.knee.bones.items():
        affine = scene.pose[bone].inverse().matrix @ grid.affine
        healthy = shape.outer.on_grid(grid.shape, affine)
        samples[bone] = BoneSample(bone=shape.bone.on_grid(grid.shape, affine), healthy=healthy, outer=healthy.copy())
    for defect in scene.defects:
        own = samples[defect.bone]
        for box, points in _around(defect, scene, grid):
            own.outer[box] = defect.cut(own.bone[box], own.outer[box], points)
    for defect in scene.defects:
        if defect.filling is Filling.OPPOSING:
            own, facing = samples[defect.bone], samples[FACING[defect.plate]].outer
            for box, points in _around(defect, scene, grid):
                facing[box] = defect.plug(own.outer[box], facing[box], points)
    return samples


def _around(defect: PlantedDefect, scene: Scene, grid: Grid) -> Iterator[tuple[tuple[slice, ...], Float32]]:
    """Voxel box around a defect, if it is on the grid, and its voxels (i, j, k, 3) in the frame of the bone in mm."""
    affine = scene.pose[defect.bone].inverse().matrix @ grid.affine
    centre = apply_affine(inverse(affine), defect.centre_mm)
    spread = defect.reach_mm * np.linalg.norm(inverse(affine)[:3, :3], axis=1)
    low = np.clip(np.floor(centre - spread), 0, grid.shape).astype(int)
    high = np.clip(np.ceil(centre + spread) + 1, 0, grid.shape).astype(int)
    if (high <= low).any():
        return
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    index = np.stack(np.meshgrid(*[np.arange(a, b) for a, b in zip(low, high, strict=True)], indexing="ij"), axis=-1)
    yield box, apply_affine(affine, index.astype(np.float64)).astype(np.float32)


def _labels(samples: Mapping[Bone, BoneSample]) -> Array:
    """Bone before cartilage; where two structures meet, the one that reaches deeper."""
    bones, cartilages = list(samples), list(samples)
    bone_depth = np.stack([samples[b].bone for b in bones])
    cartilage_depth = np.stack([np.maximum(samples[b].outer, -samples[b].bone) for b in cartilages])
    values = np.array([b.cartilage for b in cartilages], dtype=np.uint8)[cartilage_depth.argmin(axis=0)]
    result = np.where(cartilage_depth.min(axis=0) < 0, values, 0).astype(np.uint8)
    values = np.array([b.label for b in bones], dtype=np.uint8)[bone_depth.argmin(axis=0)]
    return np.where(bone_depth.min(axis=0) < 0, values, result).astype(np.uint8)


def scan(
    scene: Scene, grid: Grid, signals: Mapping[Tissue, float], *, supersample: tuple[int, int, int]
) -> tuple[Float32, LabelMap]:
    """Noise-free signal and true label map on ``grid``.

    A label is what lies at the centre of its voxel. The signal of a voxel is the mean of ``supersample`` points along
    i, j, k, and every tissue enters with the share that its signed distance gives it at a point, so that edges are
    partial volumes and not stairs.
    """
    image = np.zeros(grid.shape, dtype=np.float32)
    labels = np.zeros(grid.shape, dtype=np.uint8)
    for slab, part in _slabs(grid):
        centres = sample_bones(scene, part)
        labels[slab] = _labels(centres)
        if supersample == (1, 1, 1):
            image[slab] = _paint(scene, centres, part, signals)
            continue
        fine = _refined(part, supersample)
        (i, j, k), (a, b, c) = part.shape, supersample
        picture = _paint(scene, sample_bones(scene, fine), fine, signals)
        image[slab] = picture.reshape(i, a, j, b, k, c).mean(axis=(1, 3, 5))
    return image, LabelMap(data=labels, grid=grid)


def _paint(scene: Scene, samples: Mapping[Bone, BoneSample], grid: Grid, signals: Mapping[Tissue, float]) -> Float32:
    width = float(grid.spacing_mm.mean())
    image = paint_soft_tissue(scene.anatomy, scene.pose, samples, grid, signals)
    for defect in scene.defects:
        if defect.filling is Filling.SYNOVIUM:
            for box, points in _around(defect, scene, grid):
                void = np.maximum(samples[defect.bone].healthy[box], defect.distance(points)).astype(np.float32)
                over(image[box], void, width, signals[Tissue.SYNOVIUM])
    for sample in samples.values():
        over(image, np.maximum(sample.outer, -sample.bone), width, signals[Tissue.CARTILAGE])
    for bone, sample in samples.items():
        over(image, sample.bone, width, signals[Tissue.CORTEX])
        affine = scene.pose[bone].inverse().matrix @ grid.affine
        if (sample.bone < 0).any():
            grain = scene.knee.texture.on_grid(grid.shape, affine)
            marrow = signals[Tissue.MARROW] * (1.0 + TEXTURE * grain)
            over(image, sample.bone + np.float32(CORTEX_MM[bone]), width, marrow)
    return image


def _slabs(grid: Grid) -> list[tuple[slice, Grid]]:
    parts = []
    for start in range(0, grid.shape[0], SLAB):
        stop = min(start + SLAB, grid.shape[0])
        affine = grid.affine.copy()
        affine[:3, 3] = apply_affine(grid.affine, np.array([start, 0.0, 0.0]))
        parts.append((slice(start, stop), Grid(shape=(stop - start, *grid.shape[1:]), affine=affine)))
    return parts


def _refined(grid: Grid, factors: tuple[int, int, int]) -> Grid:
    """Split each voxel into equal parts; the parts of a voxel average to its place."""
    f = np.array(factors, dtype=np.float64)
    affine = grid.affine @ np.diag([*(1.0 / f), 1.0])
    affine[:3, 3] = apply_affine(grid.affine, (1.0 / f - 1.0) / 2.0)
    i, j, k = (int(n * m) for n, m in zip(grid.shape, factors, strict=True))
    return Grid(shape=(i, j, k), affine=affine)
