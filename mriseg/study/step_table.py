"""The steps of a patient in their order: what each reads and writes, what it depends on, and where its code lies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from mriseg.errors import StudyError
from mriseg.study.corrections import correction_of
from mriseg.study.hashes import Hashes
from mriseg.study.mask_files import correction_file, files_of_visit
from mriseg.study.model import Patient
from mriseg.study.networks import network_state
from mriseg.study.paths import sidecar_of
from mriseg.study.receipts import Task

Paths = tuple[Path, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step.

    Parameters
    ----------
    name : str
    work : str
        ``module:function``, called with the patient, and the visit if there is one; its module tells the code.
    code : str
        Module of mriseg that the code is read off, where that is not the one of ``work``.
    threaded : bool
        Whether it takes ``threads``.
    visits : callable
        Planned visits of a patient -> the visits that the step is done for; ``("",)`` is one time for all of them.
    inputs, outputs : callable
        Files and folders that the step reads and writes for a patient and a visit.
    parameters : callable
        What else the result follows from, JSON-ready; only what concerns this patient.
    """

    name: str
    work: str
    code: str = ""
    threaded: bool = False
    visits: Callable[[tuple[str, ...]], tuple[str, ...]]
    inputs: Callable[[Patient, str], Paths]
    outputs: Callable[[Patient, str], Paths]
    parameters: Callable[[Patient, str, Hashes], Mapping[str, Any]]

    @property
    def module(self) -> str:
        """Module that the code of the step follows from."""
        return self.code or self.work.partition(":")[0]

    def __call__(self, patient: Patient, visit: str, *, threads: int) -> None:
        """Do the work; its module is imported only now."""
        shared = {"threads": threads} if self.threaded else {}
        named(self.work)(patient, *([visit] if visit else []), **shared)


def named(place: str) -> Any:
    """Import what ``module:name`` stands for."""
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


def each(visits: tuple[str, ...]) -> tuple[str, ...]:
    """Do a step for every visit."""
    return visits


def once(visits: tuple[str, ...]) -> tuple[str, ...]:
    """Do a step one time for all visits."""
    return ("",) if visits else ()


def later(visits: tuple[str, ...]) -> tuple[str, ...]:
    """Do a step for every visit after baseline."""
    return visits[1:]


def tasks_of(patient: Patient, steps: tuple[Step, ...]) -> tuple[tuple[Step, Task], ...]:
    """Everything to do for one patient, in order; nothing without a usable baseline."""
    if patient.study.visit_ids[0] not in patient.planned:
        return ()
    return tuple((step, Task(step=step.name, visit=v)) for step in steps for v in step.visits(patient.planned))


def _with_sidecar(path: Path) -> Paths:
    return path, sidecar_of(path)


def _images(patient: Patient, visit: str) -> Paths:
    return _with_sidecar(patient.study.paths.image(patient.id, visit))


def _series(patient: Patient, visit: str, hashes: Hashes) -> Mapping[str, Any]:
    from mriseg.study.visit_images import series_hash  # pydicom only where DICOM is looked at

    rule = patient.study.config.series.model_dump(mode="json")
    entry = patient.study.entries.get((patient.id, visit))
    asked = {"side": patient.participant.side, "named": entry.series if entry else ""}
    return {"series": rule, **asked, "images": series_hash(patient, visit, hashes)}


def _to_segment(patient: Patient, visit: str) -> Paths:
    paths = patient.study.paths
    return (paths.image(patient.id, visit), *files_of_visit(paths, patient.id, visit))


def _segmenting(patient: Patient, visit: str, hashes: Hashes) -> Mapping[str, Any]:
    """Side and settled anatomy, and what the source of the label map depends on: reader, values or network."""
    study, config = patient.study, patient.study.config.segment
    entry = study.entries.get((patient.id, visit))
    found: dict[str, Any] = {
        "side": patient.participant.side,
        "anatomy": entry.settled.get("anatomy") if entry else None,
        "method": config.method,
    }
    if correction_file(study.paths, patient.id, visit).exists():
        return found | {"correction": correction_of(patient, visit)}
    if files_of_visit(study.paths, patient.id, visit):
        labels = config.labels
        return found | {"labels": None if labels is None else dict(sorted((str(k), v) for k, v in labels.items()))}
    return found | {"network": network_state(study, hashes)}


def _labels(patient: Patient, visit: str) -> Paths:
    return _with_sidecar(patient.study.paths.labels(patient.id, visit))


def _to_register(patient: Patient, visit: str) -> Paths:
    paths, both = patient.study.paths, (patient.planned[0], visit)
    return tuple(f(patient.id, v) for f in (paths.image, paths.labels) for v in both)


def _transform(patient: Patient, visit: str) -> Paths:
    return (patient.registration_path(visit),)


def _registering(patient: Patient, _: str, __: Hashes) -> Mapping[str, Any]:
    return dict(patient.study.config.register_.tuned)


def _transforms(patient: Patient) -> Paths:
    return tuple(patient.registration_path(v) for v in patient.planned[1:])


def _to_measure(patient: Patient, _: str) -> Paths:
    return (*(patient.study.paths.labels(patient.id, v) for v in patient.planned), *_transforms(patient))


def _measuring(patient: Patient, _: str, __: Hashes) -> Mapping[str, Any]:
    verdicts = {v: assessed(patient, v) for v in patient.planned}
    return {"side": patient.participant.side, **patient.study.config.measuring, "verdicts": verdicts}


def assessed(patient: Patient, visit: str) -> str | None:
    """Verdict on the label map of one visit; None where its sidecar cannot be read."""
    with suppress(OSError, ValueError, KeyError, TypeError, StudyError):
        return str(patient.segmentation(visit)["assessment"]["verdict"])
    return None


def _measured(patient: Patient, _: str = "") -> Paths:
    paths = patient.study.paths
    regions = paths.regions(patient.id)
    return (*_with_sidecar(regions), paths.defects(patient.id), paths.surfaces(patient.id))


def _to_show(patient: Patient, _: str) -> Paths:
    visits = patient.planned
    images = [patient.study.paths.image(patient.id, v) for v in visits]
    return (*images, *(p for v in visits for p in _labels(patient, v)), *_transforms(patient), *_measured(patient))


def _showing(patient: Patient, _: str, __: Hashes) -> Mapping[str, Any]:
    table = patient.study.config.study
    failures = [[f["step"], f["visit"], f["reason"]] for f in patient.failures() if f["step"] != "page"]
    found = {"side": patient.participant.side, "title": table.title or table.id, "failures": failures}
    judged = patient.judgements() if patient.study.paths.reviews.exists() else {}
    return found | {"judged": {v: f"{j.standing} {j.reason}" for (_, v), j in judged.items() if j.readers}}


def _page(patient: Patient, _: str) -> Paths:
    return (patient.study.paths.page(patient.id),)


def _nothing(_: Patient, __: str) -> Paths:
    return ()


STEPS = (
    Step(
        name="convert",
        work="mriseg.study.steps.convert:convert_visit",
        visits=each,
        inputs=_nothing,
        outputs=_images,
        parameters=_series,
    ),
    Step(
        name="segment",
        work="mriseg.study.steps.segment:segment_visit",
        threaded=True,
        visits=each,
        inputs=_to_segment,
        outputs=_labels,
        parameters=_segmenting,
    ),
    Step(
        name="register",
        work="mriseg.study.steps.register:register_visit",
        visits=later,
        inputs=_to_register,
        outputs=_transform,
        parameters=_registering,
    ),
    Step(
        name="measure",
        work="mriseg.study.steps.measure:measure_patient",
        visits=once,
        inputs=_to_measure,
        outputs=_measured,
        parameters=_measuring,
    ),
    Step(
        name="page",
        work="mriseg.report.patient:write_patient_page",
        visits=once,
        inputs=_to_show,
        outputs=_page,
        parameters=_showing,
    ),
)
TABLE = f"{__name__}:STEPS"
STEP_NAMES = tuple(step.name for step in STEPS)
