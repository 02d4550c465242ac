"""DICOM of one visit -> NIfTI and sidecar."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mriseg import dicom
from mriseg.study.provenance import write_sidecar
from mriseg.study.visit_images import choose

if TYPE_CHECKING:
    from mriseg.study.model import Patient


def convert_visit(patient: Patient, visit: str) -> None:
    """Convert the chosen series of one visit; the written file is compared with the DICOM headers before it counts."""
    study, output = patient.study, patient.study.paths.image(patient.id, visit)
    choice = choose(patient, visit)
    output.parent.mkdir(parents=True, exist_ok=True)
    dicom.write_checked(choice.volume, output)
    write_sidecar(
        output,
        step="convert",
        module=__name__,
        inputs=(),
        root=study.paths.root,
        parameters=study.config.series.model_dump(),
        dicom=dicom.sidecar(choice.volume, chosen_because=list(choice.reasons)),
    )
