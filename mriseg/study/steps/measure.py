"""Label maps of one or two visits and their registration -> surfaces, regional values, defects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from mriseg.files import read_json, write_text
from mriseg.measure import MeasureParameters, defects_table, measure, regions_table
from mriseg.nifti import read_label_map
from mriseg.register import from_json
from mriseg.study.provenance import write_sidecar
from mriseg.study.surface_files import write_surfaces

if TYPE_CHECKING:
    from mriseg.study.model import Patient


def measure_patient(patient: Patient) -> None:
    """Label maps of one or two visits and their registration -> surfaces, regional values, defects."""
    study, paths, name = patient.study, patient.study.paths, patient.id
    visits = patient.visits[:2]
    maps = [read_label_map(paths.labels(name, v)) for v in visits]
    transforms = from_json(read_json(paths.registration(name))) if len(visits) == 2 else None
    parameters = MeasureParameters(
        band_pct=study.config.measure.band_pct, min_area_mm2=study.config.defects.min_area_mm2
    )
    measurement = measure(
        maps[0],
        maps[1] if len(maps) == 2 else None,
        transforms,
        side=patient.side,
        parameters=parameters,
        side_checked=True,  # with the label map, where visits.tsv may settle it
    )
    regions = regions_table(measurement, participant=name, side=patient.side, visits=visits)
    _mark_for_review(regions, patient)
    write_surfaces(paths.surfaces(name), measurement, visits)
    write_text(paths.defects(name), _tsv(defects_table(measurement, participant=name, visits=visits)))
    write_text(paths.regions(name), _tsv(regions))
    write_sidecar(
        paths.regions(name),
        step="measure",
        module=__name__,
        inputs=[paths.labels(name, v) for v in visits] + ([paths.registration(name)] if transforms else []),
        root=paths.root,
        parameters={"band_pct": parameters.band_pct, "min_area_mm2": parameters.min_area_mm2},
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
