"""Label maps of all visits and their registrations -> surfaces, regional values, defects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from mriseg.files import write_text
from mriseg.measure import defects_table, regions_table
from mriseg.study.measuring import measure_parameters, measure_patient_maps
from mriseg.study.provenance import write_sidecar
from mriseg.study.surface_files import write_surfaces

if TYPE_CHECKING:
    from mriseg.study.model import Patient


def measure_patient(patient: Patient) -> None:
    """Label maps of all visits and their registrations -> surfaces, regional values, defects."""
    study, paths, name, visits = patient.study, patient.study.paths, patient.id, patient.visits
    parameters = measure_parameters(study.config)
    measurement = measure_patient_maps(patient, parameters)
    regions = regions_table(measurement, participant=name, side=patient.side, visits=visits)
    _mark_for_review(regions, patient)
    write_surfaces(paths.surfaces(name), measurement, visits)
    write_text(paths.defects(name), _tsv(defects_table(measurement, participant=name, visits=visits)))
    write_text(paths.regions(name), _tsv(regions))
    write_sidecar(
        paths.regions(name),
        step="measure",
        module=__name__,
        inputs=[*(paths.labels(name, v) for v in visits), *(patient.registration_path(v) for v in visits[1:])],
        root=paths.root,
        parameters=parameters.flat(),
        notes=list(measurement.notes),
    )


def _mark_for_review(regions: pd.DataFrame, patient: Patient) -> None:
    """Turn the measured rows of a visit whose label map needs review into rows that say so."""
    for visit in patient.visits:
        if patient.segmentation(visit)["assessment"]["verdict"] == "needs-review":
            rows = (regions["visit"] == visit) & (regions["state"] == "measured")
            regions.loc[rows, "state"] = "needs-review"


def _tsv(table: pd.DataFrame) -> str:
    text: str = table.to_csv(sep="\t", index=False, na_rep="", float_format="%.6g", lineterminator="\n")
    return text
