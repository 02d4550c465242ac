"""A study of three visits, from DICOM to the mixed model: tibiae of the sample trial, one of which missed month 6."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.transform import Rotation

import mriseg as package
from mriseg.geometry import thin
from mriseg.nifti import read_label_map, write_label_map
from mriseg.simulate.dicom_writer import SeriesInfo, write_series
from mriseg.simulate.signal import SEQUENCES, SequenceName
from mriseg.types import Bone, Grid, Label, LabelMap, RowState, Side, Volume
from tests.end_to_end.commands import SAMPLE, mriseg

pytestmark = pytest.mark.xdist_group("three-visits")

PEOPLE = {f"sub-0{n}": (Side.RIGHT, Side.LEFT)[(n + 1) % 2] for n in range(1, 6)}
MISSED = "sub-05"
DAYS = {"baseline": 0, "month6": 183, "month12": 365}
LEVELS = np.array([90.0, 60.0, 180.0, 60.0, 180.0, 60.0, 180.0])  # image of a label map, background first
STUDY = """
[study]
id = "three"
[[visits]]
id = "baseline"
day = 0
window = [-14, 14]
[[visits]]
id = "month6"
day = 183
window = [150, 215]
[[visits]]
id = "month12"
day = 365
window = [330, 400]
[series]
description = "(?i)dess"
[segment]
method = "readers"
[segment.labels]
1 = 1
2 = 2
3 = 3
4 = 4
5 = 5
6 = 6
[analysis]
region = "MT"
metric = "ThCtAB_aMe"
baseline = "baseline"
followup = "month12"
reference = "placebo"
treated = "msc"
permutations = 200
seed = 1
"""


def tibia(name: str, visit: str) -> LabelMap:
    """Tibia of one visit in coarse voxels; at month 12 it is that of month 6, turned and with one plate worn."""
    source = "baseline" if visit == "baseline" else "month6"
    labels = thin(read_label_map(SAMPLE / "truth" / "labels" / f"{name}_ses-{source}_dseg.nii.gz"), 1.2)
    data = np.where(np.isin(labels.data, (Label.TIBIA, Label.TIBIAL_CARTILAGE)), labels.data, 0)
    affine = labels.grid.affine
    if visit == "month12":
        turn = np.eye(4)
        turn[:3, :3] = Rotation.from_rotvec((3.0, -2.0, 5.0), degrees=True).as_matrix()
        turn[:3, 3] = (4.0, -6.0, 2.0)
        affine = turn @ affine
        index = np.argwhere(data == Label.TIBIAL_CARTILAGE)
        hole = np.linalg.norm((index - np.median(index, axis=0)) * labels.grid.spacing_mm, axis=1) < 9.0
        data[tuple(index[hole].T)] = 0
    keep = np.argwhere(data > 0)
    low, high = np.maximum(keep.min(axis=0) - 4, 0), keep.max(axis=0) + 5
    affine = affine @ np.block([[np.eye(3), low[:, None]], [np.zeros(3), 1.0]])
    data = data[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    return LabelMap(data=data.astype(np.uint8), grid=Grid(shape=data.shape, affine=affine))


def scanned(labels: LabelMap, seed: int) -> Volume:
    noise = np.random.default_rng(seed).normal(0.0, 4.0, labels.data.shape)
    return Volume(data=np.clip(LEVELS[labels.data] + noise, 0, None).astype(np.float32), grid=labels.grid)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("three") / "study"
    (folder / "masks").mkdir(parents=True)
    (folder / "study.toml").write_text(STUDY)
    rows = "".join(f"{name}\t{side.value}\n" for name, side in PEOPLE.items())
    (folder / "participants.tsv").write_text("participant_id\tside\n" + rows)
    sequence = SEQUENCES[SequenceName.DESS]
    for n, (name, side) in enumerate(PEOPLE.items()):
        for visit, day in DAYS.items():
            if (name, visit) == (MISSED, "month6"):
                continue
            labels = tibia(name, visit)
            info = SeriesInfo(
                trial="three", participant=name, visit=visit, site="site-1", side=side,
                date=date(2026, 1, 5) + timedelta(days=day), sequence=sequence,
                description=sequence.description, number=3, seed=n,
            )  # fmt: skip
            write_series(folder / "dicom" / name / visit, scanned(labels, n), info, compress=False)
            write_label_map(folder / "masks" / f"{name}_ses-{visit}_dseg.nii.gz", labels)
    result = mriseg("run", folder)
    assert "5 patients" in result.stdout + result.stderr, result.stdout + result.stderr
    return folder


@pytest.fixture(scope="module")
def regions(study: Path) -> pd.DataFrame:
    return package.open_study(study).table("regions")


def thickness(regions: pd.DataFrame) -> pd.DataFrame:
    rows = regions.query("metric == 'ThCtAB_aMe' and region in ['MT', 'LT']")
    return rows.pivot_table(index="participant_id", columns="visit", values="value", aggfunc="mean")


def test_every_visit_that_exists_is_measured_and_month_12_does_not_hang_on_month_6(regions: pd.DataFrame) -> None:
    state = regions.query("metric == 'tAB' and region == 'MT'").pivot(
        index="participant_id", columns="visit", values="state"
    )
    assert (state[["baseline", "month12"]] == RowState.MEASURED.value).all(axis=None)
    assert list(state.index[state["month6"].isna()]) == [MISSED]
    found = thickness(regions)
    assert (found["month12"] < found["baseline"] - 0.05).all()


def test_all_visits_of_a_patient_share_one_area(regions: pd.DataFrame) -> None:
    area = regions.query("metric == 'tAB' and region in ['MT', 'LT']")
    assert area.groupby(["participant_id", "region"])["value"].nunique().max() == 1


def test_each_later_visit_has_its_own_registration_with_baseline(study: Path) -> None:
    patient = package.open_study(study).patient("sub-01")
    for visit in ("month6", "month12"):
        stored = patient.registration(visit)
        assert (stored["baseline"], stored["followup"]) == ("baseline", visit)
        assert stored["parameters"]["thresholds.failed_residual_mm"] == 0.95
    turned = patient.transforms("month12")[Bone.TIBIA].matrix
    assert not np.allclose(turned, patient.transforms("month6")[Bone.TIBIA].matrix, atol=0.5)


def test_pages_show_every_visit(study: Path) -> None:
    page = (study / "derivatives/mriseg/sub-01/sub-01.html").read_text()
    for said in (
        "baseline, month6, month12",
        "Registration, baseline to month12",
        "change to month6",
        "change to month12",
    ):
        assert said in page
    missed = (study / f"derivatives/mriseg/{MISSED}/{MISSED}.html").read_text()
    assert "Registration, baseline to month12" in missed
    assert "baseline to month6" not in missed


def test_the_sidecar_holds_every_number_and_a_patient_can_be_measured_with_others(study: Path) -> None:
    patient = package.open_study(study).patient("sub-02")
    stored = json.loads((study / "derivatives/mriseg/sub-02/sub-02_regions.json").read_text())["parameters"]
    assert {"rim_mm", "cover.wall_level", "footprint.sure_mm2", "atlas.fit.steps", "lesion.shoulder_mm"} <= set(stored)
    again = {(r.region, r.metric): r.value for r in patient.remeasure().visits[2].regions}
    other = {(r.region, r.metric): r.value for r in patient.remeasure(central_fraction=0.4).visits[2].regions}
    written = patient.measured_regions().query("visit == 'month12'").set_index(["region", "metric"])["value"]
    assert again["MT", "dAB"] == pytest.approx(written["MT", "dAB"], rel=1e-5)
    assert other["cMT", "tAB"] == pytest.approx(2.0 * again["cMT", "tAB"], rel=0.05)


def many(regions: pd.DataFrame) -> pd.DataFrame:
    """Every patient of the run four times with a little noise: five knees cannot carry a model of two visits."""
    rows = regions.query("region in ['MT', 'LT'] and metric == 'ThCtAB_aMe'")
    rng = np.random.default_rng(4)
    copies = []
    for letter in "abcd":
        noisy = rows["value"] + rng.normal(0, 0.05, len(rows))
        copies.append(rows.assign(participant_id=rows["participant_id"] + letter, value=noisy))
    return pd.concat(copies, ignore_index=True)


def test_the_mixed_model_of_the_comparison_takes_both_later_visits(regions: pd.DataFrame, tmp_path: Path) -> None:
    table = many(regions)
    names = sorted(table["participant_id"].unique())
    table.to_csv(tmp_path / "regions.tsv", sep="\t", index=False)
    arms = "".join(f"{name},{('placebo', 'msc')[n % 2]}\n" for n, name in enumerate(names))
    (tmp_path / "allocation.csv").write_text("participant_id,arm\n" + arms)
    (tmp_path / "plan.toml").write_text(STUDY[STUDY.index("[analysis]") :])
    result = mriseg(
        "compare", "--table", tmp_path / "regions.tsv", "--plan", tmp_path / "plan.toml",
        "--allocation", tmp_path / "allocation.csv", "--out", tmp_path / "out",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    model = json.loads((tmp_path / "out" / "comparison.json").read_text())["sensitivity"]["mixed_model"]
    assert [v["visit"] for v in model["visits"]] == ["month6", "month12"], model
    assert [v["n"] for v in model["visits"]] == [[8, 8], [10, 10]]
