"""Steps of a study that take no time: the same names, files and corrections as the real ones, with whole numbers.

The images of a visit are one text file with a number; the label map is a tiny NIfTI file that holds it; the value of a
visit is the number times ``band_pct``. A word instead of the number makes the step hang, crash or fail.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mriseg.errors import StudyError
from mriseg.files import sha256, write_json, write_text
from mriseg.nifti import read_label_map
from mriseg.study.corrections import put_label_map
from mriseg.study.hashes import Hashes
from mriseg.study.model import Patient, Study, open_study
from mriseg.study.overview import StudyState, planned_patients
from mriseg.study.paths import sidecar_of
from mriseg.study.state import patient_state
from mriseg.study.step_table import Step, each, once
from mriseg.types import Grid, LabelMap

HERE = __name__
HEADER = "participant_id\tvisit\tside\tregion\tmetric\tvalue\tunit\tstate\n"
TOML = '[study]\nid = "s"\n[[visits]]\nid = "a"\nday = 0\n[[visits]]\nid = "b"\nday = 9\n[measure]\nband_pct = {band}\n'


def make_study(root: Path, *, people: int = 1, band: int = 60, more: str = "") -> Study:
    """A study folder of participants with two visits each."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "study.toml").write_text(TOML.format(band=band) + more)
    names = [f"sub-{n + 1:02d}" for n in range(people)]
    (root / "participants.tsv").write_text("participant_id\tside\n" + "".join(f"{n}\tR\n" for n in names))
    for name in names:
        for number, visit in enumerate("ab"):
            raw(root, name, visit).parent.mkdir(parents=True)
            raw(root, name, visit).write_text(str(number + 1))
    return open_study(root)


def raw(root: Path, name: str, visit: str) -> Path:
    return root / "dicom" / name / visit / "image.txt"


def state_of(study: Study) -> StudyState:
    """The state of all patients, judged by these steps."""
    found = tuple(patient_state(p, hashes=Hashes(), steps=STEPS) for p in planned_patients(study, None))
    return StudyState(study=study, patients=found)


def label_map(number: int) -> LabelMap:
    """A map of one voxel of cartilage and as many of bone as ``number``."""
    data = np.zeros((4, 4, 4), np.uint8)
    data.flat[: number + 1] = [2] + [1] * number
    return LabelMap(data=data, grid=Grid(shape=(4, 4, 4), affine=np.eye(4)))


def number_in(path: Path) -> int:
    return int((read_label_map(path).data == 1).sum())


def convert(patient: Patient, visit: str) -> None:
    said = raw(patient.study.paths.root, patient.id, visit).read_text()
    if said == "hang":
        time.sleep(600)
    elif said == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif said == "memory":
        os.kill(os.getpid(), signal.SIGKILL)
    elif not said.isdigit():
        raise StudyError(f"{patient.id} {visit}: found {said!r}, expected a number.")
    output = patient.study.paths.image(patient.id, visit)
    write_text(output, said)
    write_json(sidecar_of(output), {"made": "convert"})


def segment(patient: Patient, visit: str) -> None:
    paths = patient.study.paths
    corrected, output = paths.corrected(patient.id, visit), paths.labels(patient.id, visit)
    number = number_in(corrected) if corrected.exists() else int(paths.image(patient.id, visit).read_text())
    put_label_map(patient, visit, label_map(number))
    assessment = {"verdict": "good", "reasons": []}
    write_json(sidecar_of(output), {"output_sha256": sha256(output), "assessment": assessment})


def measure(patient: Patient) -> None:
    paths, band = patient.study.paths, patient.study.config.measure.band_pct
    values = {v: number_in(paths.labels(patient.id, v)) * band for v in patient.planned}
    rows = [f"{patient.id}\t{v}\tR\tFT\tdAB\t{value:g}\tmm2\tmeasured\n" for v, value in values.items()]
    surfaces = paths.surfaces(patient.id)
    shutil.rmtree(surfaces, ignore_errors=True)
    write_text(surfaces / "femur.npz", "".join(rows))
    write_text(paths.defects(patient.id), "participant_id\tvisit\n")
    write_text(paths.regions(patient.id), HEADER + "".join(rows))
    write_json(sidecar_of(paths.regions(patient.id)), {"made": "measure"})


def page(patient: Patient) -> None:
    write_text(patient.study.paths.page(patient.id), patient.study.paths.regions(patient.id).read_text())


def _band(patient: Patient, _: str, __: Hashes) -> Mapping[str, Any]:
    return {"band_pct": patient.study.config.measure.band_pct, "side": patient.participant.side}


def _none(_: Patient, __: str, ___: Hashes) -> Mapping[str, Any]:
    return {}


def _to_segment(patient: Patient, visit: str) -> tuple[Path, ...]:
    paths = patient.study.paths
    corrected = paths.corrected(patient.id, visit)
    return (paths.image(patient.id, visit), *([corrected] if corrected.exists() else []))


def _beside(path: Path) -> tuple[Path, ...]:
    return path, sidecar_of(path)


def _tables(patient: Patient, _: str = "") -> tuple[Path, ...]:
    paths, name = patient.study.paths, patient.id
    return (*_beside(paths.regions(name)), paths.defects(name), paths.surfaces(name))


def _labels(patient: Patient, _: str) -> tuple[Path, ...]:
    return tuple(patient.study.paths.labels(patient.id, v) for v in patient.planned)


STEPS = (
    Step(
        name="convert",
        work=f"{HERE}:convert",
        code="mriseg.errors",
        visits=each,
        inputs=lambda p, v: (raw(p.study.paths.root, p.id, v),),
        outputs=lambda p, v: _beside(p.study.paths.image(p.id, v)),
        parameters=_none,
    ),
    Step(
        name="segment",
        work=f"{HERE}:segment",
        code="mriseg.errors",
        visits=each,
        inputs=_to_segment,
        outputs=lambda p, v: _beside(p.study.paths.labels(p.id, v)),
        parameters=_none,
    ),
    Step(
        name="measure",
        work=f"{HERE}:measure",
        code="mriseg.errors",
        visits=once,
        inputs=_labels,
        outputs=_tables,
        parameters=_band,
    ),
    Step(
        name="page",
        work=f"{HERE}:page",
        code="mriseg.errors",
        visits=once,
        inputs=_tables,
        outputs=lambda p, _: (p.study.paths.page(p.id),),
        parameters=_none,
    ),
)
