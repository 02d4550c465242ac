"""A reader's correction is ordinary input: it is set aside before anything could write over it."""

from __future__ import annotations

import shutil
from pathlib import Path

from mriseg.files import read_json, replacing, sha256
from mriseg.study.model import Study
from mriseg.study.paths import sidecar_of


def keep_corrections(study: Study) -> tuple[Path, ...]:
    """Set aside label maps that a reader has edited in place, so that no later run writes over them.

    A label map whose hash is not the one in its sidecar was edited. It is copied to ``desc-corrected_dseg``, which
    goes before every other source from then on. Returns the copies made.
    """
    kept = []
    for patient in study.patients():
        for visit in patient.visits:
            labels, copy = study.paths.labels(patient.id, visit), study.paths.corrected(patient.id, visit)
            sidecar = sidecar_of(labels)
            if sidecar.exists() and read_json(sidecar)["output_sha256"] != sha256(labels):
                with replacing(copy) as partial:
                    shutil.copyfile(labels, partial)
                kept.append(copy)
    return tuple(kept)
