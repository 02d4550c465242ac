"""Whole knees: what must not change, what must flip, and what bad input gives."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.transform import Rotation

from mriseg.errors import MeasurementError
from mriseg.geometry import MIRROR, crop, mirror_transform
from mriseg.measure import UNITS, MeasureParameters, defects_table, measure, regions_table
from mriseg.nifti import read_label_map
from mriseg.types import (
    Bone,
    BoneRegistration,
    Fate,
    Grid,
    Label,
    LabelMap,
    Registration,
    RigidTransform,
    RowState,
    Side,
    Verdict,
    VertexState,
)

SAMPLE = Path(__file__).resolve().parents[2] / "sample_data" / "truth"
FEMUR = (Label.FEMUR, Label.FEMORAL_CARTILAGE)
TIBIA = (Label.TIBIA, Label.TIBIAL_CARTILAGE)
FAST = MeasureParameters(spacing_mm=0.8)
FLIPPED = {Fate.NEW: Fate.RESOLVED, Fate.RESOLVED: Fate.NEW, Fate.GROWN: Fate.SHRUNK, Fate.SHRUNK: Fate.GROWN}


def knee(visit: str) -> LabelMap:
    return read_label_map(SAMPLE / "labels" / f"sub-01_ses-{visit}_dseg.nii.gz")


def only(labels: LabelMap, wanted) -> LabelMap:
    return LabelMap(data=np.where(np.isin(labels.data, wanted), labels.data, 0), grid=labels.grid)


def registration(matrices: dict[Bone, np.ndarray], verdict: Verdict = Verdict.GOOD) -> Registration:
    bones = {
        b: BoneRegistration(transform=RigidTransform(matrix=m), verdict=verdict, reasons=("a reason",))
        for b, m in matrices.items()
    }
    return Registration(bones=bones)


def true_motion() -> dict[Bone, np.ndarray]:
    stored = json.loads((SAMPLE / "motions.json").read_text())["sub-01"]["bones"]
    return {Bone(name): np.array(part["matrix_ras_mm"]) for name, part in stored.items()}


def values(visit) -> pd.Series:
    return pd.Series({(r.region, r.metric): r.value for r in visit.regions})


@pytest.fixture(scope="module")
def maps():
    parts = (*FEMUR, *TIBIA)
    return only(knee("baseline"), parts), only(knee("month6"), parts)


@pytest.fixture(scope="module")
def forward(maps):
    return measure(*maps, registration(true_motion()), side=Side.RIGHT, parameters=FAST)


@pytest.fixture(scope="module")
def tibia(maps):
    return only(maps[0], TIBIA)


@pytest.fixture(scope="module")
def single(tibia):
    return measure(tibia, None, None, side=Side.RIGHT, parameters=FAST)


def test_swapped_visits_give_the_same_numbers_exactly_and_flipped_fates(maps, forward):
    back = {bone: np.linalg.inv(matrix) for bone, matrix in true_motion().items()}
    swapped = measure(maps[1], maps[0], registration(back), side=Side.RIGHT, parameters=FAST)
    pd.testing.assert_series_equal(values(forward.baseline), values(swapped.followup), rtol=0, atol=0)
    pd.testing.assert_series_equal(values(forward.followup), values(swapped.baseline), rtol=0, atol=0)
    ours = sorted((d.area_mm2, FLIPPED.get(d.fate, d.fate), -d.change_mm2) for d in forward.followup.defects)
    theirs = sorted((d.area_mm2, d.fate, d.change_mm2) for d in swapped.baseline.defects)
    assert ours == theirs


def test_the_mirrored_knee_gives_the_same_numbers(maps, forward):
    mirrored = [LabelMap(data=m.data, grid=Grid(shape=m.grid.shape, affine=MIRROR @ m.grid.affine)) for m in maps]
    motion = {b: mirror_transform(RigidTransform(matrix=m), Side.LEFT).matrix for b, m in true_motion().items()}
    left = measure(*mirrored, registration(motion), side=Side.LEFT, parameters=FAST)
    pd.testing.assert_series_equal(values(forward.baseline), values(left.baseline), rtol=1e-9)
    pd.testing.assert_series_equal(values(forward.followup), values(left.followup), rtol=1e-9)


def test_planted_lesions_are_found_at_both_visits_and_matched(forward):
    truth = pd.read_csv(SAMPLE / "truth.tsv", sep="\t").query("participant_id == 'sub-01' and kind == 'defect'")
    full = truth.pivot_table(index=["visit", "defect_id"], columns="metric", values="value").query(
        "planted_depth_pct > 99"
    )
    for visit, measured in (("baseline", forward.baseline), ("month6", forward.followup)):
        found = sorted(d.area_mm2 for d in measured.defects if d.icrs_class == 4 and d.area_mm2 > 20)
        assert found == pytest.approx(sorted(full.loc[visit, "area_mm2"]), rel=0.12)
    large = [d for d in forward.followup.defects if d.icrs_class == 4 and d.area_mm2 > 20]
    assert all(d.matched_defect_id for d in large)


def test_a_knee_against_itself_has_no_change_at_all(tibia):
    same = registration({Bone.TIBIA: np.eye(4)})
    result = measure(tibia, tibia, same, side=Side.RIGHT, parameters=FAST)
    pd.testing.assert_series_equal(values(result.baseline), values(result.followup), rtol=0, atol=0)
    assert all(d.fate is Fate.STABLE and d.change_mm2 == 0 for d in result.followup.defects)


def test_a_turned_and_moved_knee_keeps_its_areas(tibia):
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("xyz", (7, -9, 12), degrees=True).as_matrix()
    turn[:3, 3] = (31.0, -17.3, 8.4)
    moved = LabelMap(data=tibia.data, grid=Grid(shape=tibia.grid.shape, affine=turn @ tibia.grid.affine))
    before = values(measure(tibia, None, None, side=Side.RIGHT).baseline)
    after = values(measure(moved, None, None, side=Side.RIGHT).baseline)
    for region in ("MT", "LT"):
        assert after[region, "tAB"] == pytest.approx(before[region, "tAB"], rel=0.005)
        assert after[region, "VC"] == pytest.approx(before[region, "VC"], rel=0.005)
        assert after[region, "ThCtAB_aMe"] == pytest.approx(before[region, "ThCtAB_aMe"], abs=0.02)


def test_figures_of_a_plate_add_up(single):
    v = values(single.baseline)
    parts = ("cMT", "aMT", "pMT", "eMT", "iMT")
    for metric in ("tAB", "cAB", "dAB", "VC"):
        assert v["MT", metric] == pytest.approx(sum(v[p, metric] for p in parts))
    assert v["MT", "tAB"] == pytest.approx(v["MT", "cAB"] + v["MT", "dAB"])
    assert v["cMT", "tAB"] == pytest.approx(0.2 * v["MT", "tAB"], rel=0.02)
    assert v["MT", "VCtAB"] == pytest.approx(v["MT", "VC"] / v["MT", "tAB"])
    assert {m for r, m in v.index if r == "cMT"} == set(UNITS)


def test_missing_bones_are_rows_without_a_value(single):
    for row in single.baseline.regions:
        if row.region in {"TrF", "P", "MFTC", "FT"}:
            assert (row.state, np.isnan(row.value)) == (RowState.MISSING, True)
    assert any("patella" in note for note in single.notes)


def test_an_empty_cartilage_label_is_missing_and_no_zero(tibia):
    bare = LabelMap(data=np.where(tibia.data == Label.TIBIAL_CARTILAGE, 0, tibia.data), grid=tibia.grid)
    with pytest.raises(MeasurementError, match="tibia: bone or cartilage is missing"):
        measure(bare, None, None, side=Side.RIGHT, parameters=FAST)


def test_a_region_that_the_field_of_view_cuts_is_named(tibia):
    plates = np.flatnonzero((tibia.data == Label.TIBIAL_CARTILAGE).any(axis=(1, 2)))
    cut = crop(tibia, np.array([plates[0] + 8, 0, 0]), np.array(tibia.grid.shape))
    result = measure(cut, None, None, side=Side.RIGHT, parameters=FAST)
    state = {r.region: r.state for r in result.baseline.regions if r.metric == "tAB"}
    lost, kept = ("MT", "LT") if state["MT"] is RowState.CUT else ("LT", "MT")
    assert (state[lost], state[kept]) == (RowState.CUT, RowState.MEASURED)
    assert VertexState.FAILED in result.baseline.thickness[Bone.TIBIA].state
    assert any("field of view" in note for note in result.notes)


def test_an_island_of_cartilage_far_off_the_joint_adds_no_area(tibia, single):
    data = tibia.data.copy()
    low = np.argwhere(data == Label.TIBIA)[:, 2].min()
    i, j, _ = np.argwhere(data == Label.TIBIA).mean(axis=0).astype(int)
    data[i - 2 : i + 3, :, :][:, : max(j - 40, 3), low : low + 5] = Label.TIBIAL_CARTILAGE
    island = LabelMap(data=np.where(tibia.data > 0, tibia.data, data), grid=tibia.grid)
    after = values(measure(island, None, None, side=Side.RIGHT, parameters=FAST).baseline)
    assert after["MT", "tAB"] == pytest.approx(values(single.baseline)["MT", "tAB"], rel=0.01)


def test_the_wrong_side_is_refused(tibia):
    with pytest.raises(MeasurementError, match="looks like side R but was given as L"):
        measure(tibia, None, None, side=Side.LEFT, parameters=FAST)


def test_a_failed_registration_fails_the_followup_and_never_gives_numbers(tibia):
    result = measure(
        tibia,
        tibia_moved := only(knee("month6"), TIBIA),
        registration(true_motion(), Verdict.FAILED),
        side=Side.RIGHT,
        parameters=FAST,
    )
    assert tibia_moved.data.any()
    state = {r.state for r in result.followup.regions if r.region == "MT"}
    assert state == {RowState.FAILED}
    assert np.isfinite(values(result.baseline)["MT", "tAB"])
    assert all(d.matched_defect_id is None and d.fate is None for d in result.baseline.defects)


def test_a_followup_needs_a_registration(tibia):
    with pytest.raises(MeasurementError, match="registration"):
        measure(tibia, tibia, None, side=Side.RIGHT)


def test_tables_have_the_columns_of_the_study_folder(forward):
    regions = regions_table(forward, participant="sub-01", side=Side.RIGHT, visits=("bl", "m6"))
    assert list(regions.columns) == [
        "participant_id", "visit", "side", "region", "metric", "value", "unit", "state",
    ]  # fmt: skip
    assert set(regions["visit"]) == {"bl", "m6"}
    defects = defects_table(forward, participant="sub-01", visits=("bl", "m6"))
    assert {"defect_id", "icrs_class", "area_mm2", "change_mm2", "fate"} <= set(defects.columns)
    assert not defects.duplicated(["visit", "defect_id"]).any()


def test_parameters_refuse_nonsense():
    with pytest.raises(MeasurementError, match="band_pct"):
        MeasureParameters(band_pct=0.6)
