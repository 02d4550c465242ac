"""The command on files, and the real knees."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from mriseg.cli import app
from mriseg.nifti import read_label_map, write_label_map, write_volume
from mriseg.register import from_json, register
from mriseg.types import Bone, Verdict


@pytest.fixture
def files(tmp_path, baseline, followup):
    for name, scan in (("bl", baseline), ("fu", followup)):
        write_volume(tmp_path / f"{name}.nii.gz", scan.volume)
        write_label_map(tmp_path / f"{name}_dseg.nii.gz", scan.labels)
    return tmp_path


def run(*arguments: object):
    return CliRunner().invoke(app, ["register", *map(str, arguments)])


def test_the_command_writes_the_transforms(files, knee, motion):
    labels = ("--baseline-labels", files / "bl_dseg.nii.gz", "--followup-labels", files / "fu_dseg.nii.gz")
    done = run(files / "bl.nii.gz", files / "fu.nii.gz", *labels, "--side", "R", files / "x.json")
    assert done.exit_code == 0, done.output
    assert "femur: good" in done.output
    content = json.loads((files / "x.json").read_text())
    assert content["side"] == "R"
    points = knee.plate(Bone.TIBIA)
    found = from_json(content).bones[Bone.TIBIA].transform
    assert np.linalg.norm(found.apply(points) - motion[Bone.TIBIA].apply(points), axis=1).mean() < 0.06


def test_one_label_map_alone_and_a_missing_side_are_wrong_use(files):
    bl, fu, out = files / "bl.nii.gz", files / "fu.nii.gz", files / "x.json"
    assert run(bl, fu, "--baseline-labels", files / "bl_dseg.nii.gz", "--side", "R", out).exit_code == 2
    assert run(bl, fu, out).exit_code == 2
    assert not out.exists()


@pytest.mark.real_data
def test_a_real_knee_is_found_three_years_later_and_another_knee_is_not(real_data):
    def labels(name: str):
        return read_label_map(real_data / "labels" / f"sub-{name}_side-R_dseg.nii.gz")

    first = labels("9057479_ses-00m")
    same = register(None, None, baseline_labels=first, followup_labels=labels("9057479_ses-36m"))
    assert {r.verdict for r in same.bones.values()} == {Verdict.GOOD}
    assert max(r.residual_mm for r in same.bones.values()) < 0.3
    other = register(None, None, baseline_labels=first, followup_labels=labels("9001104_ses-00m"))
    assert {r.verdict for r in other.bones.values()} == {Verdict.FAILED}
