"""The atlas knows a bone from a lump."""

from __future__ import annotations

import numpy as np
import pytest

from mriseg.geometry import reorient
from mriseg.segment.shape import shape_doubts
from mriseg.types import Bone, LabelMap, Volume

Knee = tuple[Volume, LabelMap]


def test_no_bone_of_a_knee_is_doubted(knee: Knee) -> None:
    assert shape_doubts(reorient(knee[1])) == []


@pytest.mark.parametrize("bone", list(Bone))
def test_a_ball_in_the_place_of_a_bone_is_doubted(knee: Knee, bone: Bone) -> None:
    label_map = reorient(knee[1])
    inside = np.argwhere(label_map.data == bone.label)
    spacing = label_map.grid.spacing_mm
    away = (np.indices(label_map.grid.shape).reshape(3, -1).T - inside.mean(axis=0)) * spacing
    radius = np.cbrt(len(inside) * label_map.grid.voxel_mm3 * 3 / 4 / np.pi)
    ball = np.linalg.norm(away, axis=1).reshape(label_map.grid.shape) < radius
    alone = np.where(ball, bone.label, 0).astype(np.uint8)
    doubts = shape_doubts(LabelMap(data=alone, grid=label_map.grid))
    assert len(doubts) == 1
    assert f"shape of the {bone} is doubtful" in doubts[0]


def test_femur_and_tibia_of_the_other_side_are_doubted(knee: Knee) -> None:
    label_map = reorient(knee[1])
    mirrored = LabelMap(data=np.ascontiguousarray(label_map.data[::-1]), grid=label_map.grid)
    assert [doubt for doubt in shape_doubts(mirrored) if "femur" in doubt or "tibia" in doubt]


def test_scraps_and_empty_maps_are_passed_over(knee: Knee) -> None:
    data = np.zeros_like(knee[1].data)
    assert shape_doubts(LabelMap(data=data, grid=knee[1].grid)) == []
    data[:3, :3, :3] = Bone.FEMUR.label
    assert shape_doubts(LabelMap(data=data, grid=knee[1].grid)) == []
