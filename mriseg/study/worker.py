"""``python -m mriseg.study.worker``: the steps of one patient, in a process that ends with the run that started it.

The job comes as JSON on standard input, events go as JSON lines to standard output. Whatever libraries print goes to
standard error, which is the log of the patient.
"""

from __future__ import annotations

import ctypes
import faulthandler
import json
import os
import signal
import sys
from typing import Any

PR_SET_PDEATHSIG = 1


def main() -> int:
    """Do one job; 0 where it came to its end, be it with recorded failures."""
    die_with_parent()
    if os.getppid() != int(sys.argv[1]):
        return 1  # it is gone already
    events = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    faulthandler.enable()
    job = json.load(sys.stdin)
    from mriseg.study.failures import explain

    try:
        _work(job, lambda **event: events.write(json.dumps(event) + "\n"))
    except Exception as error:
        events.write(json.dumps({"kind": "broken", "text": " ".join(explain(error))}) + "\n")
        return 1
    return 0


def die_with_parent(number: int = signal.SIGKILL) -> None:
    """Have this process sent a signal when the one that started it ends, however that happens (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)


def _work(job: dict[str, Any], emit: Any) -> None:
    from mriseg.study.model import Patient, open_study
    from mriseg.study.receipts import Task
    from mriseg.study.step_table import named
    from mriseg.study.work import Event, Worker

    def say(event: Event) -> None:
        emit(kind=event.kind, step=event.task.step, visit=event.task.visit, text=event.text)

    study = open_study(job["study"])
    person = study.patient(job["participant"]).participant
    patient = Patient(study=study, participant=person, blocked=job["blocked"])
    skip = {Task(step=step, visit=visit) for step, visit in job["skip"]}
    steps = named(job["table"])
    Worker(patient=patient, threads=job["threads"], redo=job["redo"], skip=skip, say=say, steps=steps).run()


if __name__ == "__main__":
    sys.exit(main())
