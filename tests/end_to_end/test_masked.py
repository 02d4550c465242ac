"""Blind outputs are read with the visit order masked, and the key alone says which scan is which visit."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from mriseg.files import sha256
from mriseg.nifti import read_label_map
from mriseg.study import open_study
from tests.end_to_end.commands import mriseg, tree_hash
from tests.end_to_end.conftest import SampleRun

pytestmark = pytest.mark.xdist_group("sample")


def test_masked_outputs_hold_the_values_and_not_the_order(sample_run: SampleRun, tmp_path: Path) -> None:
    study, reader, key_file = open_study(sample_run.study), tmp_path / "reader", tmp_path / "key.csv"
    before = tree_hash(sample_run.study / "derivatives")
    result = mriseg("report", sample_run.study, "--masked", reader, "--key", key_file)
    assert result.returncode == 0, result.stderr
    assert tree_hash(sample_run.study / "derivatives") == before
    key = pd.read_csv(key_file)
    masked, open_table = pd.read_csv(reader / "regions.tsv", sep="\t"), study.table("regions")
    columns = list(open_table.columns)
    order = ["participant_id", "visit", "region", "metric"]
    opened = masked.merge(key, on=["participant_id", "scan"])[columns].sort_values(order, ignore_index=True)
    pd.testing.assert_frame_equal(opened, open_table.sort_values(order, ignore_index=True))
    for path in reader.iterdir():
        assert not any(visit in path.name for visit in study.visit_ids)
        if not path.name.endswith(".nii.gz"):
            # Pictures in base64 spell any short word now and then.
            text = re.sub(r"base64,[A-Za-z0-9+/=]+", "", path.read_text(encoding="utf-8"))
            assert not any(word in text for word in (*study.visit_ids, "ses-", "fate", "change_mm2"))
    for participant, scan, visit in key.itertuples(index=False):
        image = reader / f"{participant}_scan-{scan}_mri.nii.gz"
        assert sha256(image) == sha256(study.paths.image(participant, visit))
    assert json.loads((reader / "masked.json").read_text())["key_sha256"] == sha256(key_file)
    plate = nib.load(reader / "sub-04_scan-A_dseg.nii.gz")
    data = np.asarray(plate.dataobj).copy()
    data[data == 4] *= np.arange((data == 4).sum()) > 200
    nib.save(nib.Nifti1Image(data, plate.affine), reader / "sub-04_scan-A_dseg.nii.gz")
    behind = key.set_index(["participant_id", "scan"])["visit"]["sub-04", "A"]
    copy = tmp_path / "study"
    shutil.copytree(sample_run.study, copy, ignore=shutil.ignore_patterns("dicom"))
    taken = mriseg("review", copy, "--reader", "AB", "--take", reader, "--key", key_file)
    assert taken.returncode == 0, taken.stderr
    assert f"sub-04 {behind}: corrected by AB" in taken.stdout
    assert "1 correction(s)" in taken.stdout
    assert np.array_equal(read_label_map(open_study(copy).paths.corrected("sub-04", behind)).data, data)
    other = tmp_path / "other.csv"
    other.write_text(key_file.read_text() + "\n")
    wrong = mriseg("review", copy, "--reader", "AB", "--take", reader, "--key", other)
    assert "is not the key" in wrong.stderr
    inside = mriseg("report", sample_run.study, "--masked", reader, "--key", reader / "key.csv")
    assert inside.returncode == 1
    assert "keep the key where the reader cannot see it" in inside.stderr
