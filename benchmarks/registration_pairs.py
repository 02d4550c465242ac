"""Simulated pairs of visits with known motion of each bone, for benchmarks/registration.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from mriseg.geometry import apply_affine
from mriseg.simulate.fields import Field, Float32, inverse
from mriseg.simulate.knee import BoneShape, Knee, Pose, digital_knee
from mriseg.simulate.motion import MotionLimits, flex, motions, place, repositioned, rest_pose, scanner_pose
from mriseg.simulate.scanner import add_noise, coil_sensitivity, prescribe, supersampling
from mriseg.simulate.scene import Scene, scan
from mriseg.simulate.signal import SEQUENCES, SequenceName, Tissue, signals
from mriseg.simulate.soft_tissue import Anatomy
from mriseg.surfaces import level_surface, smooth_field
from mriseg.types import Bone, FloatArray, Grid, LabelMap, RigidTransform, Volume

LEVEL = 100.0  # of cartilage


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How a visit is scanned: the sequence, its voxels (slice, in plane, in plane), whole field of view or cropped."""

    sequence: SequenceName = SequenceName.DESS
    spacing_mm: tuple[float, float, float] | None = None
    crop: bool = True


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SimulatedVisit:
    """Image and label map of one visit, where each bone truly lies, and points on each cartilage plate in the image."""

    volume: Volume
    labels: LabelMap
    pose: Pose
    plates: Mapping[Bone, FloatArray]

    def with_images(self, volume: Volume, labels: LabelMap) -> SimulatedVisit:
        """Return the same visit with another image and label map."""
        return replace(self, volume=volume, labels=labels)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Leg:
    """One knee with its soft tissue and the places where it lies at each visit."""

    knee: Knee
    anatomy: Anatomy
    poses: tuple[Pose, ...]
    seed: int


def draw_leg(seed: int, visits: int) -> Leg:
    """Draw a knee, and for each visit how it lies in the scanner and is flexed."""
    rng = np.random.default_rng(seed)
    knee = digital_knee(rng)
    start, whole, limits = rest_pose(knee), scanner_pose(rng), MotionLimits()
    poses = [place(start, whole)]
    poses += [place(flex(knee, start, rng, limits), repositioned(whole, rng, limits)) for _ in range(visits - 1)]
    placement = inverse(knee.bones[Bone.FEMUR].to_mean.matrix)
    return Leg(
        knee=knee, anatomy=Anatomy(placement=placement, fluid_mm=0.2, effusion=0.4), poses=tuple(poses), seed=seed
    )


def scan_visit(leg: Leg, visit: int, look: Look, *, loss: float = 0.0, label_error_mm: float = 0.25) -> SimulatedVisit:
    """Scan visit number ``visit`` with the share ``loss`` of the cartilage thickness gone.

    ``label_error_mm`` is the SD of smooth errors of the bone edge in the label map, drawn anew for each visit: a
    segmenter is not the truth. Noise, coil and grid depend on leg and visit alone, so that two losses can be compared.
    """
    rng = np.random.default_rng([leg.seed, visit])
    pose, sequence = leg.poses[visit], SEQUENCES[look.sequence]
    spacing = look.spacing_mm or sequence.spacing_mm
    grid = prescribe(leg.knee, pose, sequence, spacing, rng, crop=look.crop)
    contrast = signals(sequence)
    scene = Scene(knee=_thinned(leg.knee, loss), pose=pose, defects=(), anatomy=leg.anatomy)
    image, labels = scan(scene, grid, contrast, supersample=supersampling(spacing))
    image *= coil_sensitivity(grid, rng) * np.float32(LEVEL / contrast[Tissue.CARTILAGE])
    image = add_noise(image, LEVEL / sequence.snr, rng)
    return SimulatedVisit(
        volume=Volume(data=image, grid=grid),
        labels=_misdrawn(labels, label_error_mm, rng),
        pose=pose,
        plates={bone: pose[bone].apply(_plate(shape)) for bone, shape in leg.knee.bones.items()},
    )


def elsewhere(visit: SimulatedVisit, place: FloatArray) -> SimulatedVisit:
    """Put a visit somewhere else in space without touching its voxels; a mirror ``place`` (4, 4) has no true pose."""
    grid = Grid(shape=visit.volume.grid.shape, affine=place @ visit.volume.grid.affine)
    moved = visit.with_images(Volume(data=visit.volume.data, grid=grid), LabelMap(data=visit.labels.data, grid=grid))
    if np.linalg.det(place) < 0:
        return moved
    pose = {bone: RigidTransform(matrix=place @ t.matrix) for bone, t in visit.pose.items()}
    return replace(moved, pose=pose, plates={bone: apply_affine(place, p) for bone, p in visit.plates.items()})


def errors_mm(
    baseline: SimulatedVisit, followup: SimulatedVisit, transforms: Mapping[Bone, RigidTransform]
) -> dict[Bone, float]:
    """Mean target error at the cartilage plate of each bone, mm."""
    truth = motions(baseline.pose, followup.pose)
    return {bone: apart_mm(baseline.plates[bone], t, truth[bone]) for bone, t in transforms.items()}


def apart_mm(points_mm: FloatArray, one: RigidTransform, other: RigidTransform) -> float:
    """Mean distance between where two transforms take ``points_mm`` (N, 3)."""
    return float(np.linalg.norm(one.apply(points_mm) - other.apply(points_mm), axis=1).mean())


def _misdrawn(labels: LabelMap, error_mm: float, rng: np.random.Generator) -> LabelMap:
    """Move the edges of the bones in and out by a smooth random amount, 5 mm across; cartilage fills or gives way."""
    wobble = _wobble(labels.grid, error_mm, rng)
    boxes = ndimage.find_objects(labels.data, max_label=max(bone.label for bone in Bone))
    margin = np.ceil(2.0 / labels.grid.spacing_mm).astype(int).tolist()
    data = labels.data.copy()
    for bone in Bone:
        box = tuple(slice(max(s.start - m, 0), s.stop + m) for s, m in zip(boxes[bone.label - 1], margin, strict=True))
        mask, drawn = labels.data[box] == bone.label, data[box]
        field = smooth_field(mask, labels.grid, smoothing_mm=0.3) + wobble[box]
        drawn[mask & (field > 0)] = bone.cartilage
        drawn[(field <= 0) & ((drawn == 0) | (drawn == bone.cartilage))] = bone.label
    return LabelMap(data=data, grid=labels.grid)


def _wobble(grid: Grid, sd_mm: float, rng: np.random.Generator) -> Float32:
    """Smooth random field (I, J, K) with ``sd_mm``, 5 mm across, drawn on a lattice of 2.5 mm."""
    coarse = np.ceil(np.array(grid.shape) * grid.spacing_mm / 2.5).astype(int) + 1
    lumps = ndimage.gaussian_filter(rng.standard_normal(coarse, dtype=np.float32), 2.0)
    field = ndimage.zoom(lumps, np.array(grid.shape) / coarse, order=1)
    return np.asarray(field * np.float32(sd_mm / field.std()), dtype=np.float32)


def _thinned(knee: Knee, share: float) -> Knee:
    """The same knee with ``share`` of the cartilage thickness gone everywhere."""
    bones = {}
    for bone, shape in knee.bones.items():
        outer = (1.0 - share) * shape.outer.data + share * np.maximum(shape.bone.data, shape.outer.data)
        bones[bone] = replace(shape, outer=Field(data=outer.astype(np.float32), grid=shape.outer.grid))
    return replace(knee, bones=bones)


def _plate(shape: BoneShape) -> FloatArray:
    """Points of the bone surface that carry cartilage, in the frame of the bone."""
    points = level_surface(shape.bone.data.astype(np.float64), shape.bone.grid).vertices_mm
    covered = points[shape.outer.at(points) < -0.5]
    return np.asarray(covered[:: max(1, len(covered) // 2000)], dtype=np.float64)


def grid_size(grid: Grid) -> str:
    """Voxels and spacing of a grid in words."""
    return " x ".join(str(n) for n in grid.shape) + " at " + " x ".join(f"{s:.2f}" for s in grid.spacing_mm) + " mm"
