"""The page of one patient: what a radiologist needs to trust or reject the numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mriseg.files import read_json, sha256, write_text
from mriseg.geometry import rotation_deg
from mriseg.report import figures
from mriseg.report.lesions import lesion_cards
from mriseg.report.render import render
from mriseg.study.model import Patient
from mriseg.study.paths import sidecar_of
from mriseg.types import Bone, Label

if TYPE_CHECKING:
    from mriseg.study.state import PatientState

SHOWN_REGIONS = ("FT", "MFTC", "LFTC", "MT", "LT", "cMF", "cLF", "TrF", "P")
SHOWN_METRICS = ("ThCtAB_aMe", "tAB", "dAB", "dABp", "VC")


def write_patient_page(patient: Patient) -> None:
    """Write ``sub-X.html``.

    Raises
    ------
    StudyError
        Where the patient is not measured yet.
    """
    visits = patient.visits
    regions, defects = patient.regions(), patient.defects()
    page = render(
        "patient.html.j2",
        id=patient.id,
        study=patient.study.config.study.title or patient.study.config.study.id,
        side=patient.side.value,
        visits=visits,
        failures=patient.failures(),
        notes=_notes(patient),
        legend=[(label.name.replace("_", " ").lower(), figures.label_colour(label)) for label in Label],
        slices=[
            (v, _segmentation(patient, v), figures.slices(patient.image(v), patient.labels(v), patient.side))
            for v in visits
        ],
        registrations=[(v, _bones(patient, v), _registration_check(patient, v)) for v in visits[1:]],
        thickness=_thickness(patient, visits),
        cards=lesion_cards(patient, visits, defects.replace({np.nan: None})),
        rows=shown_rows(regions, visits),
        files=_files(patient, visits),
    )
    write_text(patient.study.paths.page(patient.id), page)


def write_absent_page(state: PatientState) -> None:
    """Write ``sub-X.html`` of a patient without current values: how far each step is, and why; no number."""
    patient, table = state.patient, state.patient.study.config.study
    page = render("absent.html.j2", id=patient.id, study=table.title or table.id, steps=state.steps)
    write_text(patient.study.paths.page(patient.id), page)


def shown_rows(regions: pd.DataFrame, visits: tuple[str, ...]) -> list[dict[str, Any]]:
    """Pick the rows of the page: main regions and metrics, the value of each visit (NaN where absent), the changes."""
    rows = []
    for region in SHOWN_REGIONS:
        for metric in SHOWN_METRICS:
            here = regions[(regions["region"] == region) & (regions["metric"] == metric)].set_index("visit")
            if here.empty:
                continue
            values = [float(here["value"].get(v, np.nan)) for v in visits]
            states = sorted(set(here["state"]) - {"measured"})
            changes = [value - values[0] for value in values[1:]]
            rows.append({
                "region": region, "metric": metric, "unit": here["unit"].iloc[0], "by_visit": values,
                "changes": changes,
                "state": states[0] if states else "measured",
            })  # fmt: skip
    return rows


def _notes(patient: Patient) -> list[str]:
    path = sidecar_of(patient.study.paths.regions(patient.id))
    notes: list[str] = read_json(path).get("notes", []) if path.exists() else []
    return notes


def _segmentation(patient: Patient, visit: str) -> dict[str, Any]:
    """Where a label map comes from, what the segmenter thinks of it, and what readers said and changed."""
    sidecar, judged = patient.segmentation(visit), patient.judgements()[patient.id, visit]
    copy = sidecar_of(patient.study.paths.corrected(patient.id, visit))
    correction = read_json(copy) if sidecar["parameters"]["method"] == "corrected" and copy.exists() else {}
    said = {"standing": judged.standing.value, "said": judged.reason}
    changed = {"changes": correction.get("changes"), "before": correction.get("before")}
    return {"source": _source(sidecar["parameters"]), **sidecar["assessment"], **said, **changed}


def _files(patient: Patient, visits: tuple[str, ...]) -> list[tuple[str, str]]:
    """Files that the numbers rest on, by their place in the study, with SHA-256."""
    paths = patient.study.paths
    used = [f(patient.id, v) for v in visits for f in (paths.image, paths.labels)]
    used += [patient.registration_path(v) for v in visits[1:]]
    used += [paths.regions(patient.id), paths.defects(patient.id)]
    return [(path.relative_to(paths.root).as_posix(), sha256(path)) for path in used if path.exists()]


def _source(parameters: dict[str, Any]) -> str:
    """Where a label map comes from, in words: the network by name, a reader's mask, or who corrected it and when."""
    method: str = parameters["method"]
    if method == "corrected":
        return f"a correction by {parameters['corrected_by']} on {parameters['corrected_on']}"
    return str(parameters["network"]["name"]) if method == "network" else "a reader's mask"


def _bones(patient: Patient, visit: str) -> list[dict[str, Any]]:
    stored, motions = patient.registration(visit)["bones"], patient.transforms(visit)
    return [
        {
            "name": bone.value,
            "verdict": stored[bone]["assessment"],
            "reasons": stored[bone].get("reasons", []),
            "rotation_deg": rotation_deg(motion),
            "translation_mm": stored[bone].get("figures", {}).get("translation_mm"),
            "residual_mm": stored[bone].get("residual_mm"),
            "similarity": stored[bone].get("similarity"),
        }
        for bone, motion in motions.items()
    ]


def _registration_check(patient: Patient, visit: str) -> bytes | None:
    motions, baseline = patient.transforms(visit), patient.visits[0]
    if not motions:
        return None
    return figures.registration_check(patient.image(baseline), patient.image(visit), patient.labels(baseline), motions)


def _thickness(patient: Patient, visits: tuple[str, ...]) -> list[tuple[str, bytes]]:
    pictures = []
    for bone in Bone:
        file = patient.surfaces.get(bone)
        if file is not None and (file.surface.region > 0).any():
            maps = {v: (t.thickness_mm, t.state) for v in visits if (t := file.thickness.get(v)) is not None}
            pictures.append((bone.value, figures.thickness(file.surface, maps)))
    return pictures
