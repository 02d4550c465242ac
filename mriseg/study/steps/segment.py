"""MR volume of one visit -> label map: a correction, a reader's mask, or the network, in this order."""

from __future__ import annotations

from typing import Any

from mriseg.errors import StudyError
from mriseg.nifti import read_label_map, read_volume, write_label_map
from mriseg.segment import load_network, segment
from mriseg.segment.readers import adopt_mask
from mriseg.study.model import Patient
from mriseg.study.provenance import write_sidecar


def segment_visit(patient: Patient, visit: str, *, threads: int) -> None:
    """MR volume of one visit -> label map: a correction, a reader's mask, or the network, in this order."""
    study, paths = patient.study, patient.study.paths
    image, output = paths.image(patient.id, visit), paths.labels(patient.id, visit)
    corrected, mask = paths.corrected(patient.id, visit), paths.mask(patient.id, visit)
    settings = study.config.segment
    parameters: dict[str, Any] = {"method": settings.method}
    if corrected.exists() or mask.exists() or settings.method == "readers":
        source = corrected if corrected.exists() else mask
        if not source.exists():
            raise StudyError(
                f"{patient.id} {visit}: masks/{mask.name} does not exist. "
                'Expected a reader\'s label map, since study.toml asks for method = "readers".'
            )
        volume = read_volume(image)
        values = settings.labels if source is mask else None
        label_map = adopt_mask(read_label_map(source, values), volume.grid, name=source.name)
        parameters |= {"method": "corrected" if source is corrected else "readers", "labels": values}
        inputs = [image, source]
        assessment: dict[str, Any] = {"verdict": "good", "reasons": []}
    else:
        result = segment(read_volume(image), side=patient.side, network=load_network(settings.onnx), threads=threads)
        label_map, inputs = result.label_map, [image]
        confidence = {label.name.lower(): value for label, value in result.confidence.items()}
        assessment = {"verdict": result.verdict.value, "reasons": list(result.reasons), "confidence": confidence}
    write_label_map(output, label_map)
    write_sidecar(output, step="segment", inputs=inputs, root=paths.root, parameters=parameters, assessment=assessment)
