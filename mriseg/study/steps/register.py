"""Images and label maps of baseline and a later visit -> one transform a bone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mriseg.files import sha256, write_json
from mriseg.nifti import read_label_map, read_volume
from mriseg.parameters import changed, flat
from mriseg.register import RegisterSettings, register, to_json

if TYPE_CHECKING:
    from mriseg.study.config import StudyConfig
    from mriseg.study.model import Patient


def register_visit(patient: Patient, visit: str) -> None:
    """Register one later visit with baseline; visits are never registered with each other."""
    paths, baseline = patient.study.paths, patient.study.visit_ids[0]
    files = [f(patient.id, v) for f in (paths.image, paths.labels) for v in (baseline, visit)]
    settings = register_settings(patient.study.config)
    registration = register(
        read_volume(files[0]),
        read_volume(files[1]),
        baseline_labels=read_label_map(files[2]),
        followup_labels=read_label_map(files[3]),
        settings=settings,
    )
    inputs = {p.relative_to(paths.root).as_posix(): sha256(p) for p in files}
    about = {"baseline": baseline, "followup": visit, "inputs": inputs, "parameters": flat(settings)}
    write_json(patient.registration_path(visit), to_json(registration) | about)


def register_settings(config: StudyConfig) -> RegisterSettings:
    """Every number of the registration, with what ``study.toml`` changes."""
    return changed(RegisterSettings(), config.register_.tuned)
