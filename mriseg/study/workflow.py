"""``mriseg run``: inventory, then the Snakemake workflow, then the tables of the group."""

from __future__ import annotations

import fcntl
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mriseg.errors import StudyError
from mriseg.files import write_json
from mriseg.study.failures import record_failure
from mriseg.study.inventory import Inventory
from mriseg.study.mask_files import files_of_visit
from mriseg.study.model import Study
from mriseg.study.networks import network_state
from mriseg.study.paths import sidecar_of
from mriseg.study.provenance import CODE_OF_STEP, PACKAGE, code_hash

STEPS = tuple(CODE_OF_STEP)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """How the workflow runs: processes at once, Snakemake profile, chosen patients, a step to redo."""

    jobs: int = 2
    profile: str = "local"
    only: tuple[str, ...] = ()
    redo: str | None = None


def snakefile() -> Path:
    """Return the workflow: from the installed package, or beside it in a checkout."""
    for folder in (PACKAGE / "pipelines", PACKAGE.parent / "pipelines"):
        if (folder / "study" / "Snakefile").exists():
            return folder / "study" / "Snakefile"
    raise StudyError("The workflow (pipelines/study/Snakefile) is not installed. Install mriseg again.")


def plan_visits(study: Study, inventory: Inventory, only: tuple[str, ...]) -> dict[str, list[str]]:
    """Patients and visits that can be worked on; every other one is recorded as failed, with the reason.

    A patient without a usable baseline is not measured; one without a later visit is measured at baseline alone.
    """
    unknown = [name for name in only if name not in {p.id for p in study.patients()}]
    if unknown:
        raise StudyError(f"--only names {unknown}, which participants.tsv does not list.")
    plan: dict[str, list[str]] = {}
    for patient in study.patients():
        if only and patient.id not in only:
            continue
        usable = []
        for visit in study.visit_ids:
            patient.study.paths.failure(patient.id, "intake", visit).unlink(missing_ok=True)
            problems = ([patient.participant.problem] if patient.participant.problem else []) + list(
                inventory.blocks(patient.id, visit)
            )
            if problems:
                record_failure(patient, "intake", visit, " ".join(problems))
            else:
                usable.append(visit)
        if study.visit_ids[0] in usable:
            plan[patient.id] = usable
    return plan


def write_plan(study: Study, inventory: Inventory, visits: Mapping[str, list[str]], jobs: int) -> None:
    """Write ``plan.json`` for the Snakefile, and the chosen series of every planned visit."""
    paths, config = study.paths, study.config
    masks: dict[str, list[str]] = {}
    for name, ids in visits.items():
        for visit in ids:
            write_json(paths.series(name, visit), asdict(inventory.chosen[name, visit]))
            if sources := files_of_visit(paths, name, visit):
                known = [*sources, sidecar_of(sources[0])]  # who corrected it, where it is a correction
                masks[f"{name} {visit}"] = [str(p) for p in known if p.exists()]
    parameters: dict[str, Any] = {
        "convert": config.series.model_dump(mode="json"),
        "segment": [config.segment.model_dump(mode="json"), network_state(study)],
        "register": {},
        "measure": [config.measure.model_dump(), config.defects.model_dump()],
        "page": {},
    }
    state = {s: _short_hash([code_hash(s), parameters[s], sides(study) if s != "convert" else {}]) for s in STEPS}
    plan = {"visits": visits, "state": state, "masks": masks, "threads": {"segment": min(2, jobs)}}
    write_json(paths.derivatives / "plan.json", plan)


def sides(study: Study) -> dict[str, str | None]:
    """Side of every participant: a corrected side makes everything after the conversion out of date."""
    return {p.participant_id: p.side for p in study.participants}


def _short_hash(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:16]


@contextmanager
def one_run_at_a_time(study: Study) -> Iterator[None]:
    """Hold the study while it is worked on; a killed run frees it by itself."""
    study.paths.derivatives.mkdir(parents=True, exist_ok=True)
    with (study.paths.derivatives / ".lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StudyError(f"{study.paths.root.name}: another run is at work on this study. Wait for it.") from error
        yield


def run_snakemake(study: Study, options: RunOptions, tick: Callable[[], None]) -> int:
    """Run the workflow to its end, calling ``tick`` now and then; its output goes to ``run.log``."""
    flow = snakefile()
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(flow)]
    command += ["--directory", str(study.paths.derivatives), "--config", f"study={study.paths.root}"]
    command += ["--cores", str(options.jobs), "--profile", str(_profile(flow, options.profile))]
    command += ["--nolock", "--max-checksum-file-size", str(2**40), "--nocolor"]
    if options.redo:
        command += ["--forcerun", options.redo]
    with study.paths.log.open("w", encoding="utf-8") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            while process.poll() is None:
                tick()
                time.sleep(0.3)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    tick()
    return process.returncode


def _profile(flow: Path, name: str) -> Path:
    shipped = flow.parent / "profiles" / name
    if shipped.is_dir():
        return shipped
    if Path(name).is_dir():
        return Path(name)
    raise StudyError(f"--profile {name}: expected local, slurm or a folder with a Snakemake config.yaml.")
