"""What is drawn comes back voxel for voxel, is checked as a file is, and is never lost or taken for a correction."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mriseg.errors import MrisegError
from mriseg.files import sha256
from mriseg.geometry import reorient
from mriseg.nifti import read_label_map
from mriseg.room import scene
from mriseg.room.saving import drop_draft, from_drawing, keep_draft, read_draft, save_drawing
from mriseg.room.visits import masked_names
from mriseg.study.corrections import keep_corrections
from mriseg.study.model import Patient, Study
from mriseg.study.paths import sidecar_of
from mriseg.study.verdicts import Standing
from mriseg.types import Bone, Grid, Label, LabelMap
from tests.study.reviewed import drawn_study


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return drawn_study(tmp_path / "study")


@pytest.fixture
def patient(study: Study) -> Patient:
    return study.patient("sub-01")


def drawing(patient: Patient, visit: str = "month6") -> bytearray:
    return bytearray(scene.label_bytes(patient, visit, target=visit, bone=Bone.FEMUR))


def less(body: bytearray, label: Label, count: int) -> bytes:
    """The drawing without the first ``count`` voxels of a label."""
    for voxel in np.flatnonzero(np.frombuffer(bytes(body), np.uint8) == label)[:count]:
        body[voxel] = 0
    return bytes(body)


def save(patient: Patient, body: bytes, **more: object):
    given = {
        "reader": "AB",
        "of_map": sha256(patient.study.paths.labels("sub-01", "month6")),
        "comment": "",
        "seconds": 12,
    }
    return save_drawing(patient, "month6", body, **(given | more))


@given(order=st.permutations([0, 1, 2]), signs=st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3), seed=st.integers(0, 99))
def test_a_drawing_lands_on_the_very_voxels_whatever_the_order_of_the_axes(
    order: list[int], signs: tuple, seed: int
) -> None:
    affine = np.eye(4)
    affine[:3, :3] = np.eye(3)[:, order] * np.array(signs) * (0.6, 0.7, 1.5)
    labels = LabelMap(
        data=np.random.default_rng(seed).integers(0, 7, (3, 4, 5)).astype(np.uint8),
        grid=Grid(shape=(3, 4, 5), affine=affine),
    )
    sent = reorient(labels).data.tobytes(order="F")
    assert np.array_equal(from_drawing(sent, labels.grid, name="x").data, labels.data)


def test_a_correction_replaces_the_map_and_says_what_it_changed(patient: Patient) -> None:
    paths = patient.study.paths
    before = paths.labels("sub-01", "month6").read_bytes()
    review = save(patient, less(drawing(patient), Label.FEMORAL_CARTILAGE, 5), comment="plate too thick")
    copy = paths.corrected("sub-01", "month6")
    assert (review.verdict, review.seconds, review.correction_sha256) == ("correct", "12", sha256(copy))
    assert paths.automatic("sub-01", "month6").read_bytes() == before
    said = json.loads(sidecar_of(copy).read_text())
    assert (said["corrected_by"], said["changes"]["voxels"]) == ("AB", 5)
    assert said["changes"]["removed"]["femoral_cartilage"] == 5
    assert said["changes"]["dice"]["tibia"] == 1
    assert said["changes"]["dice"]["patella"] is None
    assert 0.9 < said["changes"]["dice"]["femoral_cartilage"] < 1
    assert said["before"] == {"region": "FT", "metric": "dAB", "value": 30.5, "unit": "mm2", "state": "needs-review"}
    assert (read_label_map(copy).data != read_label_map(paths.labels("sub-01", "month6")).data).sum() == 5


def test_who_corrected_it_stays_known_with_what_was_changed(patient: Patient) -> None:
    save(patient, less(drawing(patient), Label.FEMORAL_CARTILAGE, 5))
    copy = patient.study.paths.corrected("sub-01", "month6")
    written = sidecar_of(copy).read_text()
    keep_corrections(patient.study)
    assert json.loads(sidecar_of(copy).read_text()) == json.loads(written)


def test_a_second_correction_is_compared_with_the_automatic_map(patient: Patient) -> None:
    paths = patient.study.paths
    save(patient, less(drawing(patient), Label.FEMORAL_CARTILAGE, 5))
    labels = paths.labels("sub-01", "month6")
    labels.write_bytes(paths.corrected("sub-01", "month6").read_bytes())
    content = json.loads(sidecar_of(labels).read_text()) | {"parameters": {"method": "corrected"}}
    sidecar_of(labels).write_text(json.dumps(content))
    assert patient.judgements()["sub-01", "month6"].standing is Standing.ACCEPTED
    save(patient, less(drawing(patient), Label.FEMORAL_CARTILAGE, 3))
    said = json.loads(sidecar_of(paths.corrected("sub-01", "month6")).read_text())
    assert said["changes"]["voxels"] == 8


def test_what_is_no_correction_is_refused_and_leaves_nothing(patient: Patient) -> None:
    whole = drawing(patient)
    bones = np.frombuffer(bytes(whole), np.uint8).copy()
    bones[np.isin(bones, (Label.FEMORAL_CARTILAGE, Label.TIBIAL_CARTILAGE))] = 0
    wrong = bytes([7]) + bytes(whole[1:])
    cases = [
        (bytes(whole), {}, "equals the label map"),
        (bytes(len(whole)), {}, "is empty"),
        (bones.tobytes(), {}, "no cartilage"),
        (wrong, {}, "the value 7"),
        (bytes(whole[:-1]), {}, "bytes, expected"),
        (less(drawing(patient), Label.TIBIA, 3), {"of_map": "0" * 64}, "changed while it was read"),
        (less(drawing(patient), Label.TIBIA, 3), {"reader": "Anna Berg"}, "is no code"),
        (less(drawing(patient), Label.TIBIA, 3), {"comment": "case 4711081"}, "may identify"),
    ]
    for body, more, message in cases:
        with pytest.raises(MrisegError, match=message):
            save(patient, body, **more)
    assert not patient.study.paths.corrected("sub-01", "month6").exists()
    assert not patient.study.paths.reviews.exists()


def test_a_draft_comes_back_to_its_reader_until_the_map_changes(patient: Patient) -> None:
    labels = patient.study.paths.labels("sub-01", "month6")
    body = less(drawing(patient), Label.TIBIA, 4)
    keep_draft(patient, "month6", body, reader="AB", of_map=sha256(labels))
    assert read_draft(patient, "month6", reader="AB") == body
    assert read_draft(patient, "month6", reader="CD") is None
    assert read_draft(patient, "baseline", reader="AB") is None
    save(patient, less(drawing(patient), Label.TIBIA, 9))
    assert read_draft(patient, "month6", reader="AB") is None
    keep_draft(patient, "month6", body, reader="AB", of_map="0" * 64)
    assert read_draft(patient, "month6", reader="AB") is None
    drop_draft(patient, "month6", reader="AB")
    assert not list((patient.study.paths.derivatives / "drafts").iterdir())


def test_a_map_that_was_opened_and_saved_is_no_correction(study: Study) -> None:
    labels = study.paths.labels("sub-01", "month6")
    before = labels.read_bytes()
    image = nib.load(labels)
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj).astype(np.int16), image.affine), labels)
    assert labels.read_bytes() != before
    assert keep_corrections(study) == ()
    assert labels.read_bytes() == before
    data = np.asarray(image.dataobj).copy()
    data[2, 4, 4] = 0
    nib.save(nib.Nifti1Image(data, image.affine), labels)
    assert keep_corrections(study) == (study.paths.corrected("sub-01", "month6"),)


def test_masked_names_come_back_to_the_right_visit_by_the_key(study: Study, tmp_path: Path) -> None:
    key = tmp_path / "key.csv"
    key.write_text("participant_id,scan,visit\nsub-01,B,baseline\nsub-01,A,month6\nsub-02,A,baseline\n")
    names, patient = masked_names(study, key), study.patient("sub-01")
    assert names.of(patient) == {"A": "month6", "B": "baseline"}
    assert names.visit(patient, "A") == "month6"
    shown = json.dumps(scene.scene(patient, names, "A", Bone.FEMUR))
    assert not any(word in shown for word in ("month6", "baseline", "grown", "fate", "change"))
    with pytest.raises(MrisegError, match="no visit of this name"):
        names.visit(patient, "month6")


def test_a_key_is_drawn_once_and_never_lies_in_the_study(study: Study, tmp_path: Path) -> None:
    key = tmp_path / "key.csv"
    masked_names(study, key)
    written = key.read_text()
    masked_names(study, key)
    assert key.read_text() == written
    with pytest.raises(MrisegError, match="keep the key where the reader cannot see it"):
        masked_names(study, study.paths.root / "key.csv")
    key.write_text("participant_id,scan,visit\nsub-01,A,baseline\n")
    with pytest.raises(MrisegError, match="does not cover 1 visit"):
        masked_names(study, key)
