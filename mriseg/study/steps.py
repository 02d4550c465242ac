"""The blind steps of one patient: read what the step before wrote, compute, write. The workflow calls them one by one.

No step here can open the allocation; only ``mriseg compare`` can.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mriseg import dicom
from mriseg.errors import StudyError
from mriseg.measure import MeasureParameters, defects_table, measure, regions_table
from mriseg.nifti import read_label_map, read_volume, write_label_map, write_volume
from mriseg.register import from_json, register, to_json
from mriseg.segment import load_network, segment
from mriseg.segment.readers import adopt_mask
from mriseg.study.inventory import choose_series, visit_folder
from mriseg.study.model import Patient, Study
from mriseg.study.provenance import read_json, sha256, write_json, write_sidecar, write_text
from mriseg.study.surface_files import write_surfaces


def convert_visit(patient: Patient, visit: str) -> None:
    """DICOM of one visit -> NIfTI and sidecar."""
    study, output = patient.study, patient.study.paths.image(patient.id, visit)
    folder = visit_folder(study.paths, study.entries, patient.id, visit)
    found = choose_series(dicom.scan(folder), study.config.series, where=f"{patient.id} {visit}")
    write_volume(output, found.read())
    write_sidecar(
        output,
        step="convert",
        inputs=(),
        root=study.paths.root,
        parameters=study.config.series.model_dump(),
        dicom=dicom.sidecar(found),
    )


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
        maps[0], maps[1] if len(maps) == 2 else None, transforms, side=patient.side, parameters=parameters
    )
    regions = regions_table(measurement, participant=name, side=patient.side, visits=visits)
    _mark_for_review(regions, patient)
    shutil.rmtree(paths.surfaces(name), ignore_errors=True)
    write_surfaces(paths.surfaces(name), measurement, visits)
    write_text(paths.defects(name), _tsv(defects_table(measurement, participant=name, visits=visits)))
    write_text(paths.regions(name), _tsv(regions))
    write_sidecar(
        paths.regions(name),
        step="measure",
        inputs=[paths.labels(name, v) for v in visits] + ([paths.registration(name)] if transforms else []),
        root=paths.root,
        parameters={"band_pct": parameters.band_pct, "min_area_mm2": parameters.min_area_mm2},
        notes=list(measurement.notes),
    )


def _mark_for_review(regions: Any, patient: Patient) -> None:
    """Turn the measured rows of a visit whose label map needs review into rows that say so."""
    for visit in patient.visits:
        verdict = segmentation_assessment(patient, visit).get("verdict")
        if verdict == "needs-review":
            rows = (regions["visit"] == visit) & (regions["state"] == "measured")
            regions.loc[rows, "state"] = "needs-review"


def segmentation_assessment(patient: Patient, visit: str) -> Mapping[str, Any]:
    """Return verdict, reasons and confidence of one label map, from its sidecar."""
    path = patient.study.paths.labels(patient.id, visit).with_name(f"{patient.id}_ses-{visit}_dseg.json")
    assessment: Mapping[str, Any] = read_json(path).get("assessment", {}) if path.exists() else {}
    return assessment


def keep_corrections(study: Study) -> tuple[Path, ...]:
    """Set aside label maps that a reader has edited in place, so that no later run writes over them.

    A label map whose hash is not the one in its sidecar was edited. It is copied to ``desc-corrected_dseg``, which
    goes before every other source from then on. Returns the copies made.
    """
    kept = []
    for patient in study.patients():
        for visit in patient.visits:
            labels, copy = study.paths.labels(patient.id, visit), study.paths.corrected(patient.id, visit)
            sidecar = labels.with_name(labels.name.split(".", 1)[0] + ".json")
            if sidecar.exists() and read_json(sidecar)["output_sha256"] != sha256(labels):
                partial = copy.with_name("." + copy.name)
                shutil.copyfile(labels, partial)
                partial.replace(copy)
                kept.append(copy)
    return tuple(kept)


def _two_visits(patient: Patient) -> tuple[str, str]:
    if len(patient.visits) < 2:
        raise StudyError(f"{patient.id}: one visit has a label map, registration needs two.")
    return patient.visits[0], patient.visits[1]


def _tsv(table: Any) -> str:
    text: str = table.to_csv(sep="\t", index=False, na_rep="", float_format="%.6g", lineterminator="\n")
    return text
