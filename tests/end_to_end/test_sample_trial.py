"""From DICOM folders to a between-arm result, on the sample trial."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

import mriseg as package
from mriseg.errors import StudyError
from tests.end_to_end.commands import SAMPLE, mriseg, tree_hash
from tests.end_to_end.conftest import SampleRun

pytestmark = pytest.mark.xdist_group("sample")
PATIENTS = [f"sub-{n:02d}" for n in range(1, 7)]
PLATES = ["MT", "LT", "cMF", "cLF", "MFTC", "LFTC", "FT"]


def outputs(study: Path) -> dict[str, int]:
    """Every output with the time it was written."""
    folder = study / "derivatives" / "mriseg"
    kept = (p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): p.stat().st_mtime_ns for p in kept if p.name not in {"run.log", ".lock"}}


def test_every_patient_is_done(sample_run: SampleRun) -> None:
    assert sample_run.returncode == 0, sample_run.output
    assert "6 of 6 patients done, 0 failed" in sample_run.output


def test_every_patient_has_every_row_at_both_visits(sample_run: SampleRun) -> None:
    table = package.open_study(sample_run.study).table("regions")
    assert sorted(table["participant_id"].unique()) == PATIENTS
    rows = table.groupby(["participant_id", "visit"]).size()
    assert rows.nunique() == 1
    here = table[(table["metric"] == "ThCtAB_aMe") & table["region"].isin(PLATES)]
    assert len(here) == len(PATIENTS) * 2 * len(PLATES)
    assert (here["state"] == "measured").all()


def test_the_input_is_not_touched(sample_run: SampleRun) -> None:
    assert tree_hash(sample_run.study / "dicom") == sample_run.dicom_before


def test_nothing_before_compare_knows_an_arm(sample_run: SampleRun) -> None:
    arms = set(pd.read_csv(SAMPLE / "allocation.csv")["arm"])
    for file in (sample_run.study / "derivatives").rglob("*"):
        if file.is_file() and file.suffix in {".tsv", ".json", ".html"}:
            words = set(file.read_text(encoding="utf-8").split())
            assert not words & arms, file.name


def test_a_second_run_redoes_nothing(sample_run: SampleRun) -> None:
    before = outputs(sample_run.study)
    again = mriseg("run", sample_run.study)
    assert again.returncode == 0
    assert outputs(sample_run.study) == before


def test_compare_ends_in_a_between_arm_estimate(sample_run: SampleRun, tmp_path: Path) -> None:
    study = tmp_path / "study"
    shutil.copytree(sample_run.study, study, ignore=shutil.ignore_patterns("dicom", "*.nii.gz", "*_surfaces"))
    result = mriseg("compare", study, "--allocation", SAMPLE / "allocation.csv")
    assert result.returncode == 0, result.stderr
    group = study / "derivatives" / "mriseg" / "group"
    primary = json.loads((group / "comparison.json").read_text())["primary"]
    assert primary["ci_low"] < primary["estimate"] < primary["ci_high"]
    assert (group / "results.html").stat().st_size > 5000


def test_the_notebook_api_shows_both_visits(sample_run: SampleRun) -> None:
    patient = package.open_study(sample_run.study).patient("sub-03")
    assert len(patient.visits) == 2
    assert patient.image(patient.visits[0]).grid.same_as(patient.labels(patient.visits[0]).grid)
    assert set(patient.transforms()) == {"femur", "tibia", "patella"}
    assert {"sub-03"} == set(patient.regions()["participant_id"])


def test_an_unknown_patient_is_named_with_the_known_ones(sample_run: SampleRun) -> None:
    with pytest.raises(StudyError, match=r"sub-99.*sub-01"):
        package.open_study(sample_run.study).patient("sub-99")


def test_pages_are_whole_and_stand_alone(sample_run: SampleRun) -> None:
    group = sample_run.study / "derivatives" / "mriseg"
    for page in [*group.glob("sub-*/sub-*.html"), group / "group" / "index.html"]:
        text = page.read_text(encoding="utf-8")
        assert text.rstrip().endswith("</html>")
        assert "http://" not in text
        assert "https://" not in text


def test_every_listed_lesion_is_on_its_page_with_the_numbers_of_the_tables(sample_run: SampleRun) -> None:
    study = package.open_study(sample_run.study)
    listed = study.table("defects")
    assert len(listed) > 10
    for patient in study.patients():
        text = study.paths.page(patient.id).read_text(encoding="utf-8")
        lesions = text.partition("<h2>Lesions</h2>")[2].partition("</section>")[0]
        rows = [re.findall(r"<td[^>]*>(.*?)</td>", r) for r in re.findall(r"<tr>(<td>.*?)</tr>", lesions)]
        shown = {(r[0], r[1]): r[2:7] for r in rows}
        own = listed[listed["participant_id"] == patient.id]
        assert len(rows) == len(own)
        for d in own.itertuples():
            figures = [d.region, d.icrs_class, f"{d.area_mm2:.1f}", f"{d.mean_depth_pct:.0f}", f"{d.volume_mm3:.1f}"]
            assert shown[d.visit, d.defect_id] == list(map(str, figures))
        assert lesions.count("<img") == lesions.count("<h3")
        values = patient.regions().set_index(["region", "metric", "visit"])["value"]
        for region, metric in (("FT", "dAB"), ("MT", "ThCtAB_aMe"), ("P", "VC")):
            cells = [f"{values[region, metric, v]:.2f}" for v in patient.visits]
            assert f"<td>{region}</td><td>{metric}</td>" in text
            line = text.partition(f"<td>{region}</td><td>{metric}</td>")[2].partition("</tr>")[0]
            assert re.findall(r'<td class="n">([^<]*)</td>', line)[:2] == cells


def test_lesions_and_surfaces_lie_on_their_bone_in_the_space_of_every_scan(sample_run: SampleRun) -> None:
    bones = {"F": 1, "T": 3, "P": 5}
    for patient in package.open_study(sample_run.study):  # right knees and left ones
        for visit in patient.visits:
            labels = patient.labels(visit)
            to_voxel = np.linalg.inv(labels.grid.affine)
            lesions = patient.lesions(visit)
            edges = {
                name: patient.surface(bone, visit).surface.vertices_mm[::50]
                for name, bone in zip("FTP", patient.surfaces, strict=True)
            }
            for name, points in edges.items():
                own = lesions[lesions["defect_id"].str.startswith(name)][["x_mm", "y_mm", "z_mm"]].to_numpy()
                distance = ndimage.distance_transform_edt(labels.data != bones[name], sampling=labels.grid.spacing_mm)
                inside = ndimage.distance_transform_edt(labels.data == bones[name], sampling=labels.grid.spacing_mm)
                for found, most in ((points, 1.5), (own, 4.0)):
                    voxels = np.rint(nib.affines.apply_affine(to_voxel, found)).astype(int).reshape(-1, 3)
                    kept = voxels[((voxels >= 0) & (voxels < labels.grid.shape)).all(axis=1)]
                    off = distance[tuple(kept.T)] + inside[tuple(kept.T)]
                    assert np.quantile(off, 0.95, method="higher") <= most if len(off) else True


def test_a_correction_of_a_reader_is_kept_and_measured(sample_run: SampleRun, tmp_path: Path) -> None:
    study = tmp_path / "study"
    shutil.copytree(sample_run.study, study)
    visit = package.open_study(study).visit_ids[1]
    labels = study / f"derivatives/mriseg/sub-01/ses-{visit}/sub-01_ses-{visit}_dseg.nii.gz"
    before = package.open_study(study).patient("sub-01").regions()
    image = nib.load(labels)
    data = np.asarray(image.dataobj).copy()
    plate = np.argwhere(data == 4)
    data[(data == 4) & (np.arange(data.shape[1])[None, :, None] > np.median(plate[:, 1]))] = 0
    nib.save(nib.Nifti1Image(data, image.affine), labels)

    result = mriseg("run", study, "--only", "sub-01")

    assert result.returncode == 0, result.stdout + result.stderr
    assert "correction is kept" in result.stderr
    patient = package.open_study(study).patient("sub-01")
    sidecar = json.loads(labels.with_name(labels.name.replace(".nii.gz", ".json")).read_text())
    assert sidecar["parameters"]["method"] == "corrected"
    page = (study / "derivatives" / "mriseg" / "sub-01" / "sub-01.html").read_text(encoding="utf-8")
    assert f"label map from a correction by unknown on {sidecar['parameters']['corrected_on']}" in page
    assert "label map from a reader&#39;s mask" in page
    after = patient.regions()
    volume = [
        t[(t["region"] == "MT") & (t["metric"] == "VC") & (t["visit"] == visit)]["value"].item()
        for t in (before, after)
    ]
    assert volume[1] < 0.8 * volume[0]
