"""One bad patient never stops the others, and every failure says what was found, what was expected, what to do."""

from __future__ import annotations

import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

import mriseg as package
from tests.end_to_end.commands import SAMPLE, mriseg

pytestmark = pytest.mark.xdist_group("failures")


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, int]:
    """The sample trial with five patients broken in five ways; sub-06 is whole."""
    study = tmp_path_factory.mktemp("broken") / "study"
    shutil.copytree(SAMPLE / "study", study, ignore=shutil.ignore_patterns("derivatives"))
    visits = package.open_study(study).visit_ids

    def mask(name: str, visit: str) -> Path:
        return study / "masks" / f"{name}_ses-{visit}_dseg.nii.gz"

    shutil.rmtree(study / "dicom" / "sub-01" / visits[1])
    shifted = nib.load(mask("sub-02", visits[0]))
    affine = shifted.affine.copy()
    affine[0, 3] += 5
    nib.save(nib.Nifti1Image(np.asarray(shifted.dataobj), affine), mask("sub-02", visits[0]))
    slice_file = sorted(p for p in (study / "dicom" / "sub-03" / visits[0]).rglob("*") if p.is_file())[7]
    slice_file.write_bytes(slice_file.read_bytes()[:900])
    people = study / "participants.tsv"
    rows = [r.split("\t") for r in people.read_text().splitlines()]
    rows = [[r[0], "", *r[2:]] if r[0] == "sub-04" else r for r in rows]
    people.write_text("\n".join("\t".join(r) for r in rows) + "\n")
    whole = nib.load(mask("sub-05", visits[1]))
    nib.save(nib.Nifti1Image(np.zeros(whole.shape, np.uint8), whole.affine), mask("sub-05", visits[1]))
    result = mriseg("run", study)
    return study, result.stdout + result.stderr, result.returncode


def messages(study: Path) -> dict[str, str]:
    table = pd.read_csv(study / "derivatives/mriseg/group/failures.tsv", sep="\t")
    return table.groupby("participant_id")["reason"].agg(" ".join).to_dict()


def test_the_run_ends_with_1_and_says_who_failed(broken: tuple[Path, str, int]) -> None:
    _, output, code = broken
    assert code == 1
    assert "1 of 6 patients done, 5 failed" in output


def test_the_whole_patient_is_done(broken: tuple[Path, str, int]) -> None:
    regions = package.open_study(broken[0]).patient("sub-06").regions()
    assert (regions["state"] == "measured").any()


@pytest.mark.parametrize(
    ("patient", "expected"),
    [
        ("sub-01", "not scanned"),
        ("sub-02", "5 mm beside its image"),
        ("sub-03", "slice|truncated|pixel"),
        ("sub-04", "needs side L or R"),
        ("sub-05", "mask is empty"),
    ],
)
def test_every_failure_says_what_is_wrong(broken: tuple[Path, str, int], patient: str, expected: str) -> None:
    found = messages(broken[0])[patient]
    assert pd.Series([found]).str.contains(expected).item(), found
    assert patient in found or "masks" in found or "dseg" in found


def test_a_patient_without_follow_up_is_measured_at_baseline(broken: tuple[Path, str, int]) -> None:
    regions = package.open_study(broken[0]).patient("sub-01").regions()
    assert set(regions["visit"]) == {package.open_study(broken[0]).visit_ids[0]}
    assert (regions["state"] == "measured").any()


def test_a_failure_never_becomes_a_number(broken: tuple[Path, str, int]) -> None:
    table = package.open_study(broken[0]).table("regions")
    assert set(table["participant_id"]) == {"sub-01", "sub-06"}


def test_an_unknown_key_is_an_error_that_names_it(tmp_path: Path) -> None:
    shutil.copytree(SAMPLE / "study", tmp_path / "s", ignore=shutil.ignore_patterns("dicom", "masks", "derivatives"))
    with (tmp_path / "s" / "study.toml").open("a") as config:
        config.write("\n[colour]\nred = 1\n")
    result = mriseg("run", tmp_path / "s")
    assert result.returncode == 1
    assert "study.toml" in result.stderr
    assert "unknown key colour" in result.stderr
