"""A failure is a recorded state: one small file a step, removed when the step succeeds."""

from __future__ import annotations

import errno
import traceback
from pathlib import Path

from mriseg.errors import MrisegError
from mriseg.files import write_json
from mriseg.study.code import PACKAGE
from mriseg.study.model import Patient
from mriseg.study.receipts import Task

AGAIN = "Mend what is named, then `mriseg run STUDY` again; what is done stays."
HINTS = {
    errno.ENOSPC: "Make room on the disk of derivatives/, then `mriseg run STUDY` again.",
    errno.EDQUOT: "Make room in the quota of derivatives/, then `mriseg run STUDY` again.",
    errno.EROFS: "Make derivatives/ writable, then `mriseg run STUDY` again.",
    errno.EACCES: "Give the file or folder back to whoever runs mriseg, then `mriseg run STUDY` again.",
    errno.EPERM: "Give the file or folder back to whoever runs mriseg, then `mriseg run STUDY` again.",
}


def explain(error: BaseException) -> tuple[str, str]:
    """Reason and hint of an error.

    An error that mriseg foresaw is told with its text. Of any other one only the kind and the place in the code are
    told, since its text may quote a header.
    """
    if isinstance(error, MrisegError):
        return str(error), AGAIN
    if isinstance(error, MemoryError):
        return "the machine ran out of memory.", "Run with fewer --jobs, or on a machine with more memory."
    if isinstance(error, OSError) and error.errno in HINTS:
        return unexpected(error), HINTS[error.errno]
    return unexpected(error), "Look into the log; if the input is sound, report it with that text."


def unexpected(error: BaseException) -> str:
    """Say what went wrong and where in the code, without the text of the error, which may quote a header."""
    from mriseg.dicom.filenames import shown  # pydicom only where something failed

    frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).is_relative_to(PACKAGE)]
    place = f"{Path(frames[-1].filename).relative_to(PACKAGE)}:{frames[-1].lineno}" if frames else "a library"
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.strerror}: {shown(Path(str(error.filename)).name)} ({type(error).__name__} at {place})"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror} ({type(error).__name__} at {place})"
    return f"unexpected {type(error).__name__} at {place} (a defect of mriseg or a file of a kind not met before)"


def record_failure(patient: Patient, task: Task, reason: str, *, recipe: str, hint: str = AGAIN) -> None:
    """Write the record of one failed step; ``recipe`` is the hash of what it was tried with."""
    log = patient.study.paths.step_log(patient.id)
    place = log.relative_to(patient.study.paths.derivatives).as_posix()
    content = patient.failure(task.step, task.visit, reason, hint=hint, log=place) | {"recipe": recipe}
    own, elsewhere = _places(patient, task)
    try:
        write_json(own, content)
    except OSError:  # the folder of this patient cannot be written, which may be the very reason
        write_json(elsewhere, content)


def clear_failure(patient: Patient, task: Task) -> None:
    """Remove the record of a step that is tried again or has succeeded."""
    for place in _places(patient, task):
        place.unlink(missing_ok=True)


def _places(patient: Patient, task: Task) -> tuple[Path, Path]:
    own = patient.study.paths.failure(patient.id, task.step, task.visit)
    return own, patient.study.paths.group / "failures" / own.name
