"""The shape of three bones tells the side, says how sure it is, and blocks only where all of them are sure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mriseg.anatomy import SideOpinion, side_of
from mriseg.anatomy.bones import laid
from mriseg.anatomy.side import opinion
from mriseg.atlas import RigidLay
from mriseg.geometry import MIRROR
from mriseg.nifti import read_label_map
from mriseg.types import Bone, Grid, LabelMap, Side


def mirrored(label_map: LabelMap) -> LabelMap:
    grid = Grid(shape=label_map.grid.shape, affine=MIRROR @ label_map.grid.affine)
    return LabelMap(data=label_map.data, grid=grid)


def test_a_right_knee_and_its_mirror_image(knee: LabelMap, lays: dict[Bone, dict[Side, RigidLay]]) -> None:
    shown = opinion(lays)
    assert min(shown.right.values()) > 0.95
    assert shown.contradicts(Side.LEFT)
    assert not shown.contradicts(Side.RIGHT)
    assert not shown.doubts(Side.RIGHT)


def test_the_fits_of_the_mirror_image_are_those_of_the_knee_exchanged(
    knee: LabelMap, lays: dict[Bone, dict[Side, RigidLay]]
) -> None:
    for bone, fits in laid(mirrored(knee)).items():
        assert fits[Side.LEFT].residual_mm == pytest.approx(lays[bone][Side.RIGHT].residual_mm, rel=1e-9)
        assert fits[Side.RIGHT].residual_mm == pytest.approx(lays[bone][Side.LEFT].residual_mm, rel=1e-9)


@pytest.mark.parametrize("unsure", Bone)
def test_one_unsure_bone_turns_a_block_into_a_note(unsure: Bone) -> None:
    shown = SideOpinion(right={bone: 0.6 if bone is unsure else 0.001 for bone in Bone})
    assert not shown.contradicts(Side.RIGHT)
    assert shown.doubts(Side.RIGHT)
    assert f"{unsure} R (60.0 % sure)" in str(shown)


def test_two_bones_alone_never_block() -> None:
    shown = SideOpinion(right={Bone.FEMUR: 0.001, Bone.TIBIA: 0.001})
    assert not shown.contradicts(Side.RIGHT)
    assert shown.doubts(Side.RIGHT)


def test_nothing_to_tell_is_said_and_blocks_nothing() -> None:
    empty = LabelMap(data=np.zeros((8, 8, 8), np.uint8), grid=Grid(shape=(8, 8, 8), affine=np.eye(4)))
    shown = side_of(empty)
    assert not shown.contradicts(Side.RIGHT)
    assert str(shown) == "no bone shows enough to tell"


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["sub-9003430_ses-00m", "sub-9099363_ses-96m"])
def test_real_right_knees(name: str, real_data: Path) -> None:
    path = real_data / "labels" / f"{name}_side-R_dseg.nii.gz"
    if not path.exists():
        pytest.skip(f"{path.name} is absent")
    shown = side_of(read_label_map(path))
    assert shown.contradicts(Side.LEFT)
    assert not shown.doubts(Side.RIGHT)
