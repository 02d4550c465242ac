"""MR volume of one visit -> label map: a correction, a reader's mask, or the network, in this order."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mriseg import dicom
from mriseg.errors import StudyError
from mriseg.nifti import read_label_map, read_volume
from mriseg.segment.readers import adopt_mask
from mriseg.study.corrections import put_label_map, remember
from mriseg.study.networks import network_of
from mriseg.study.paths import sidecar_of
from mriseg.study.provenance import write_sidecar
from mriseg.types import LabelMap

if TYPE_CHECKING:
    from mriseg.study.model import Patient


def segment_visit(patient: Patient, visit: str, *, threads: int) -> None:
    """Write the label map of one visit with its assessment; ``threads`` is for the network alone."""
    paths = patient.study.paths
    image, output = paths.image(patient.id, visit), paths.labels(patient.id, visit)
    source = _reader_file(patient, visit)
    if source is None:
        label_map, assessment, parameters = _by_network(patient, image, threads)
    else:
        label_map, assessment, parameters = _by_reader(patient, visit, source)
    if settled := _check_side(patient, visit, label_map):
        assessment = assessment | {"reasons": [*assessment["reasons"], settled]}
    put_label_map(patient, visit, label_map)
    inputs = [image] if source is None else [image, source]
    if source is not None and "corrected_by" in parameters:
        inputs.append(sidecar_of(source))
    write_sidecar(
        output,
        step="segment",
        module=__name__,
        inputs=inputs,
        root=paths.root,
        parameters=parameters,
        assessment=assessment,
    )


def _check_side(patient: Patient, visit: str, label_map: LabelMap) -> str:
    """Refuse a label map whose trochlea is that of the other knee, unless visits.tsv settles it; return the remark."""
    shape = dicom.side_from_anatomy(label_map)
    entry = patient.study.entries.get((patient.id, visit))
    if shape is None or shape is patient.side:
        return ""
    found = f"participants.tsv says side {patient.side}, the shape of the femur says {shape}."
    remark = entry.settled.get("anatomy") if entry else None
    if remark is None:
        advice = "Correct the side, or settle it in visits.tsv: `settled` = anatomy: WHY."
        raise StudyError(f"{patient.id} {visit}: {found} {advice}")
    return f"{found} Settled: {remark}"


def _reader_file(patient: Patient, visit: str) -> Path | None:
    """Return a reader's correction or mask; None where there is none and the network may take over."""
    paths = patient.study.paths
    corrected, mask = paths.corrected(patient.id, visit), paths.mask(patient.id, visit)
    if corrected.exists() or mask.exists():
        return corrected if corrected.exists() else mask
    if patient.study.config.segment.method == "readers":
        raise StudyError(
            f"{patient.id} {visit}: masks/{mask.name} does not exist. "
            'Expected a reader\'s label map, since study.toml asks for method = "readers".'
        )
    return None


def _by_reader(patient: Patient, visit: str, source: Path) -> tuple[LabelMap, dict[str, Any], dict[str, Any]]:
    image = patient.study.paths.image(patient.id, visit)
    corrected = "desc-corrected" in source.name
    values = None if corrected else patient.study.config.segment.labels
    label_map = adopt_mask(read_label_map(source, values), read_volume(image).grid, name=source.name)
    parameters: dict[str, Any] = {"method": "corrected" if corrected else "readers", "labels": values}
    if corrected:
        entry = patient.study.entries.get((patient.id, visit))
        correction = remember(source, entry.reader if entry else "")
        parameters |= {"corrected_by": correction.by, "corrected_on": correction.on}
    return label_map, {"verdict": "good", "reasons": []}, parameters


def _by_network(patient: Patient, image: Path, threads: int) -> tuple[LabelMap, dict[str, Any], dict[str, Any]]:
    from mriseg.segment import rules_of, segment  # onnxruntime only where it is needed

    network = network_of(patient.study)
    result = segment(read_volume(image), side=patient.side, network=network, threads=threads)
    confidence = {label.name.lower(): value for label, value in result.confidence.items()}
    assessment = {"verdict": result.verdict.value, "reasons": list(result.reasons), "confidence": confidence}
    parameters = {"method": "network", "network": network.identity, "rules": rules_of(network)}
    return result.label_map, assessment, parameters
