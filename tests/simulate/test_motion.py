"""Bones move by what is written down, and never into each other."""

from __future__ import annotations

import numpy as np
import pytest

from mriseg.geometry import apply_affine, rotation_deg
from mriseg.simulate.fields import inverse
from mriseg.simulate.motion import (
    MotionLimits,
    flex,
    motions,
    place,
    repositioned,
    rest_pose,
    scanner_pose,
    visit_poses,
)
from mriseg.simulate.scanner import prescribe, supersampling
from mriseg.simulate.scene import Scene, scan
from mriseg.simulate.signal import SEQUENCES, SequenceName, signals
from mriseg.simulate.soft_tissue import Anatomy
from mriseg.surfaces import level_surface
from mriseg.types import Bone

SPACING = (2.0, 1.2, 1.2)


@pytest.fixture(scope="module")
def visits(knee):
    rng = np.random.default_rng(2)
    start, whole, limits = rest_pose(knee), scanner_pose(rng), MotionLimits()
    poses = [place(start, whole), place(flex(knee, start, rng, limits), repositioned(whole, rng, limits))]
    sequence = SEQUENCES[SequenceName.DESS]
    scans = []
    for pose in poses:
        scene = Scene(knee=knee, pose=pose, defects=(), anatomy=Anatomy(placement=np.eye(4)))
        grid = prescribe(knee, pose, sequence, SPACING, rng, crop=True)
        scans.append(scan(scene, grid, signals(sequence), supersample=supersampling(SPACING, finest_mm=1.3)))
    return poses, scans


def test_label_maps_move_as_the_motions_say(visits):
    poses, ((_, before), (_, after)) = visits
    for bone, motion in motions(*poses).items():
        index = np.argwhere(before.mask(bone.label)).astype(float)
        moved = motion.apply(apply_affine(before.grid.affine, index))
        at = np.rint(apply_affine(inverse(after.grid.affine), moved)).astype(int)
        inside = ((at >= 0) & (at < after.grid.shape)).all(axis=1)
        hit = after.data[tuple(at[inside].T)] == bone.label
        assert inside.mean() > 0.85
        assert hit.mean() > 0.96


def test_bones_move_against_each_other_within_limits(visits):
    poses, _ = visits
    moved = motions(*poses)
    assert all(rotation_deg(t) < 10 for t in moved.values())
    relative = moved[Bone.TIBIA].matrix @ inverse(moved[Bone.FEMUR].matrix)
    assert np.abs(relative[:3, :3] - np.eye(3)).max() > 1e-3


def test_cartilages_touch_but_do_not_overlap(knee, visits):
    poses, _ = visits
    femur = knee.bones[Bone.FEMUR]
    for pose in poses:
        for bone in (Bone.TIBIA, Bone.PATELLA):
            shape = knee.bones[bone]
            inside = apply_affine(shape.outer.grid.affine, np.argwhere(shape.outer.data < -0.1).astype(float))
            gap = femur.outer.at(pose[Bone.FEMUR].inverse().apply(pose[bone].apply(inside)))
            assert 0.0 < gap.min() < 3.0


def test_every_structure_is_in_the_cropped_field_of_view(visits):
    _, scans = visits
    for _, labels in scans:
        assert set(np.unique(labels.data)) == set(range(7))
        for bone in Bone:
            cartilage = labels.mask(bone.cartilage)
            assert not any(np.take(cartilage, end, axis=axis).any() for axis in range(3) for end in (0, -1))


def test_image_shows_cartilage_brighter_than_its_bone(visits):
    _, scans = visits
    for image, labels in scans:
        assert np.isfinite(image).all()
        for bone in Bone:
            assert np.median(image[labels.mask(bone.cartilage)]) > 1.3 * np.median(image[labels.mask(bone.label)])


def joint_space_mm(knee, pose):
    """Distance to the femoral cartilage that the nearest tenth of the tibial one keeps."""
    femur, tibia = knee.bones[Bone.FEMUR], knee.bones[Bone.TIBIA]
    points = level_surface(tibia.outer.data.astype(np.float64), tibia.outer.grid).vertices_mm
    points = points[tibia.bone.at(points) > 0.4][::20]
    gap = femur.outer.at(pose[Bone.FEMUR].inverse().apply(pose[Bone.TIBIA].apply(points)))
    return float(np.percentile(gap, 10))


def test_joint_spaces_are_as_open_at_the_first_visit_as_at_the_second(knee):
    start = rest_pose(knee)
    rng = np.random.default_rng(5)
    pairs = [visit_poses(knee, start, rng, MotionLimits()) for _ in range(4)]
    first, second = np.array([[joint_space_mm(knee, pose) for pose in pair] for pair in pairs]).T
    opened = np.r_[first, second].mean() - joint_space_mm(knee, start)
    # With the knee at rest at the first visit and bent at the second the difference would be twice ``opened``.
    assert abs((second - first).mean()) < 0.5 * opened
