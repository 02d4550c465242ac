"""The sample trial, run once through the commands that a user types; every test here looks at that run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fcntl import LOCK_EX, flock
from pathlib import Path

import pytest

from tests.end_to_end.commands import SAMPLE, mriseg, tree_hash
from tests.end_to_end.identified import identify


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        flock(handle, LOCK_EX)
        yield


@dataclass(frozen=True)
class SampleRun:
    """The study folder after `mriseg run`, what the command printed, DICOM hashes before, and what names patients."""

    study: Path
    returncode: int
    output: str
    dicom_before: str
    identities: list[str]


@pytest.fixture(scope="session")
def sample_run(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> SampleRun:
    """Run the sample trial, as a hospital would send it, once, however many test processes there are."""
    base = tmp_path_factory.getbasetemp()
    base = base if worker_id == "master" else base.parent
    study, record = base / "sample" / "study", base / "sample" / "record"
    with _locked(base / "sample.lock"):
        if not record.exists():
            shutil.copytree(SAMPLE / "study", study, ignore=shutil.ignore_patterns("derivatives"))
            identities = identify(study / "dicom")
            before = tree_hash(study / "dicom")
            result = mriseg("run", study)
            facts = {
                "returncode": result.returncode,
                "output": result.stdout + result.stderr,
                "dicom_before": before,
                "identities": identities,
            }
            record.write_text(json.dumps(facts), encoding="utf-8")
    return SampleRun(study=study, **json.loads(record.read_text(encoding="utf-8")))
