"""Poses: where each bone lies in the scanner at a visit, without bones or cartilage running into each other."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from mriseg.geometry import apply_affine
from mriseg.simulate.fields import inverse
from mriseg.simulate.knee import BoneShape, Knee, Pose
from mriseg.surfaces import level_surface
from mriseg.types import Bone, FloatArray, RigidTransform

CONDYLE_AXIS_MM = np.array([0.0, 5.0, 24.0])
CONTACT_MM = 0.25
AWAY = {Bone.TIBIA: np.array([0.0, 0.0, -1.0]), Bone.PATELLA: np.array([0.0, 1.0, 0.0])}


@dataclass(frozen=True, slots=True, kw_only=True)
class MotionLimits:
    """Largest motion between visits: of one bone against the femur, and of the whole knee in the scanner."""

    bone_deg: float = 4.0
    bone_mm: float = 2.0
    knee_deg: float = 4.0
    knee_mm: float = 6.0


def rigid(rotation_deg: FloatArray, shift_mm: FloatArray, *, centre_mm: FloatArray) -> RigidTransform:
    """Rotate by a vector in degrees about ``centre_mm``, then shift."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(np.radians(rotation_deg)).as_matrix()
    matrix[:3, 3] = centre_mm - matrix[:3, :3] @ centre_mm + shift_mm
    return RigidTransform(matrix=matrix)


def then(first: RigidTransform, second: RigidTransform) -> RigidTransform:
    """Return the transform that applies ``first``, then ``second``."""
    return RigidTransform(matrix=second.matrix @ first.matrix)


def settle(knee: Knee, pose: Pose) -> dict[Bone, RigidTransform]:
    """Shift tibia and patella away from or towards the femur until the cartilages just touch.

    The contact leaves a film of 0.25 mm at the closest point. Only the shift along one direction is changed.
    """
    settled = dict(pose)
    femur = knee.bones[Bone.FEMUR]
    for bone, away in AWAY.items():
        points = _cartilage_surface(knee.bones[bone])
        for _ in range(12):
            world = settled[bone].apply(points)
            gap = float(femur.outer.at(settled[Bone.FEMUR].inverse().apply(world)).min())
            if abs(gap - CONTACT_MM) < 0.02:
                break
            settled[bone] = then(settled[bone], RigidTransform(matrix=_shift(away * (CONTACT_MM - gap))))
    return settled


def rest_pose(knee: Knee) -> dict[Bone, RigidTransform]:
    """Pose of a digital knee before any motion: as in the mean knee, cartilages in contact."""
    return settle(knee, dict.fromkeys(Bone, RigidTransform.identity()))


def flex(knee: Knee, pose: Pose, rng: np.random.Generator, limits: MotionLimits) -> dict[Bone, RigidTransform]:
    """Move tibia and patella against the femur: flexion about the condyles, some rotation and glide, then contact."""
    moved = dict(pose)
    hinge = apply_affine(inverse(knee.bones[Bone.FEMUR].to_mean.matrix), CONDYLE_AXIS_MM)
    for bone in AWAY:
        turn = rng.uniform(-1, 1, 3) * limits.bone_deg * np.array([1.0, 0.35, 0.5])
        glide = rng.uniform(-1, 1, 3) * limits.bone_mm * np.array([0.6, 1.0, 0.0])
        if bone is Bone.PATELLA:
            glide = glide[[0, 2, 1]]
        moved[bone] = then(pose[bone], rigid(turn, glide, centre_mm=hinge))
    return settle(knee, moved)


def visit_poses(
    knee: Knee, start: Pose, rng: np.random.Generator, limits: MotionLimits
) -> tuple[dict[Bone, RigidTransform], dict[Bone, RigidTransform]]:
    """Draw how a knee lies in the scanner at two visits, in the same way at both.

    Each visit bends the knee from ``start`` by up to half of what may lie between visits. Were one of them left as it
    is, its joint spaces would be the narrower ones, and whatever mistakes an open joint space for cartilage would see
    it grow with time.
    """
    half = replace(limits, bone_deg=limits.bone_deg / 2, bone_mm=limits.bone_mm / 2)
    whole = scanner_pose(rng)
    baseline = place(flex(knee, start, rng, half), whole)
    return baseline, place(flex(knee, start, rng, half), repositioned(whole, rng, limits))


def place(pose: Pose, whole: RigidTransform) -> dict[Bone, RigidTransform]:
    """Put a whole knee somewhere else."""
    return {bone: then(transform, whole) for bone, transform in pose.items()}


def scanner_pose(rng: np.random.Generator) -> RigidTransform:
    """Draw how the leg lies in the coil at baseline: up to 8 degrees of toe-out and 15 mm off the isocentre."""
    turn = rng.uniform(-1, 1, 3) * np.array([3.0, 3.0, 8.0])
    return rigid(turn, rng.uniform(-15, 15, 3), centre_mm=np.zeros(3))


def repositioned(whole: RigidTransform, rng: np.random.Generator, limits: MotionLimits) -> RigidTransform:
    """Draw how the leg lies at the next visit, near the last one."""
    turn = rng.uniform(-1, 1, 3) * limits.knee_deg / np.sqrt(3)
    centre = whole.matrix[:3, 3]
    return then(whole, rigid(turn, rng.uniform(-1, 1, 3) * limits.knee_mm / np.sqrt(3), centre_mm=centre))


def motions(baseline: Pose, followup: Pose) -> dict[Bone, RigidTransform]:
    """Baseline -> follow-up of every bone, in the space both poses live in."""
    return {bone: then(baseline[bone].inverse(), followup[bone]) for bone in baseline}


def _cartilage_surface(shape: BoneShape) -> FloatArray:
    points = level_surface(shape.outer.data.astype(np.float64), shape.outer.grid).vertices_mm
    covered = points[shape.bone.at(points) > 0.4]
    return covered[:: max(1, len(covered) // 8000)]


def _shift(vector_mm: FloatArray) -> FloatArray:
    matrix = np.eye(4)
    matrix[:3, 3] = vector_mm
    return matrix
