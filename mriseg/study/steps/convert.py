"""DICOM of one visit -> NIfTI and sidecar."""

from __future__ import annotations

from mriseg import dicom
from mriseg.study.inventory import visit_folder
from mriseg.study.model import Patient
from mriseg.study.provenance import write_sidecar
from mriseg.study.series_rule import choose_series


def convert_visit(patient: Patient, visit: str) -> None:
    """Convert the chosen series of one visit; the written file is compared with the DICOM headers before it counts."""
    study, output = patient.study, patient.study.paths.image(patient.id, visit)
    folder = visit_folder(study.paths, study.entries, patient.id, visit)
    entry = study.entries.get((patient.id, visit))
    choice = choose_series(
        dicom.scan(folder),
        study.config.series,
        where=f"{patient.id} {visit}",
        side=patient.participant.side,
        series=entry.series if entry else "",
    )
    output.parent.mkdir(parents=True, exist_ok=True)
    dicom.write_checked(choice.volume, output)
    write_sidecar(
        output,
        step="convert",
        inputs=(),
        root=study.paths.root,
        parameters=study.config.series.model_dump(),
        dicom=dicom.sidecar(choice.volume, chosen_because=list(choice.reasons)),
    )
