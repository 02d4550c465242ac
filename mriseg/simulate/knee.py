"""A knee as continuous fields: drawn from the mean knee, or taken from a label map.

Each bone lives in its own frame, close to the frame of the mean knee (RAS+ mm of a right knee, +x lateral); a pose puts
it into a scanner.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from mriseg.errors import MrisegError
from mriseg.geometry import apply_affine
from mriseg.simulate.align import align_points
from mriseg.simulate.fields import Field, field_of_mask, grid_points
from mriseg.simulate.mean_knee import mean_fields
from mriseg.surfaces import level_surface
from mriseg.types import Bone, FloatArray, Grid, LabelMap, RigidTransform


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Waves:
    """Smooth displacement: a sum of plane waves. ``amplitude_mm`` (M, 3), ``vector`` (M, 3) rad/mm, ``phase`` (M,)."""

    amplitude_mm: FloatArray
    vector: FloatArray
    phase: FloatArray

    def displacement(self, points_mm: FloatArray) -> FloatArray:
        """Displacement in mm at ``points_mm`` (..., 3)."""
        total = np.zeros_like(points_mm)
        for amplitude, vector, phase in zip(self.amplitude_mm, self.vector, self.phase, strict=True):
            total += np.sin(points_mm @ vector + phase)[..., None] * amplitude
        return total


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ToMean:
    """Map from the frame of a bone into the mean knee: ``matrix`` (4, 4), then ``waves`` where there are any."""

    matrix: FloatArray
    waves: Waves | None = None

    def __call__(self, points_mm: FloatArray) -> FloatArray:
        """Map ``points_mm`` (..., 3)."""
        moved = apply_affine(self.matrix, points_mm)
        return moved if self.waves is None else moved + self.waves.displacement(moved)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoneShape:
    """One bone: signed distances of ``bone`` and of ``outer``, the bone with its cartilage, and its way to the mean."""

    bone: Field
    outer: Field
    to_mean: ToMean


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Knee:
    """The bones of a right knee, and the marrow ``texture`` (unit variance, mean 0) in the frame of the bones."""

    bones: Mapping[Bone, BoneShape]
    texture: Field


Pose = Mapping[Bone, RigidTransform]


def random_waves(rng: np.random.Generator, *, rms_mm: float = 1.3, count: int = 14) -> Waves:
    """Draw a displacement of wavelengths from 45 to 130 mm."""
    direction = rng.normal(size=(count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    vector = direction * (2 * np.pi / rng.uniform(45.0, 130.0, size=(count, 1)))
    amplitude = rng.normal(size=(count, 3)) * rms_mm * np.sqrt(2.0 / (3.0 * count))
    return Waves(amplitude_mm=amplitude, vector=vector, phase=rng.uniform(0, 2 * np.pi, count))


def random_texture(rng: np.random.Generator, grid: Grid, *, grain_mm: float = 1.3) -> Field:
    """Marrow texture with mean 0 and unit variance."""
    data = ndimage.gaussian_filter(rng.standard_normal(grid.shape, dtype=np.float32), grain_mm / grid.spacing_mm)
    return Field(data=(data / data.std()).astype(np.float32), grid=grid)


def texture_grid(bones: Mapping[Bone, BoneShape]) -> Grid:
    """1 mm grid around all bones."""
    low = np.min([b.bone.grid.affine[:3, 3] for b in bones.values()], axis=0)
    ends = [apply_affine(b.bone.grid.affine, np.array(b.bone.grid.shape, dtype=float)) for b in bones.values()]
    i, j, k = np.ceil(np.max(ends, axis=0) - low).astype(int).tolist()
    affine = np.eye(4)
    affine[:3, 3] = low
    return Grid(shape=(i, j, k), affine=affine)


def digital_knee(rng: np.random.Generator) -> Knee:
    """Draw a knee: the mean knee with its own size, smooth deformation, cartilage thickness and marrow.

    Sizes vary by 4 % (SD) a direction, cartilage thickness by 8 % as a whole and as much again from place to place.
    """
    scale = np.clip(rng.normal(1.0, 0.04, 3), 0.9, 1.1)
    to_mean = ToMean(matrix=np.diag([*(1.0 / scale), 1.0]), waves=random_waves(rng))
    thickness = random_waves(rng, rms_mm=0.08)
    thicker = float(np.clip(rng.normal(1.0, 0.08), 0.8, 1.2))
    bones = {}
    for bone, (inner, outer) in mean_fields().items():
        grid = Grid(shape=inner.grid.shape, affine=np.diag([*scale, 1.0]) @ inner.grid.affine)
        points = _smoothly(to_mean, grid)
        plain = inner.at(points)
        layer = np.maximum(plain - outer.at(points), 0.0)
        close = np.abs(plain) < 3.0
        plain[close] = inner.at(points[close], order=3)
        distance = plain * np.cbrt(scale.prod())
        layer *= thicker * (1.0 + _smoothly(thickness.displacement, grid)[..., 0])
        bones[bone] = BoneShape(
            bone=Field(data=distance.astype(np.float32), grid=grid),
            outer=Field(data=(distance - layer).astype(np.float32), grid=grid),
            to_mean=to_mean,
        )
    return Knee(bones=bones, texture=random_texture(rng, texture_grid(bones)))


def _smoothly(function: Callable[[FloatArray], FloatArray], grid: Grid, *, every: int = 4) -> FloatArray:
    """Evaluate a smooth vector function on each fourth voxel and interpolate to all, (I, J, K, 3)."""
    shape = tuple(n // every + 2 for n in grid.shape)
    coarse = Grid(shape=(shape[0], shape[1], shape[2]), affine=grid.affine @ np.diag([every, every, every, 1.0]))
    values = function(grid_points(coarse)).astype(np.float32)
    parts = [Field(data=values[..., n], grid=coarse).on_grid(grid.shape, grid.affine) for n in range(3)]
    return np.stack(parts, axis=-1).astype(np.float64)


def knee_of_labels(labels: LabelMap, rng: np.random.Generator, *, name: str = "label map") -> Knee:
    """Take a knee from a label map of a right knee; every bone keeps its place in the world.

    Raises
    ------
    MrisegError
        Where a bone or its cartilage is missing.
    """
    bones = {}
    for bone in Bone:
        if not labels.mask(bone.label).any() or not labels.mask(bone.cartilage).any():
            raise MrisegError(f"{name}: expected {bone} and its cartilage (labels {bone.label}, {bone.cartilage}).")
        inner = field_of_mask(labels.mask(bone.label), labels.grid, smoothing_mm=0.4)
        covered = field_of_mask(labels.mask(bone.label, bone.cartilage), labels.grid, smoothing_mm=0.4)
        outer_data = np.minimum(inner.data, covered.on_grid(inner.grid.shape, inner.grid.affine))
        outer = Field(data=outer_data, grid=inner.grid)
        bones[bone] = BoneShape(bone=inner, outer=outer, to_mean=ToMean(matrix=_to_mean(bone, inner, outer)))
    return Knee(bones=bones, texture=random_texture(rng, texture_grid(bones)))


def _to_mean(bone: Bone, inner: Field, outer: Field) -> FloatArray:
    source = joint_points(inner, outer)
    target = joint_points(*mean_fields()[bone])
    return align_points(source, target)


def joint_points(inner: Field, outer: Field, *, limit: int = 6000) -> FloatArray:
    """Bone surface points within 15 mm of the box of the cartilage, evenly thinned to about ``limit``."""
    points = level_surface(inner.data.astype(np.float64), inner.grid).vertices_mm
    covered = points[outer.at(points) < -0.8]
    low, high = covered.min(axis=0) - 15.0, covered.max(axis=0) + 15.0
    points = points[((points > low) & (points < high)).all(axis=1)]
    return np.asarray(points[:: max(1, len(points) // limit)], dtype=np.float64)
