"""The label map of a reader, as a run takes it: laid on the image, refused by name, its side settled or blocked."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from mriseg.errors import SegmentationError, StudyError
from mriseg.geometry import thin, to_sitk
from mriseg.nifti import read_label_map, write_label_map, write_volume
from mriseg.study import Patient, open_study
from mriseg.study.steps.segment import segment_visit
from mriseg.types import Grid, LabelMap, Volume

SAMPLE = Path(__file__).resolve().parents[2] / "sample_data" / "study" / "masks" / "sub-01_ses-baseline_dseg.nii.gz"


@pytest.fixture(scope="module")
def drawn() -> LabelMap:
    return thin(read_label_map(SAMPLE), 1.2)


def patient(folder: Path, image: Grid, *, side: str = "R", settled: str = "") -> Patient:
    """A study of readers with one visit whose image is converted."""
    (folder / "study.toml").write_text(
        '[study]\nid = "s"\n[[visits]]\nid = "base"\nday = 0\n[segment]\nmethod = "readers"\n'
    )
    (folder / "participants.tsv").write_text(f"participant_id\tside\nsub-01\t{side}\n")
    (folder / "visits.tsv").write_text(f"participant_id\tvisit\tfolder\tsettled\nsub-01\tbase\tx\t{settled}\n")
    found = open_study(folder).patient("sub-01")
    write_volume(found.study.paths.image("sub-01", "base"), Volume(data=np.zeros(image.shape), grid=image))
    (folder / "masks").mkdir()
    return found


def test_a_cropped_mask_in_native_axes_of_slicer_lands_on_the_image(drawn: LabelMap, tmp_path: Path) -> None:
    found = patient(tmp_path, drawn.grid)
    ends = np.argwhere(drawn.data)
    part = tuple(slice(a, b + 1) for a, b in zip(ends.min(axis=0), ends.max(axis=0), strict=True))
    affine = drawn.grid.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ ends.min(axis=0)
    image = nib.Nifti1Image(drawn.data[part], affine)
    codes = nib.orientations.axcodes2ornt("PIR")
    native = image.as_reoriented(nib.orientations.ornt_transform(nib.io_orientation(affine), codes))
    data = np.asarray(native.dataobj)
    path = tmp_path / "masks" / "sub-01_ses-base_dseg.nrrd"
    sitk.WriteImage(to_sitk(data, Grid(shape=data.shape, affine=native.affine)), str(path), True)
    segment_visit(found, "base", threads=1)
    np.testing.assert_array_equal(found.labels("base").data, drawn.data)
    sidecar = found.segmentation("base")
    assert sidecar["assessment"] == {"verdict": "good", "reasons": []}
    assert list(sidecar["inputs"]) == [
        "derivatives/mriseg/sub-01/ses-base/sub-01_ses-base_mri.nii.gz",
        "masks/sub-01_ses-base_dseg.nrrd",
    ]


def test_exchanged_labels_are_refused_and_write_nothing(drawn: LabelMap, tmp_path: Path) -> None:
    found = patient(tmp_path, drawn.grid)
    wrong = np.array([0, 1, 4, 2, 5, 3, 6], np.uint8)[drawn.data]
    write_label_map(tmp_path / "masks" / "sub-01_ses-base_dseg.nii.gz", LabelMap(data=wrong, grid=drawn.grid))
    with pytest.raises(SegmentationError, match="labels look exchanged: 2 is no cartilage of 1"):
        segment_visit(found, "base", threads=1)
    assert not found.study.paths.labels("sub-01", "base").exists()


def test_the_other_knee_is_blocked_with_what_each_bone_says_and_can_be_settled(drawn: LabelMap, tmp_path: Path) -> None:
    name = "sub-01_ses-base_dseg.nii.gz"
    (tmp_path / "a").mkdir()
    found = patient(tmp_path / "a", drawn.grid, side="L")
    write_label_map(tmp_path / "a" / "masks" / name, drawn)
    with pytest.raises(StudyError, match=r"side L, the shape says: femur R \(.* sure\), tibia R \(.*patella R"):
        segment_visit(found, "base", threads=1)
    (tmp_path / "b").mkdir()
    settled = patient(tmp_path / "b", drawn.grid, side="L", settled="anatomy: the image was looked at")
    write_label_map(tmp_path / "b" / "masks" / name, drawn)
    segment_visit(settled, "base", threads=1)
    (reason,) = settled.segmentation("base")["assessment"]["reasons"]
    assert reason.endswith("Settled: the image was looked at")


def test_without_a_mask_the_step_says_which_file_is_missing(drawn: LabelMap, tmp_path: Path) -> None:
    found = patient(tmp_path, drawn.grid)
    with pytest.raises(StudyError, match=r"masks/sub-01_ses-base_dseg\.nii\.gz does not exist"):
        segment_visit(found, "base", threads=1)
