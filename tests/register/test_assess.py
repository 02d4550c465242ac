"""What is wrong is said: another patient, the other side, a cut field of view, a ruined image."""

from __future__ import annotations

import numpy as np
import pytest

from mriseg.geometry import MIRROR, crop
from mriseg.register import register
from mriseg.register.assess import Thresholds, assess
from mriseg.register.pair import doubt_together
from mriseg.types import Bone, BoneRegistration, Grid, RigidTransform, Verdict, Volume


def test_another_patient_fails(baseline, other_knee, motion):
    second = other_knee.scan(motion)
    result = register(None, None, baseline_labels=baseline.labels, followup_labels=second.labels)
    assert {r.verdict for r in result.bones.values()} == {Verdict.FAILED}
    assert "another patient" in result.bones[Bone.TIBIA].reasons[0]


def test_the_other_side_fails_and_is_named(baseline, followup):
    grid = Grid(shape=followup.labels.grid.shape, affine=MIRROR @ followup.labels.grid.affine)
    second = type(followup.labels)(data=followup.labels.data, grid=grid)
    result = register(None, None, baseline_labels=baseline.labels, followup_labels=second)
    assert result.bones[Bone.FEMUR].verdict is Verdict.FAILED
    assert "mirror image" in result.bones[Bone.FEMUR].reasons[0]


def test_a_cut_field_of_view_is_seen(baseline, followup):
    cut = crop(followup.labels, np.array([0, 0, 0]), np.array([58, 112, 70]))
    result = register(None, None, baseline_labels=baseline.labels, followup_labels=cut)
    femur = result.bones[Bone.FEMUR]
    assert femur.verdict in (Verdict.NEEDS_REVIEW, Verdict.FAILED)
    assert any("field" in reason for reason in femur.reasons)
    assert result.bones[Bone.TIBIA].verdict is Verdict.GOOD


def test_a_sliver_of_bone_fails(baseline, followup):
    cut = crop(followup.labels, np.array([0, 0, 0]), np.array([58, 112, 60]))
    result = register(None, None, baseline_labels=baseline.labels, followup_labels=cut)
    assert result.bones[Bone.FEMUR].verdict is Verdict.FAILED
    assert "field" in result.bones[Bone.FEMUR].reasons[0]


def test_an_image_of_ghosts_is_not_good(baseline, followup):
    """Gross motion: the image is smeared over shifted copies of itself."""
    data = followup.volume.data
    ghosts = np.mean([np.roll(data, shift, axis=1) for shift in (0, 6, 13, 19, 27, 34)], axis=0)
    ruined = Volume(data=ghosts.astype(np.float32), grid=followup.volume.grid)
    result = register(baseline.volume, ruined, baseline_labels=baseline.labels, followup_labels=followup.labels)
    assert all(r.verdict in (Verdict.NEEDS_REVIEW, Verdict.FAILED) for r in result.bones.values())
    assert any("images" in reason or "image" in reason for reason in result.bones[Bone.FEMUR].reasons)


def test_an_image_that_does_not_show_the_knee_of_its_label_map_fails(baseline, followup):
    """Label maps alone would align; but an image of another place or without any contrast cannot agree."""
    grid = followup.volume.grid
    far = np.eye(4)
    far[:3, 3] = (0.0, 300.0, 0.0)
    elsewhere = Volume(data=followup.volume.data, grid=Grid(shape=grid.shape, affine=far @ grid.affine))
    blank = Volume(data=np.ones_like(followup.volume.data), grid=grid)
    for wrong in (elsewhere, blank):
        result = register(baseline.volume, wrong, baseline_labels=baseline.labels, followup_labels=followup.labels)
        assert {r.verdict for r in result.bones.values()} == {Verdict.FAILED}
        assert "wrong image" in result.bones[Bone.FEMUR].reasons[0]


@pytest.mark.parametrize(
    ("figures", "verdict", "word"),
    [
        ({"residual_mm": 0.3, "overlap": 0.9, "spread_mm": 0.1, "similarity": 0.9}, Verdict.GOOD, None),
        ({"residual_mm": 0.8}, Verdict.NEEDS_REVIEW, "stay 0.80 mm apart"),
        ({"residual_mm": 1.4}, Verdict.FAILED, "another patient"),
        ({"residual_mm": 0.9, "mirror_fits_better": 1.0}, Verdict.FAILED, "side"),
        ({"overlap": 0.5}, Verdict.NEEDS_REVIEW, "share 50%"),
        ({"spread_mm": 2.0}, Verdict.FAILED, "disagree by 2.00 mm"),
        ({"similarity": 0.05}, Verdict.FAILED, "motion artefact"),
        ({"similarity": 0.4}, Verdict.NEEDS_REVIEW, "agree little"),
        ({"image_shift_mm": 1.5}, Verdict.NEEDS_REVIEW, "label map"),
        ({"rotation_deg": 40.0}, Verdict.NEEDS_REVIEW, "40 degrees"),
        ({"rotation_deg": 50.0}, Verdict.FAILED, "header"),
        ({"coarsest_spacing_mm": 3.0}, Verdict.COARSE, "3.0 mm"),
        ({"similarity": float("nan")}, Verdict.GOOD, None),
    ],
)
def test_each_limit_has_its_reason(figures, verdict, word):
    found, reasons = assess(figures, Bone.FEMUR, Thresholds())
    assert found is verdict
    assert reasons == () if word is None else word in " ".join(reasons)


def test_two_failed_bones_fail_the_third():
    def result(verdict):
        return BoneRegistration(transform=RigidTransform.identity(), verdict=verdict, residual_mm=2.0)

    bones = {Bone.FEMUR: result(Verdict.FAILED), Bone.TIBIA: result(Verdict.FAILED), Bone.PATELLA: result(Verdict.GOOD)}
    assert doubt_together(bones)[Bone.PATELLA].verdict is Verdict.FAILED
    one = bones | {Bone.TIBIA: result(Verdict.GOOD)}
    assert doubt_together(one)[Bone.PATELLA].verdict is Verdict.GOOD
