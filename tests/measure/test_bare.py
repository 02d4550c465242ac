"""Plates and bones that have lost all of their cartilage, at one visit and at both, left and right."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from mriseg.geometry import mirror_transform
from mriseg.measure import measure
from mriseg.types import Bone, RigidTransform, RowState, Side, VertexState

sys.path.insert(0, str(Path(__file__).parent))
from knees import COARSE, coarse_knee, mirrored, registration, true_motion, values, without_plate

THICKEST_MM = 7.0
# What is taken off, and the regions that are left without any cartilage by it.
LOSSES = {
    "medial plates": (
        ((Bone.TIBIA, "medial"), (Bone.FEMUR, "medial")),
        ("MT", "cMT", "aMT", "pMT", "eMT", "iMT", "cMF", "ecMF", "ccMF", "icMF", "pMF", "MFTC", "cMFTC"),
        ("LT", "cLF", "LFTC", "P"),
    ),
    "lateral plates and patella": (
        ((Bone.TIBIA, "lateral"), (Bone.FEMUR, "lateral"), (Bone.PATELLA, "both")),
        ("LT", "cLT", "cLF", "pLF", "LFTC", "cLFTC", "P", "MP", "LP"),
        ("MT", "cMF", "MFTC"),
    ),
}


def stripped(visit, parts):
    labels = coarse_knee(visit)
    for bone, side in parts:
        labels = without_plate(labels, bone, side)
    return labels


def both_visits(baseline, followup, side=Side.RIGHT):
    motion = true_motion()
    if side is Side.LEFT:
        baseline, followup = mirrored(baseline), mirrored(followup)
        motion = {b: mirror_transform(RigidTransform(matrix=m), side).matrix for b, m in motion.items()}
    return measure(baseline, followup, registration(motion), side=side, parameters=COARSE)


def assert_bare(visit, regions):
    rows = {(r.region, r.metric): r for r in visit.regions}
    for region in regions:
        assert rows[region, "tAB"].value > 100.0
        assert rows[region, "dAB"].value == rows[region, "tAB"].value
        assert rows[region, "dABp"].value == 100.0
        for metric in ("ThCtAB_aMe", "ThCtAB_aMav", "cAB", "VC", "VCtAB", "AC"):
            assert (region, metric, rows[region, metric].value) == (region, metric, 0.0)
        assert (rows[region, "ThCcAB_aMe"].state, rows[region, "ThCcAB_aNo"].state) == (RowState.MISSING,) * 2


def assert_bounded(result):
    for visit in result.visits:
        for shown in visit.thickness.values():
            assert (shown.thickness_mm[shown.state == VertexState.MEASURED] < THICKEST_MM).all()
        found = values(visit)
        thickness = found[[k for k in found.index if "Th" in k[1]]].dropna()
        assert thickness.between(0.0, THICKEST_MM).all()


@pytest.fixture(scope="module")
def sound():
    return both_visits(coarse_knee("baseline"), coarse_knee("month6"))


@pytest.fixture(scope="module")
def alone():
    return measure(coarse_knee("baseline"), None, None, side=Side.RIGHT, parameters=COARSE)


@pytest.mark.parametrize("loss", LOSSES)
def test_plates_bare_at_followup_alone(loss, sound, alone):
    parts, bare, kept = LOSSES[loss]
    result = both_visits(coarse_knee("baseline"), stripped("month6", parts))
    assert_bare(result.followup, bare)
    assert_bounded(result)
    before, after, whole = values(result.baseline), values(result.followup), values(alone.baseline)
    for region in (*bare[:1], *kept):
        assert before[region, "ThCtAB_aMe"] == pytest.approx(whole[region, "ThCtAB_aMe"], abs=0.05)
        assert before[region, "tAB"] == pytest.approx(whole[region, "tAB"], rel=0.03)
        assert before[region, "dAB"] == pytest.approx(whole[region, "dAB"], abs=25.0)  # of 1.2 mm voxels
    for region in kept:
        assert after[region, "ThCtAB_aMe"] == pytest.approx(values(sound.followup)[region, "ThCtAB_aMe"], abs=0.05)
    femorotibial = ("MT", "LT", "cMF", "cLF")
    assert after["FT", "dAB"] == pytest.approx(sum(after[plate, "dAB"] for plate in femorotibial))
    assert after["FT", "ThCtAB_aMe"] < 0.6 * before["FT", "ThCtAB_aMe"]
    new = [d for d in result.followup.defects if d.icrs_class == 4]
    assert sum(d.area_mm2 for d in new if d.region.endswith("T")) == pytest.approx(
        after["MT", "dAB"] + after["LT", "dAB"], rel=0.01
    )


def test_plates_bare_at_baseline_alone():
    parts, bare, _ = LOSSES["medial plates"]
    result = both_visits(stripped("baseline", parts), coarse_knee("month6"))
    assert_bare(result.baseline, bare)
    assert_bounded(result)
    assert values(result.followup)["MT", "dABp"] < 5.0


@pytest.mark.parametrize("side", list(Side))
def test_plates_and_patella_bare_at_both_visits_left_and_right(side):
    parts, bare, kept = LOSSES["lateral plates and patella"]
    result = both_visits(stripped("baseline", parts), stripped("month6", parts), side)
    for visit in result.visits:
        assert_bare(visit, bare)
        assert all(np.isfinite(values(visit)[region, "ThCcAB_aMe"]) for region in kept)
    assert_bounded(result)


def test_a_bone_without_any_cartilage_waits_for_a_person():
    parts = ((Bone.PATELLA, "both"),)
    result = both_visits(coarse_knee("baseline"), stripped("month6", parts))
    state = {(r.region, r.metric): r.state for r in result.followup.regions}
    assert (state["P", "dAB"], state["MT", "dAB"]) == (RowState.NEEDS_REVIEW, RowState.MEASURED)
    assert any("patella" in note and "follow-up" in note and "no cartilage" in note for note in result.notes)


def test_speckle_on_a_bare_plate_is_no_cartilage():
    bare = without_plate(coarse_knee("month6"), Bone.TIBIA, "lateral")
    cartilage = np.argwhere((coarse_knee("month6").data == Bone.TIBIA.cartilage) & (bare.data == 0))
    data = bare.data.copy()
    data[tuple(cartilage[:: len(cartilage) // 12].T)] = Bone.TIBIA.cartilage
    result = both_visits(coarse_knee("baseline"), type(bare)(data=data, grid=bare.grid))
    assert_bare(result.followup, ("LT", "cLT", "eLT"))
    assert_bounded(result)
