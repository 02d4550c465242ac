"""A whole small trial from the command line: what is in the study, what is beside it, and nothing of the arm inside."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pandas as pd
import pydicom
import pytest
from typer.testing import CliRunner

from mriseg.cli import app
from mriseg.geometry import MIRROR, RAS_LPS, reorient
from mriseg.nifti import read_label_map, write_label_map
from mriseg.simulate.run import read_plan
from mriseg.simulate.trial import Participant, simulate_participant
from mriseg.study.config import read_config
from mriseg.study.manifest import read_participants
from mriseg.types import Bone, LabelMap, Side

OPTIONS = ["--participants", "2", "--spacing", "3 1.5 1.5", "--crop", "--compress", "--seed", "4"]


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    out = tmp_path_factory.mktemp("simulate") / "trial"
    result = CliRunner().invoke(app, ["simulate", str(out), *OPTIONS])
    assert result.exit_code == 0, result.output
    return out, out.with_name("trial-truth")


def read_series(folder):
    slices = sorted((pydicom.dcmread(path) for path in folder.glob("*.dcm")), key=lambda ds: ds.InstanceNumber)
    data = np.stack([ds.pixel_array.T for ds in slices], axis=-1)
    first, last = slices[0], slices[-1]
    affine = np.eye(4)
    row, column = np.array(first.ImageOrientationPatient[:3]), np.array(first.ImageOrientationPatient[3:])
    affine[:3, 0], affine[:3, 1] = row * first.PixelSpacing[1], column * first.PixelSpacing[0]
    step = np.array(last.ImagePositionPatient, float) - np.array(first.ImagePositionPatient, float)
    affine[:3, 2] = step / (len(slices) - 1)
    affine[:3, 3] = first.ImagePositionPatient
    return slices, data, RAS_LPS @ affine


def test_study_files_pass_the_checks_of_the_study(trial):
    study, _ = trial
    config = read_config(study / "study.toml")
    people = read_participants(study / "participants.tsv")
    assert [v.id for v in config.visits] == ["baseline", "month6"]
    assert [p.side for p in people] == [Side.RIGHT, Side.LEFT]
    assert all(p.problem is None for p in people)


def test_dicom_lies_exactly_under_its_mask(trial):
    study, _ = trial
    for mask in sorted((study / "masks").glob("*.nii.gz")):
        participant, visit = mask.name.split("_")[0], mask.name.split("_ses-")[1].split("_")[0]
        labels = read_label_map(mask)
        _, data, affine = read_series(study / "dicom" / participant / visit)
        image = reorient(
            LabelMap(data=np.zeros(data.shape, np.uint8), grid=type(labels.grid)(shape=data.shape, affine=affine))
        )
        assert image.grid.same_as(labels.grid, tolerance_mm=1e-3)
        pixels = reorient(
            type(labels)(
                data=(data > np.median(data)).astype(np.uint8), grid=type(labels.grid)(shape=data.shape, affine=affine)
            )
        )
        assert pixels.data[labels.mask(2)].mean() > 0.85  # femoral cartilage is bright


def test_headers_say_what_a_scanner_would(trial):
    study, _ = trial
    first, _, _ = read_series(study / "dicom" / "sub-02" / "baseline")
    second, _, _ = read_series(study / "dicom" / "sub-02" / "month6")
    ds = first[0]
    assert ds.file_meta.TransferSyntaxUID == pydicom.uid.JPEG2000Lossless
    assert (ds.Modality, ds.Laterality, ds.BodyPartExamined) == ("MR", "L", "KNEE")
    assert ds.ClinicalTrialSubjectID == ds.PatientID == "sub-02"
    assert len({s.SeriesInstanceUID for s in first}) == 1
    assert len({s.SOPInstanceUID for s in first + second}) == len(first) + len(second)
    assert {s.StudyInstanceUID for s in first}.isdisjoint({s.StudyInstanceUID for s in second})
    days = (pd.Timestamp(second[0].StudyDate) - pd.Timestamp(ds.StudyDate)).days
    assert 150 <= days <= 215


def test_the_arm_is_nowhere_in_the_study(trial):
    study, truth = trial
    arms = set(pd.read_csv(truth / "allocation.csv")["arm"])
    assert arms <= {"placebo", "msc"}
    for path in study.rglob("*"):
        if path.is_file() and path.name != "study.toml":
            content = path.read_bytes().lower()
            assert b"placebo" not in content
            assert b"allocation" not in content


def test_truth_is_complete(trial):
    _, truth = trial
    table = pd.read_csv(truth / "truth.tsv", sep="\t")
    areas = table[(table["metric"] == "dAB") & (table["region"] == "FT")]
    assert len(areas) == 4
    assert (areas["value"] > 100).all()
    assert (table.loc[table["metric"] == "tAB", "value"] > 300).all()
    assert np.isfinite(table["value"]).all()
    motion = json.loads((truth / "motions.json").read_text())
    assert set(motion["sub-01"]["bones"]) == {"femur", "tibia", "patella"}
    assert len(list((truth / "labels").glob("*.nii.gz"))) == 4


def test_true_motion_of_a_left_knee_lays_its_label_maps_on_each_other(trial):
    study, truth = trial
    motion = json.loads((truth / "motions.json").read_text())["sub-02"]["bones"]
    before, after = (read_label_map(study / "masks" / f"sub-02_ses-{v}_dseg.nii.gz") for v in ("baseline", "month6"))
    for bone in Bone:
        index = np.argwhere(before.mask(bone.label))
        world = index @ before.grid.affine[:3, :3].T + before.grid.affine[:3, 3]
        matrix = np.array(motion[bone.value]["matrix_ras_mm"])
        moved = world @ matrix[:3, :3].T + matrix[:3, 3]
        inverse = np.linalg.inv(after.grid.affine)
        at = np.rint(moved @ inverse[:3, :3].T + inverse[:3, 3]).astype(int)
        at = at[((at >= 0) & (at < after.grid.shape)).all(axis=1)]
        assert (after.data[tuple(at.T)] == bone.label).mean() > 0.93


def test_same_seed_same_files(trial, tmp_path):
    study, _ = trial
    result = CliRunner().invoke(app, ["simulate", str(tmp_path / "trial"), *OPTIONS, "--participants", "1"])
    assert result.exit_code == 0, result.output

    def digest(root):
        return {
            p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted((root / "dicom/sub-01").rglob("*.dcm"))
        }

    assert digest(study) == digest(tmp_path / "trial")


def test_a_left_knee_is_the_mirror_image_of_the_right(tmp_path):
    plan = read_plan(
        trial="t",
        sequence="dess",
        spacing="4 2 2",
        crop=True,
        compress=False,
        plant=False,
        arms="a,b",
        growth="0,0",
        growth_sd="0,0",
        seed=1,
    )
    outputs = []
    for side in Side:
        person = Participant(
            participant_id="sub-01",
            side=side,
            site="s",
            kl_grade="2",
            arm="a",
            baseline_date=pd.Timestamp(2026, 1, 1).date(),
        )
        outputs.append(simulate_participant(plan, person, np.random.default_rng(8)))
    left, right = (o.visits["month6"] for o in outputs)
    np.testing.assert_array_equal(left.volume.data[::-1], right.volume.data)
    np.testing.assert_array_equal(left.labels.data[::-1], right.labels.data)
    for bone in Bone:
        mirrored = MIRROR @ outputs[0].motion[bone].matrix @ MIRROR
        np.testing.assert_allclose(mirrored, outputs[1].motion[bone].matrix, atol=1e-12)
    by_key = [{(r.region, r.metric, r.defect_id): r.value for r in o.visits["baseline"].truth} for o in outputs]
    assert all(by_key[0][k] == pytest.approx(-v if k[1] == "centroid_x_mm" else v) for k, v in by_key[1].items())


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--arms", "only"], "two names"),
        (["--spacing", "1 1"], "3 numbers"),
        (["--spacing", "0.01 1 1"], "0.1 to 6"),
        (["--growth", "a,b"], "2 numbers"),
    ],
)
def test_wrong_options_are_named(tmp_path, options, says):
    result = CliRunner().invoke(app, ["simulate", str(tmp_path / "x"), *options])
    assert result.exit_code != 0
    assert says in str(result.exception)


def test_nothing_is_overwritten(trial):
    study, _ = trial
    result = CliRunner().invoke(app, ["simulate", str(study)])
    assert result.exit_code != 0
    assert "not empty" in str(result.exception)


def test_truth_never_lies_inside_the_study(tmp_path):
    result = CliRunner().invoke(app, ["simulate", str(tmp_path / "s"), "--truth", str(tmp_path / "s" / "truth")])
    assert result.exit_code == 2


@pytest.mark.real_data
def test_two_real_maps_become_two_visits_in_place(real_data, tmp_path):
    result = CliRunner().invoke(
        app, ["simulate", str(tmp_path / "t"), "--labels", str(_pair(real_data, tmp_path / "maps"))]
    )
    assert result.exit_code == 0, result.output
    source = read_label_map(tmp_path / "maps" / "sub-9014797_ses-72m_side-R_dseg.nii.gz")
    mask = read_label_map(tmp_path / "t" / "masks" / "sub-9014797_ses-month6_dseg.nii.gz")
    np.testing.assert_array_equal(mask.data, source.data)
    slices, _, _ = read_series(tmp_path / "t" / "dicom" / "sub-9014797" / "month6")
    assert len(slices) == mask.grid.shape[0]


def _pair(real_data, folder):
    """Both maps of one knee, every third voxel, so that the test is quick."""
    from mriseg.types import Grid

    for path in (real_data / "labels").glob("sub-9014797_*"):
        labels = read_label_map(path)
        data = labels.data[::3, ::3, ::3]
        grid = Grid(shape=data.shape, affine=labels.grid.affine @ np.diag([3.0, 3.0, 3.0, 1.0]))
        write_label_map(folder / path.name, LabelMap(data=data, grid=grid))
    return folder
