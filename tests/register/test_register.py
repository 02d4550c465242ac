"""Known motion is found, both visits count alike, and cartilage has no say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mriseg.errors import RegistrationError
from mriseg.geometry import MIRROR, crop, mirror_transform
from mriseg.register import register
from mriseg.register.band import BandSettings
from mriseg.register.pair import RegisterSettings
from mriseg.types import Bone, Grid, Label, LabelMap, Registration, RigidTransform, Side, Verdict, Volume


def both(one, two, **more) -> Registration:
    return register(one.volume, two.volume, baseline_labels=one.labels, followup_labels=two.labels, **more)


def apart_mm(points, one: RigidTransform, other: RigidTransform) -> float:
    return float(np.linalg.norm(one.apply(points) - other.apply(points), axis=1).mean())


@pytest.fixture(scope="module")
def found(baseline, followup) -> Registration:
    return both(baseline, followup)


@pytest.mark.parametrize("bone", list(Bone))
def test_images_and_labels_find_the_motion_of_each_bone(found, knee, motion, bone):
    result = found.bones[bone]
    assert apart_mm(knee.plate(bone), result.transform, motion[bone]) < 0.06
    assert result.verdict is Verdict.GOOD, result.reasons
    assert result.reasons == ()
    assert result.similarity > 0.9
    assert result.residual_mm < 0.2


def test_label_maps_alone_find_the_motion(baseline, followup, knee, motion):
    result = register(None, None, baseline_labels=baseline.labels, followup_labels=followup.labels)
    for bone in Bone:
        assert apart_mm(knee.plate(bone), result.bones[bone].transform, motion[bone]) < 0.12
        assert np.isnan(result.bones[bone].similarity)


def test_swapping_the_visits_gives_the_inverse(found, baseline, followup):
    back = both(followup, baseline)
    for bone in Bone:
        product = back.bones[bone].transform.matrix @ found.bones[bone].transform.matrix
        np.testing.assert_allclose(product, np.eye(4), atol=1e-10)
        assert back.bones[bone].residual_mm == found.bones[bone].residual_mm
        assert back.bones[bone].figures == found.bones[bone].figures


def test_a_second_run_gives_the_same_numbers(found, baseline, followup):
    again = both(baseline, followup)
    for bone in Bone:
        np.testing.assert_array_equal(again.bones[bone].transform.matrix, found.bones[bone].transform.matrix)


def test_a_visit_against_itself_has_not_moved(baseline):
    same = both(baseline, baseline)
    for result in same.bones.values():
        np.testing.assert_allclose(result.transform.matrix, np.eye(4), atol=1e-9)
        assert result.residual_mm < 1e-9


def test_cartilage_loss_does_not_move_the_bones(knee, baseline, motion):
    healthy, worn = knee.scan(motion, seed=2), knee.scan(motion, seed=2, loss=0.3)
    all_in = RegisterSettings(band=replace(BandSettings(), cartilage_mm=0.0, joint_mm=0.0))
    moved = {}
    for name, settings in (("left out", None), ("taken in", all_in)):
        one, two = both(baseline, healthy, settings=settings), both(baseline, worn, settings=settings)
        moved[name] = [apart_mm(knee.plate(b), one.bones[b].transform, two.bones[b].transform) for b in Bone]
    assert max(moved["left out"]) < 0.02
    assert max(moved["left out"]) < 0.5 * max(moved["taken in"])


def test_a_mirrored_knee_moves_as_the_mirror_image(found, baseline, followup, knee):
    def mirrored(image):
        return type(image)(data=image.data, grid=Grid(shape=image.grid.shape, affine=MIRROR @ image.grid.affine))

    left = register(
        mirrored(baseline.volume),
        mirrored(followup.volume),
        baseline_labels=mirrored(baseline.labels),
        followup_labels=mirrored(followup.labels),
    )
    for bone in Bone:
        back = mirror_transform(left.bones[bone].transform, Side.LEFT)
        assert apart_mm(knee.plate(bone), back, found.bones[bone].transform) < 0.02


def test_a_follow_up_far_away_and_turned_is_found(found, baseline, followup, knee, turn):
    place = turn((0, 0, 0), (18, -14, 16), (25, -20, 24))

    def moved(image):
        return type(image)(data=image.data, grid=Grid(shape=image.grid.shape, affine=place.matrix @ image.grid.affine))

    far = register(
        baseline.volume,
        moved(followup.volume),
        baseline_labels=baseline.labels,
        followup_labels=moved(followup.labels),
    )
    for bone in Bone:
        expected = RigidTransform(matrix=place.matrix @ found.bones[bone].transform.matrix)
        assert apart_mm(knee.plate(bone), far.bones[bone].transform, expected) < 0.03


def test_another_contrast_is_still_aligned(baseline, knee, motion):
    other = knee.scan(motion, seed=4, contrast=(120.0, 160.0, 20.0, 90.0))
    result = both(baseline, other)
    for bone in Bone:
        assert apart_mm(knee.plate(bone), result.bones[bone].transform, motion[bone]) < 0.15


def test_a_bone_that_one_visit_lacks_is_absent(baseline, followup):
    data = np.where(followup.labels.data >= Label.PATELLA, 0, followup.labels.data)
    result = register(
        None, None, baseline_labels=baseline.labels, followup_labels=LabelMap(data=data, grid=followup.labels.grid)
    )
    assert set(result.bones) == {Bone.FEMUR, Bone.TIBIA}


def test_a_shorter_field_of_view_keeps_the_motion(baseline, followup, knee, motion):
    """The part of the shafts that only one visit shows does not pull."""
    short = crop(followup.labels, np.array([0, 0, 22]), np.array([58, 112, 88]))
    result = register(None, None, baseline_labels=baseline.labels, followup_labels=short)
    for bone in Bone:
        assert apart_mm(knee.plate(bone), result.bones[bone].transform, motion[bone]) < 0.2


def test_nothing_to_register_is_an_error(baseline):
    with pytest.raises(RegistrationError, match="two images, two label maps"):
        register(None, None, baseline_labels=None, followup_labels=baseline.labels)
    empty = LabelMap(data=np.zeros_like(baseline.labels.data), grid=baseline.labels.grid)
    with pytest.raises(RegistrationError, match="No bone is in both label maps"):
        register(None, None, baseline_labels=baseline.labels, followup_labels=empty)


def test_without_label_maps_the_knee_is_one_block(baseline, knee, turn):
    whole = turn((0, 0, 0), (6, -4, 8), (9, -5, 7))
    second = knee.scan(dict.fromkeys(Bone, whole), seed=3)
    result = register(baseline.volume, second.volume, baseline_labels=None, followup_labels=None)
    assert {r.verdict for r in result.bones.values()} == {Verdict.COARSE}
    assert "no label maps" in result.bones[Bone.FEMUR].reasons[0]
    assert apart_mm(knee.plate(Bone.FEMUR), result.bones[Bone.FEMUR].transform, whole) < 0.3
    back = register(second.volume, baseline.volume, baseline_labels=None, followup_labels=None)
    product = back.bones[Bone.FEMUR].transform.matrix @ result.bones[Bone.FEMUR].transform.matrix
    np.testing.assert_allclose(product, np.eye(4), atol=1e-10)


def test_without_label_maps_noise_is_a_failure(baseline):
    noise = np.random.default_rng(0).normal(100, 20, baseline.volume.data.shape).astype(np.float32)
    second = Volume(data=noise, grid=baseline.volume.grid)
    result = register(baseline.volume, second, baseline_labels=None, followup_labels=None)
    assert result.bones[Bone.TIBIA].verdict is Verdict.FAILED


def test_without_label_maps_images_that_share_no_place_or_no_contrast_are_a_failure():
    def image(level: float, x: float) -> Volume:
        noise = np.random.default_rng(1).normal(0.0, 1.0, (20, 24, 24)) * (level > 0)
        grid = Grid(shape=noise.shape, affine=np.array([[3, 0, 0, x], [0, 3, 0, 0], [0, 0, 3, 0], [0, 0, 0, 1]]))
        return Volume(data=(level + 10.0 * noise).astype(np.float32), grid=grid)

    for blank, reason in ((image(0.0, 0.0), "do not agree"), (image(0.0, 900.0), "share only 0%")):
        result = register(image(100.0, 0.0), blank, baseline_labels=None, followup_labels=None)
        assert {r.verdict for r in result.bones.values()} == {Verdict.FAILED}
        assert reason in result.bones[Bone.TIBIA].reasons[0]
