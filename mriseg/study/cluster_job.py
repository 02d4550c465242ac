"""``python -m mriseg.study.cluster_job NUMBER``: one job of :mod:`mriseg.study.cluster`, on the node that it came to.

It runs in the folder of the submission: the job stands in ``jobs/``, events go to ``events/``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mriseg.study.crew import Crew, Job
from mriseg.study.model import Patient, open_study


def main(number: str) -> None:
    """Do the job with its own supervisor, so that a crash or a hang here is a recorded failure as everywhere."""
    content = json.loads(Path("jobs", f"{number}.json").read_text(encoding="utf-8"))
    study = open_study(content["study"])
    person = study.patient(content["participant"]).participant
    patient = Patient(study=study, participant=person, blocked=content["blocked"])
    job = Job(patient=patient, redo=tuple(content["redo"]), threads=content["threads"])
    with Path("events", number).open("a", buffering=1, encoding="utf-8") as events:

        def tell(_: Patient, event: Mapping[str, Any]) -> None:
            events.write(json.dumps(event) + "\n")

        Crew(at_once=1, tell=tell).run([job])


if __name__ == "__main__":
    main(sys.argv[1])
