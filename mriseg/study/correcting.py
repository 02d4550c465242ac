"""A correction that a reader makes in the reading room: the same file as an edit by hand, and a verdict beside it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime

from mriseg.errors import StudyError
from mriseg.files import replacing, sha256, write_json
from mriseg.nifti import read_label_map, write_label_map
from mriseg.study.changes import what_changed
from mriseg.study.model import Patient
from mriseg.study.paths import sidecar_of
from mriseg.study.reading import endpoint_value
from mriseg.study.reviews import ReadVerdict, Review, append_review, new_review
from mriseg.types import LabelMap


def save_correction(
    patient: Patient, visit: str, labels: LabelMap, *, reader: str, of_map: str, comment: str, seconds: float | None
) -> Review:
    """Save a label map in the place of the one that a reader looked at, and record the verdict ``correct``.

    The map that a first correction replaces is kept beside it. The JSON file of the correction says what differs from
    that one and which value the primary endpoint had before.

    Raises
    ------
    StudyError
        Where nothing differs, or the map changed while it was read.
    """
    paths, name = patient.study.paths, patient.id
    current, copy, automatic = (f(name, visit) for f in (paths.labels, paths.corrected, paths.automatic))
    if sha256(current) != of_map:
        raise StudyError(f"{name} {visit}: the label map changed while it was read. Look at the new one first.")
    if not what_changed(read_label_map(current), labels)["voxels"]:
        raise StudyError(f"{name} {visit}: the correction equals the label map that is there. Accept that one instead.")
    review = new_review(
        name, visit, ReadVerdict.CORRECT, reader=reader, map_sha256=of_map, correction_sha256=of_map,
        comment=comment, seconds=seconds,
    )  # fmt: skip
    if patient.segmentation(visit)["parameters"]["method"] != "corrected" or not automatic.exists():
        with replacing(automatic) as partial:
            shutil.copyfile(current, partial)
    changes = what_changed(read_label_map(automatic), labels)
    write_label_map(copy, labels)
    made = sha256(copy)
    today = datetime.now(UTC).date().isoformat()
    said = {"corrected_by": reader, "corrected_on": today, "output_sha256": made}
    write_json(sidecar_of(copy), said | {"changes": changes, "before": endpoint_value(patient, visit)})
    review = replace(review, correction_sha256=made)
    append_review(paths.reviews, review)
    return review
