"""More than two visits of one knee: all on one surface, each by its own registration, none hanging on another."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.transform import Rotation

from mriseg.errors import MeasurementError
from mriseg.geometry import crop, halfway
from mriseg.measure import defects_table, measure, measure_visits, regions_table
from mriseg.measure.common_space import mean_pose
from mriseg.types import Bone, Fate, Grid, Label, LabelMap, Registration, RigidTransform, RowState, Side, Verdict

sys.path.insert(0, str(Path(__file__).parent))
from knees import COARSE, TIBIA, knee, only, registration, true_motion, values

FLIPPED = {Fate.NEW: Fate.RESOLVED, Fate.RESOLVED: Fate.NEW, Fate.GROWN: Fate.SHRUNK, Fate.SHRUNK: Fate.GROWN}


def turned(rotation_deg, shift_mm):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(rotation_deg, degrees=True).as_matrix()
    matrix[:3, 3] = shift_mm
    return RigidTransform(matrix=matrix)


MONTH_6 = RigidTransform(matrix=true_motion()[Bone.TIBIA])
MONTH_12 = turned((4.0, -3.0, 6.0), (8.0, -5.0, 3.0))


def worn(labels):
    """The same tibia a year later and elsewhere: a hole to the bone in the lateral plate."""
    index = np.argwhere(labels.data == Label.TIBIAL_CARTILAGE)
    middle = index[index[:, 0] > np.median(index[:, 0])].mean(axis=0)
    near = np.linalg.norm((index - middle) * labels.grid.spacing_mm, axis=1) < 7.0
    data = labels.data.copy()
    data[tuple(index[near].T)] = 0
    return LabelMap(data=data, grid=Grid(shape=labels.grid.shape, affine=MONTH_12.matrix @ labels.grid.affine))


def to(*motions, verdicts=()):
    verdicts = verdicts or [Verdict.GOOD] * len(motions)
    return [registration({Bone.TIBIA: m.matrix}, v) for m, v in zip(motions, verdicts, strict=True)]


def measured(labels, registrations):
    return measure_visits(labels, registrations, side=Side.RIGHT, parameters=COARSE)


@pytest.fixture(scope="module")
def tibias():
    baseline = only(knee("baseline"), TIBIA)
    return baseline, only(knee("month6"), TIBIA), worn(baseline)


@pytest.fixture(scope="module")
def three(tibias):
    return measured(tibias, to(MONTH_6, MONTH_12))


def test_every_visit_is_measured_on_one_surface_with_one_area(three):
    area = [values(visit)["MT", "tAB"] for visit in three.visits]
    assert len(three.visits) == 3
    assert area[0] == area[1] == area[2] > 500.0
    bare = [values(visit)["LT", "dAB"] for visit in three.visits]
    assert bare[2] - bare[0] == pytest.approx(np.pi * 49.0, rel=0.25)
    assert abs(bare[1] - bare[0]) < 10.0


def test_three_visits_agree_with_each_pair_measured_alone(tibias, three):
    for number, motion in ((1, MONTH_6), (2, MONTH_12)):
        pair = measure(tibias[0], tibias[number], *to(motion), side=Side.RIGHT, parameters=COARSE)
        alone = values(pair.followup) - values(pair.baseline)
        together = values(three.visits[number]) - values(three.baseline)
        for plate in ("MT", "LT"):
            assert together[plate, "ThCtAB_aMe"] == pytest.approx(alone[plate, "ThCtAB_aMe"], abs=0.03)
            assert together[plate, "dAB"] == pytest.approx(alone[plate, "dAB"], abs=4.0)


@pytest.mark.parametrize("order", [(2, 1, 0), (1, 0, 2), (0, 2, 1)])
def test_swapping_any_two_of_three_visits_only_changes_signs(tibias, three, order):
    poses = [RigidTransform.identity(), MONTH_6, MONTH_12]
    back = poses[order[0]].inverse()
    swapped = measured([tibias[n] for n in order], to(*(poses[n].after(back) for n in order[1:])))
    for place, number in enumerate(order):
        pd.testing.assert_series_equal(values(swapped.visits[place]), values(three.visits[number]), rtol=1e-9)
    first, last = three.visits[0], three.visits[2]
    if order == (2, 1, 0):
        ours = sorted((d.area_mm2, FLIPPED.get(d.fate, d.fate), -d.change_mm2) for d in last.defects)
        theirs = sorted((d.area_mm2, d.fate, d.change_mm2) for d in swapped.baseline.defects)
        assert [o[1] for o in ours] == [t[1] for t in theirs]
        assert np.allclose([o[::2] for o in ours], [t[::2] for t in theirs])
        assert len(first.defects) == len(swapped.visits[2].defects)


def test_a_visit_that_cannot_be_registered_fails_alone(tibias, three):
    found = measured(tibias, to(MONTH_6, MONTH_12, verdicts=(Verdict.FAILED, Verdict.GOOD)))
    state = [{r.state for r in visit.regions if (r.region, r.metric) == ("MT", "tAB")} for visit in found.visits]
    assert state == [{RowState.MEASURED}, {RowState.FAILED}, {RowState.MEASURED}]
    assert values(found.visits[2])["LT", "dAB"] == pytest.approx(values(three.visits[2])["LT", "dAB"], abs=4.0)
    assert any("follow-up 1 is not measured" in note for note in found.notes)
    new = [d for d in found.visits[2].defects if d.icrs_class == 4 and d.fate is Fate.NEW]
    assert len(new) == 1


def test_a_visit_that_shows_part_of_the_knee_loses_that_part_alone(tibias, three):
    plates = np.flatnonzero((tibias[1].data == Label.TIBIAL_CARTILAGE).any(axis=(1, 2)))
    cut = crop(tibias[1], np.array([plates[0] + 8, 0, 0]), np.array(tibias[1].grid.shape))
    found = measured((tibias[0], cut, tibias[2]), to(MONTH_6, MONTH_12))
    state = [{r.region: r.state for r in visit.regions if r.metric == "tAB"} for visit in found.visits]
    lost, kept = ("MT", "LT") if state[1]["MT"] is RowState.CUT else ("LT", "MT")
    assert [s[lost] for s in state] == [RowState.MEASURED, RowState.CUT, RowState.MEASURED]
    assert [s[kept] for s in state] == [RowState.MEASURED] * 3
    for number in (0, 2):
        for metric, tolerance in (("ThCtAB_aMe", 0.03), ("dAB", 4.0)):
            whole = values(three.visits[number])[lost, metric]
            assert values(found.visits[number])[lost, metric] == pytest.approx(whole, abs=tolerance)
        assert values(found.visits[number])[lost, "tAB"] == pytest.approx(values(three.baseline)[lost, "tAB"], rel=0.02)
    assert any("follow-up 1" in note and "field of view" in note for note in found.notes)


def test_baseline_lesions_tell_what_the_last_visit_shows(three):
    named = {d.defect_id for d in three.visits[2].defects}
    assert all(d.matched_defect_id in named for d in three.baseline.defects if d.matched_defect_id)
    hole = [d for d in three.visits[2].defects if d.icrs_class == 4 and d.area_mm2 > 60.0]
    assert all(d.fate in (Fate.NEW, Fate.GROWN) for d in hole)


def test_tables_hold_every_visit_and_refuse_one_without_a_name(three):
    names = ("bl", "m6", "m12")
    assert set(regions_table(three, participant="sub-01", side=Side.RIGHT, visits=names)["visit"]) == set(names)
    assert "m12" in set(defects_table(three, participant="sub-01", visits=names)["visit"])
    with pytest.raises(MeasurementError, match="3 visits were measured, 2 are named"):
        regions_table(three, participant="sub-01", side=Side.RIGHT, visits=("bl", "m6"))


def test_every_later_visit_needs_a_registration(tibias):
    with pytest.raises(MeasurementError, match="3 visits need 2 registrations"):
        measured(tibias, to(MONTH_6))
    found = measured(tibias, [Registration(bones={}), *to(MONTH_12)])
    assert any("no registration, follow-up 1" in note for note in found.notes)


def test_the_mean_of_two_poses_is_half_of_their_motion_and_turns_with_them():
    pose = [turned((5, 1, -9), (3, 30, -8)), turned((-3, 12, 4), (0, 12, 40)), turned((9, 0, 2), (-20, 2, 6))]
    half = mean_pose([RigidTransform.identity(), pose[0]])
    np.testing.assert_allclose(half.matrix, halfway(pose[0]).matrix, atol=1e-12)
    other = turned((20, -14, 33), (100, -50, 7))
    mean = mean_pose(pose).matrix
    np.testing.assert_allclose(mean_pose([p.after(other) for p in pose]).matrix, mean @ other.matrix, atol=1e-9)
    np.testing.assert_allclose(mean_pose([other.after(p) for p in pose]).matrix, other.matrix @ mean, atol=1e-9)
