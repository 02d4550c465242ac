"""Images and label maps of two visits -> one transform a bone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mriseg.errors import StudyError
from mriseg.files import sha256, write_json
from mriseg.nifti import read_label_map, read_volume
from mriseg.register import register, to_json

if TYPE_CHECKING:
    from mriseg.study.model import Patient


def register_visits(patient: Patient) -> None:
    """Images and label maps of two visits -> one transform a bone."""
    paths, (baseline, followup) = patient.study.paths, _two_visits(patient)
    files = [f(patient.id, v) for f in (paths.image, paths.labels) for v in (baseline, followup)]
    registration = register(
        read_volume(files[0]),
        read_volume(files[1]),
        baseline_labels=read_label_map(files[2]),
        followup_labels=read_label_map(files[3]),
    )
    inputs = {p.relative_to(paths.root).as_posix(): sha256(p) for p in files}
    content = to_json(registration) | {"baseline": baseline, "followup": followup, "inputs": inputs}
    write_json(paths.registration(patient.id), content)


def _two_visits(patient: Patient) -> tuple[str, str]:
    if len(patient.visits) < 2:
        raise StudyError(f"{patient.id}: one visit has a label map, registration needs two.")
    return patient.visits[0], patient.visits[1]
