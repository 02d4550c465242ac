"""What a reader draws comes in: drafts that outlive browser and server, and corrections through the door of files."""

from __future__ import annotations

import nibabel as nib
import numpy as np

from mriseg.errors import StudyError
from mriseg.files import read_json, sha256, write_json
from mriseg.geometry import reorient
from mriseg.nifti import read_label_map, write_label_map
from mriseg.segment.readers import adopt_mask
from mriseg.study.correcting import save_correction
from mriseg.study.model import Patient
from mriseg.study.paths import sidecar_of
from mriseg.study.reviews import Review
from mriseg.types import Grid, Label, LabelMap


def expected_bytes(patient: Patient, visit: str) -> int:
    """Size of a drawing of this visit: one byte a voxel."""
    return int(np.prod(patient.labels(visit).grid.shape))


def from_drawing(body: bytes, grid: Grid, *, name: str) -> LabelMap:
    """Turn a drawing (one byte a voxel, first axis fastest, axes to R, A, S) into a label map on its own grid.

    Raises
    ------
    StudyError
        Where the size is not that of the grid or a value is no label.
    """
    as_is = LabelMap(data=np.zeros(grid.shape, np.uint8), grid=grid)
    shown = reorient(as_is).grid
    if len(body) != np.prod(shown.shape):
        raise StudyError(f"{name}: the drawing has {len(body)} bytes, expected {np.prod(shown.shape)}.")
    voxels = np.frombuffer(body, np.uint8)
    if voxels.max(initial=0) > max(Label):
        raise StudyError(f"{name}: the drawing holds the value {voxels.max()}, expected labels 0 to {max(Label)}.")
    drawn = voxels.reshape(shown.shape, order="F")
    back = nib.orientations.ornt_transform(nib.io_orientation(shown.affine), nib.io_orientation(grid.affine))
    return LabelMap(data=nib.apply_orientation(drawn, back), grid=grid)


def keep_draft(patient: Patient, visit: str, body: bytes, *, reader: str, of_map: str) -> None:
    """Keep a drawing that is not saved yet, with the SHA-256 of the map that it started from."""
    path = patient.study.paths.draft(patient.id, visit, reader)
    write_label_map(path, from_drawing(body, patient.labels(visit).grid, name="draft"))
    write_json(sidecar_of(path), {"of_map": of_map})


def read_draft(patient: Patient, visit: str, *, reader: str) -> bytes | None:
    """Return the drawing that was kept, or None where there is none of the map that is there now."""
    path = patient.study.paths.draft(patient.id, visit, reader)
    if not path.exists() or not sidecar_of(path).exists():
        return None
    if read_json(sidecar_of(path)).get("of_map") != sha256(patient.study.paths.labels(patient.id, visit)):
        return None
    return reorient(read_label_map(path)).data.tobytes(order="F")


def drop_draft(patient: Patient, visit: str, *, reader: str) -> None:
    """Forget what was kept."""
    path = patient.study.paths.draft(patient.id, visit, reader)
    for file in (path, sidecar_of(path)):
        file.unlink(missing_ok=True)


def save_drawing(
    patient: Patient, visit: str, body: bytes, *, reader: str, of_map: str, comment: str, seconds: float | None
) -> Review:
    """Save a drawing as this reader's correction, checked as a mask is, and record the verdict ``correct``."""
    drawn = from_drawing(body, patient.labels(visit).grid, name=f"{patient.id} {visit}")
    checked = adopt_mask(drawn, patient.image(visit).grid, name=f"{patient.id} {visit}")
    review = save_correction(patient, visit, checked, reader=reader, of_map=of_map, comment=comment, seconds=seconds)
    drop_draft(patient, visit, reader=reader)
    return review
