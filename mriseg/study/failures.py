"""A failure is a recorded state: one small file a step, removed when the step succeeds."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from pathlib import Path

from mriseg.dicom import shown
from mriseg.errors import MrisegError
from mriseg.files import write_json
from mriseg.study.model import Patient
from mriseg.study.provenance import PACKAGE

log = logging.getLogger(__name__)


def recorded(patient: Patient, step: str, visit: str | None, work: Callable[[], None]) -> bool:
    """Run ``work`` and return whether it succeeded; a failure is written to the patient's ``failures/``.

    An error that mriseg foresaw is recorded with its text. Of any other one only the kind and the place in the code are
    kept, since its text may quote a header.
    """
    path = patient.study.paths.failure(patient.id, step, visit)
    path.unlink(missing_ok=True)
    try:
        work()
    except MrisegError as error:
        message = str(error)
    except MemoryError:
        message = "the machine ran out of memory; run with fewer --jobs."
    except Exception as error:
        message = unexpected(error)
    else:
        return True
    record_failure(patient, step, visit, message)
    return False


def unexpected(error: Exception) -> str:
    """Say what went wrong and where in the code, without the text of the error, which may quote a header."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).is_relative_to(PACKAGE)]
    place = f"{Path(frames[-1].filename).relative_to(PACKAGE)}:{frames[-1].lineno}"
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.strerror}: {shown(Path(str(error.filename)).name)} ({type(error).__name__} at {place})"
    return f"unexpected {type(error).__name__} at {place} (a defect of mriseg or a file of a kind not met before)"


def record_failure(patient: Patient, step: str, visit: str | None, message: str) -> None:
    """Write the record of one failed step."""
    log.error("%s %s %s: %s", patient.id, visit or "", step, message)
    content = {"participant_id": patient.id, "visit": visit or "", "step": step, "state": "failed", "message": message}
    write_json(patient.study.paths.failure(patient.id, step, visit), content)
