"""MR volume of one visit -> label map: a correction, a reader's mask, or the network, in this order."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mriseg.anatomy import SideOpinion, side_of
from mriseg.errors import StudyError
from mriseg.nifti import read_grid, read_volume
from mriseg.segment.readers import adopt_mask
from mriseg.study.corrections import put_label_map, remember
from mriseg.study.mask_files import no_mask, reader_file
from mriseg.study.masks import read_mask, refuse_contradictions
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
    source = reader_file(paths, patient.id, visit)
    if source is None:
        if patient.study.config.segment.method == "readers":
            raise StudyError(no_mask(paths, patient.id, visit))
        label_map, assessment, parameters = _by_network(patient, image, threads)
        shown = side_of(label_map)
    else:
        label_map, assessment, parameters = _by_reader(patient, visit, source)
        shown = refuse_contradictions(label_map, patient.side, source.name)
    if remark := _check_side(patient, visit, shown):
        assessment = assessment | {"reasons": [*assessment["reasons"], remark]}
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


def _check_side(patient: Patient, visit: str, shown: SideOpinion) -> str:
    """Refuse a knee whose three bones are all sure of the other side, unless visits.tsv settles it; return a remark."""
    if not shown.contradicts(patient.side) and not shown.doubts(patient.side):
        return ""
    found = f"participants.tsv says side {patient.side}, the shape says: {shown}."
    entry = patient.study.entries.get((patient.id, visit))
    if remark := entry.settled.get("anatomy") if entry else None:
        return f"{found} Settled: {remark}"
    if shown.contradicts(patient.side):
        advice = "Correct the side, or settle it in visits.tsv: `settled` = anatomy: WHY."
        raise StudyError(f"{patient.id} {visit}: {found} {advice}")
    return found


def _by_reader(patient: Patient, visit: str, source: Path) -> tuple[LabelMap, dict[str, Any], dict[str, Any]]:
    image = patient.study.paths.image(patient.id, visit)
    corrected = "desc-corrected" in source.name
    values = None if corrected else patient.study.config.segment.labels
    label_map = adopt_mask(read_mask(source, values), read_grid(image), name=source.name)
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
