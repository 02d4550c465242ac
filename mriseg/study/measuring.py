"""What a study asks of the measurement, and measuring again with other numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mriseg.files import read_json
from mriseg.measure import MeasureParameters, measure_visits
from mriseg.nifti import read_label_map
from mriseg.parameters import changed
from mriseg.register import from_json
from mriseg.types import Measurement

if TYPE_CHECKING:
    from mriseg.study.config import StudyConfig
    from mriseg.study.model import Patient


def measure_parameters(config: StudyConfig) -> MeasureParameters:
    """Every number of the measurement, with what ``study.toml`` changes."""
    return changed(MeasureParameters(), config.measuring)


def measure_patient_maps(patient: Patient, parameters: MeasureParameters) -> Measurement:
    """Measure the label maps of all visits with their registrations, as they lie in the study folder."""
    paths, visits = patient.study.paths, patient.visits
    return measure_visits(
        [read_label_map(paths.labels(patient.id, v)) for v in visits],
        [from_json(read_json(patient.registration_path(v))) for v in visits[1:]],
        side=patient.side,
        parameters=parameters,
        side_checked=True,  # with the label map, where visits.tsv may settle it
    )


def measure_again(patient: Patient, values: Mapping[str, Any]) -> Measurement:
    """Measure with the numbers of the study but for ``values``; see :meth:`mriseg.study.model.Patient.remeasure`."""
    return measure_patient_maps(patient, measure_parameters(patient.study.config).with_values(**values))
