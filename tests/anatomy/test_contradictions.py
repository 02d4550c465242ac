"""A label map that can be no knee is refused by name; a sick knee is not."""

from __future__ import annotations

from itertools import combinations, permutations, product

import numpy as np
import pytest

from mriseg.anatomy.bones import laid
from mriseg.anatomy.contradictions import contradictions
from mriseg.anatomy.examine import examine_laid
from mriseg.anatomy.regions import bare_elsewhere
from mriseg.atlas import RigidLay
from mriseg.geometry import crop
from mriseg.types import Bone, Grid, Label, LabelMap, Side

Lays = dict[Bone, dict[Side, RigidLay]]


def relabelled(knee: LabelMap, meaning: dict[int, int]) -> LabelMap:
    lut = np.array([meaning.get(value, value) for value in range(7)], np.uint8)
    return LabelMap(data=lut[knee.data], grid=knee.grid)


def changed(knee: LabelMap, where: np.ndarray, label: int) -> LabelMap:
    return LabelMap(data=np.where(where, label, knee.data).astype(np.uint8), grid=knee.grid)


def half(knee: LabelMap, label: Label, *, medial: bool) -> np.ndarray:
    """The medial or lateral half of one structure of a right knee."""
    where = knee.data == label
    middle = np.argwhere(where)[:, 0].mean()
    left = np.arange(knee.grid.shape[0])[:, None, None] < middle
    return where & (left if medial else ~left)


def test_a_knee_does_not_contradict_itself(knee: LabelMap, lays: Lays) -> None:
    assert examine_laid(knee, lays, Side.RIGHT).contradictions == ()


@pytest.mark.parametrize("pair", list(combinations(Label, 2)), ids=str)
def test_any_two_labels_exchanged_are_refused(pair: tuple[Label, Label], knee: LabelMap) -> None:
    one, two = pair
    assert contradictions(relabelled(knee, {one: two, two: one}))


def test_bones_first_then_cartilages_are_named_as_exchanged(knee: LabelMap) -> None:
    reasons = " ".join(contradictions(relabelled(knee, {2: 4, 3: 2, 4: 5, 5: 3})))
    assert "labels look exchanged: 2 is no cartilage of 1" in reasons
    assert "labels look exchanged: 4 is no cartilage of 3" in reasons


def test_cartilage_larger_than_its_bone_is_told_with_both_sizes(knee: LabelMap) -> None:
    (reason,) = contradictions(relabelled(knee, {5: 6, 6: 5}))[:1]
    assert "6 is no cartilage of 5" in reason
    assert "ml" in reason


@pytest.mark.parametrize("axes", list(permutations(range(3))), ids=str)
def test_every_wrong_orientation_but_the_mirror_image_is_refused_with_all_bones(
    axes: tuple[int, int, int], knee: LabelMap
) -> None:
    for flips in product((1, -1), repeat=3):
        data = knee.data.transpose(axes)[tuple(slice(None, None, flip) for flip in flips)]
        affine = np.diag([*knee.grid.spacing_mm[list(axes)], 1.0])
        found = contradictions(LabelMap(data=data, grid=Grid(shape=data.shape, affine=affine)))
        if axes == (0, 1, 2) and flips[1:] == (1, 1):
            assert found == ()  # which knee it is says the shape
        else:
            assert "Nothing of it can be measured (femur, tibia, patella)" in found[-1]


def test_without_a_patella_the_shape_tells_front_from_back(knee: LabelMap) -> None:
    data = np.where(np.isin(knee.data, (5, 6)), 0, knee.data).astype(np.uint8)[::-1, ::-1]
    turned = LabelMap(data=data, grid=knee.grid)
    (reason,) = examine_laid(turned, laid(turned), Side.RIGHT).contradictions
    assert "fits neither as it lies nor mirrored" in reason
    assert "(femur, tibia)" in reason


def test_cartilage_far_from_its_bone_is_refused(knee: LabelMap) -> None:
    data = np.where(knee.data == Label.TIBIAL_CARTILAGE, 0, knee.data)
    moved = np.roll(knee.data == Label.TIBIAL_CARTILAGE, 8, axis=2) & (data == 0)
    wrong = LabelMap(data=np.where(moved, 4, data).astype(np.uint8), grid=knee.grid)
    assert "4 is no cartilage of 3" in " ".join(contradictions(wrong))


@pytest.mark.parametrize("bone", Bone)
@pytest.mark.parametrize("medial", [True, False])
def test_half_a_joint_surface_or_all_of_it_may_be_bare(bone: Bone, medial: bool, knee: LabelMap, lays: Lays) -> None:
    for bare in (half(knee, bone.cartilage, medial=medial), knee.data == bone.cartilage):
        sick = changed(knee, bare, 0)
        assert examine_laid(sick, lays, Side.RIGHT).contradictions == ()


@pytest.mark.parametrize("medial", [True, False])
@pytest.mark.parametrize("label", [Label.FEMORAL_CARTILAGE, Label.PATELLAR_CARTILAGE])
def test_a_bare_plate_under_the_cartilage_of_another_bone_is_refused(
    label: Label, medial: bool, knee: LabelMap, lays: Lays
) -> None:
    wrong = changed(knee, half(knee, Label.TIBIAL_CARTILAGE, medial=medial), label)
    found = " ".join(examine_laid(wrong, lays, Side.RIGHT).contradictions)
    assert f"{int(label)} (" in found
    assert "3 (tibia) is bare" in found or "apart from 5 (patella)" in found


def test_a_bare_plate_whose_cartilage_lies_where_no_knee_has_any_is_refused(knee: LabelMap, lays: Lays) -> None:
    plate = half(knee, Label.TIBIAL_CARTILAGE, medial=True)
    below = (knee.data == Label.TIBIA) & np.roll(knee.data == 0, 1, axis=2)  # the underside and rim of the block
    wrong = changed(changed(knee, plate, 0), below, Label.TIBIAL_CARTILAGE)
    (found,) = bare_elsewhere(wrong, {b: f[Side.RIGHT] for b, f in lays.items()}, Side.RIGHT)
    assert "medial half of 3 (tibia) is bare" in found
    assert "where no knee carries any" in found


def test_a_left_knee_is_judged_as_its_mirror_image(knee: LabelMap, lays: Lays) -> None:
    wrong = changed(knee, half(knee, Label.TIBIAL_CARTILAGE, medial=True), Label.FEMORAL_CARTILAGE)
    mirror = Grid(shape=knee.grid.shape, affine=np.diag([-1.0, 1, 1, 1]) @ knee.grid.affine)
    left = LabelMap(data=wrong.data, grid=mirror)
    exchanged = {b: {Side.LEFT: f[Side.RIGHT], Side.RIGHT: f[Side.LEFT]} for b, f in lays.items()}
    right = examine_laid(wrong, lays, Side.RIGHT).contradictions
    assert right
    assert examine_laid(left, exchanged, Side.LEFT).contradictions == right


def test_a_crop_to_the_joint_contradicts_nothing(knee: LabelMap) -> None:
    rows = np.flatnonzero((knee.data == Label.TIBIAL_CARTILAGE).any(axis=(0, 1)))
    low = max(rows[0] - 8, 0)
    cut = crop(knee, np.array([0, 0, low]), np.array(knee.grid.shape))
    assert contradictions(cut) == ()
