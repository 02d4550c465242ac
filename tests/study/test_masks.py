"""A label map of a reader is found, read and refused the same way everywhere, and never passed over in silence."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from typer.testing import CliRunner

from mriseg.cli import app
from mriseg.errors import SegmentationError, StudyError
from mriseg.study import open_study
from mriseg.study.mask_files import ENDINGS, files_of_visit, reader_file
from mriseg.study.mask_findings import mask_findings
from mriseg.study.masks import read_mask
from mriseg.study.model import Study

SAMPLE = Path(__file__).resolve().parents[2] / "sample_data" / "study" / "masks" / "sub-01_ses-baseline_dseg.nii.gz"
CONFIG = '[study]\nid = "s"\n[[visits]]\nid = "base"\nday = 0\n[[visits]]\nid = "m6"\nday = 180\n'


def study(folder: Path, *names: str, method: str = "network", labels: str = "") -> Study:
    """Two participants, two visits, and files of these names under masks/."""
    (folder / "study.toml").write_text(f'{CONFIG}[segment]\nmethod = "{method}"\n{labels}')
    (folder / "participants.tsv").write_text("participant_id\tside\nsub-01\tR\nsub-02\tL\n")
    for name in names:
        path = folder / "masks" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return open_study(folder)


def said(found: Study) -> dict[str, str]:
    return {finding.finding: finding.severity for finding in mask_findings(found)}


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_ending_that_is_read_is_found(ending: str, tmp_path: Path) -> None:
    found = study(tmp_path, f"sub-01_ses-base_dseg{ending}")
    assert reader_file(found.paths, "sub-01", "base") == tmp_path / "masks" / f"sub-01_ses-base_dseg{ending}"
    assert reader_file(found.paths, "sub-02", "base") is None


def test_a_correction_goes_before_a_mask_and_that_is_said(tmp_path: Path) -> None:
    found = study(tmp_path, "sub-01_ses-base_dseg.nrrd")
    copy = found.paths.corrected("sub-01", "base").with_name("sub-01_ses-base_desc-corrected_dseg.seg.nrrd")
    copy.parent.mkdir(parents=True)
    copy.write_bytes(b"")
    assert reader_file(found.paths, "sub-01", "base") == copy
    assert any("sub-01_ses-base_dseg.nrrd is not used: the correction" in text for text in said(found))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("sub-01_ses-base_dseg.nii.gz", "sub-01_ses-base_dseg.nrrd"), "found several masks"),
        (("sub-01_ses-base_dseg.mgz",), "its ending is not read"),
        (("sub-01_base_reader2.nii.gz",), "Name it masks/sub-01_ses-base_dseg.nii.gz"),
        (("sub-01/ses-base/sub-01_ses-base_dseg.mha",), "Name it masks/sub-01_ses-base_dseg.mha"),
        (("sub-01_ses-base_seg.nrrd",), "Name it masks/sub-01_ses-base_dseg.nrrd"),
        (("SUB-01_SES-BASE_DSEG.nrrd",), "Name it masks/sub-01_ses-base_dseg.nrrd"),
    ],
)
def test_a_file_that_would_not_be_read_stops_its_visit(names: tuple[str, ...], expected: str, tmp_path: Path) -> None:
    found = study(tmp_path, *names)
    with pytest.raises(StudyError, match=f"sub-01 base: .*{expected}"):
        reader_file(found.paths, "sub-01", "base")
    assert {severity for text, severity in said(found).items() if expected in text} == {"block"}
    assert reader_file(found.paths, "sub-02", "base") is None
    assert files_of_visit(found.paths, "sub-01", "base")


def test_a_file_beside_the_label_map_is_not_taken_for_nothing(tmp_path: Path) -> None:
    found = study(tmp_path)
    saved = found.paths.labels("sub-01", "base").with_name("sub-01_ses-base_dseg.seg.nrrd")
    saved.parent.mkdir(parents=True)
    saved.write_bytes(b"")
    with pytest.raises(StudyError, match="Name it sub-01_ses-base_desc-corrected_dseg and its ending"):
        reader_file(found.paths, "sub-01", "base")


@pytest.mark.parametrize("method", ["network", "readers"])
def test_files_of_no_visit_are_listed_for_every_method(method: str, tmp_path: Path) -> None:
    names = ("sub-3_ses-base_dseg.nii.gz", "Segmentation.seg.nrrd", "sub-01_ses-m12_dseg.nii.gz", "README.txt")
    texts = " ".join(said(study(tmp_path, *names, method=method)))
    for name in names[:3]:
        assert f"masks/{name} belongs to no visit" in texts
    assert "README" not in texts


def test_a_name_that_may_be_a_patients_becomes_a_mark(tmp_path: Path) -> None:
    (text,) = said(study(tmp_path, "Doe_Jane_19560412.nii.gz"))
    assert "Doe" not in text
    assert text.startswith("masks/#")


def test_missing_masks_block_readers_and_are_told_of_the_network(tmp_path: Path) -> None:
    name = "sub-01_ses-base_dseg.nii.gz"
    missing = said(study(tmp_path, name, method="readers"))
    assert sum("does not exist" in text and severity == "block" for text, severity in missing.items()) == 3
    mixed = said(study(tmp_path, name, method="network"))
    assert mixed == {
        "sub-01: no label map of a reader at m6; the network draws it. The other visits have one, so that change "
        "between them is in part change of the method.": "warn",
        "sub-02: no label map of a reader at base, m6; the network draws it.": "note",
    }


def test_check_lists_them_and_fails(tmp_path: Path) -> None:
    study(tmp_path, "sub-01_ses-base_dseg.mgz")
    (tmp_path / "dicom").mkdir()
    done = CliRunner(env={"COLUMNS": "300"}).invoke(app, ["check", str(tmp_path)])
    assert done.exit_code == 1
    assert "sub-01_ses-base_dseg.mgz: its ending is not read" in done.output
    table = (tmp_path / "derivatives/mriseg/group/inventory.tsv").read_text()
    assert "sub-01_ses-base_dseg.mgz: its ending is not read" in table


def test_values_and_names_are_declared_in_one_table(tmp_path: Path) -> None:
    declared = study(tmp_path, labels='[segment.labels]\n10 = 1\n"Medial meniscus" = 0\n').config.segment.labels
    assert declared == {10: 1, "Medial meniscus": 0}


def test_an_unread_ending_is_named_with_those_that_are_read(tmp_path: Path) -> None:
    with pytest.raises(SegmentationError, match=r"knee\.mgz: its ending is not read.*\.seg\.nrrd"):
        read_mask(tmp_path / "knee.mgz")


@pytest.fixture(scope="module")
def exchanged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    image = nib.load(SAMPLE)
    data = np.array([0, 1, 4, 2, 5, 3, 6], np.uint8)[np.asarray(image.dataobj)]
    path = tmp_path_factory.mktemp("masks") / "bones_first_dseg.nii.gz"
    nib.save(nib.Nifti1Image(data, image.affine), path)
    return path


@pytest.mark.parametrize("command", ["measure", "register"])
def test_single_commands_refuse_what_contradicts_anatomy(command: str, exchanged: Path, tmp_path: Path) -> None:
    given = ["--baseline", exchanged, "--out", tmp_path / "out"]
    if command == "register":
        given = [SAMPLE, SAMPLE, tmp_path / "x.json", "--baseline-labels", exchanged, "--followup-labels", exchanged]
    done = CliRunner().invoke(app, [command, *map(str, given), "--side", "R"])
    assert isinstance(done.exception, SegmentationError)
    assert "labels look exchanged: 2 is no cartilage of 1" in str(done.exception)
    assert not list(tmp_path.iterdir())


def test_a_single_command_refuses_the_other_knee(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["measure", "--baseline", str(SAMPLE), "--side", "L", "--out", str(tmp_path / "o")])
    assert "given as side L, its shape says: femur R" in str(done.exception)
    assert not (tmp_path / "o").exists()
