"""Whatever happens to a study, in any order: a value of the past is never shown as measured, an edit is never lost."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mriseg.study.group import group_tables, withdraw
from mriseg.study.model import open_study
from mriseg.study.paths import StudyPaths
from mriseg.study.state import Status
from mriseg.study.work import Worker
from tests.study.small_steps import STEPS, make_study, number_in, raw, state_of

NAME, VISITS = "sub-01", ("a", "b")
FILES = ("image", "labels", "regions", "defects", "page", "surface", "sidecar")
CHANGES = ("replace", "rename", "hardlink_to", "unlink", "write_text")


class KilledError(BaseException):
    """The process is gone; nothing after it happens."""


class Trial(RuleBasedStateMachine):
    """One patient with two visits, and what a model says its values have to be."""

    def __init__(self) -> None:
        super().__init__()
        self.base = Path(tempfile.mkdtemp())
        self.root = self.base / "study"
        make_study(self.root)
        self.raw = {"a": 1, "b": 2}
        self.corrected: dict[str, int] = {}
        self.band = 60
        self.moves = 0

    def teardown(self) -> None:
        shutil.rmtree(self.base)

    @property
    def paths(self) -> StudyPaths:
        return StudyPaths(self.root)

    def expected(self, visit: str) -> float:
        return self.corrected.get(visit, self.raw[visit]) * self.band

    def file(self, kind: str, visit: str) -> Path:
        paths = self.paths
        return {
            "image": paths.image(NAME, visit),
            "labels": paths.labels(NAME, visit),
            "regions": paths.regions(NAME),
            "defects": paths.defects(NAME),
            "page": paths.page(NAME),
            "surface": paths.surfaces(NAME) / "femur.npz",
            "sidecar": paths.labels(NAME, visit).with_name(f"{NAME}_ses-{visit}_dseg.json"),
        }[kind]

    def shown(self) -> dict[str, tuple[str, str]]:
        """Value and state of every visit in the table of the group, as of now."""
        text = group_tables(state_of(open_study(self.root))).get("regions", "")
        rows = [line.split("\t") for line in text.splitlines()[1:]]
        return {row[1]: (row[5], row[7]) for row in rows}

    @rule(visit=st.sampled_from(VISITS), number=st.integers(1, 9))
    def the_images_change(self, visit: str, number: int) -> None:
        raw(self.root, NAME, visit).write_text(str(number))
        self.raw[visit] = number

    @rule(band=st.integers(20, 90))
    def a_parameter_changes(self, band: int) -> None:
        config = self.root / "study.toml"
        config.write_text(config.read_text().replace(f"band_pct = {self.band}", f"band_pct = {band}"))
        self.band = band

    @rule(visit=st.sampled_from(VISITS), number=st.integers(10, 20))
    def a_reader_edits(self, visit: str, number: int) -> None:
        labels = self.file("labels", visit)
        if labels.exists():
            data = np.zeros((4, 4, 4), np.uint8)
            data.flat[: number + 1] = [2] + [1] * number
            labels.unlink()
            nib.save(nib.Nifti1Image(data, np.eye(4)), labels)
            self.corrected[visit] = number

    @rule(visit=st.sampled_from(VISITS))
    def a_reader_takes_the_correction_back(self, visit: str) -> None:
        copy = self.paths.corrected(NAME, visit)
        if copy.exists() and number_in(copy) == self.corrected.get(visit):
            copy.unlink()
            del self.corrected[visit]
            self.an_output_is_deleted("labels", visit)

    @rule(kind=st.sampled_from(FILES), visit=st.sampled_from(VISITS))
    def an_output_is_deleted(self, kind: str, visit: str) -> None:
        if kind != "labels" or self.safe(visit):
            self.file(kind, visit).unlink(missing_ok=True)

    @rule(kind=st.sampled_from(FILES), visit=st.sampled_from(VISITS), share=st.floats(0, 0.9))
    def an_output_is_cut_short(self, kind: str, visit: str, share: float) -> None:
        path = self.file(kind, visit)
        if path.exists() and (kind != "labels" or self.safe(visit)):
            path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])

    @rule()
    def everything_is_touched_and_moved(self) -> None:
        before = {s.task: s.status for p in state_of(open_study(self.root)).patients for s in p.steps}
        self.moves += 1
        there = self.base / f"moved {self.moves} [x] $(y)"
        shutil.copytree(self.root, there)
        for path in there.rglob("*"):
            os.utime(path, (1e9, 1e9))
        shutil.rmtree(self.root)
        self.root = there
        assert {s.task: s.status for p in state_of(open_study(there)).patients for s in p.steps} == before

    @rule(redo=st.booleans())
    def a_run_ends(self, redo: bool) -> None:
        self.run(redo=redo)
        assert [s.status for p in state_of(open_study(self.root)).patients for s in p.steps] == [Status.DONE] * 6
        assert self.shown() == {v: (f"{self.expected(v):g}", "measured") for v in VISITS}

    @rule(after=st.integers(0, 60), redo=st.booleans())
    def a_run_is_killed(self, after: int, redo: bool) -> None:
        with pytest.MonkeyPatch.context() as patch, suppress(KilledError):
            _kill_after(after, patch)
            self.run(redo=redo)

    def run(self, *, redo: bool) -> None:
        patient = open_study(self.root).patient(NAME)
        Worker(patient=patient, steps=STEPS, redo=("segment", "measure") if redo else ()).run()
        for state in (found := state_of(patient.study)).patients:
            if (blank := found.row_state(state)) is not None:
                withdraw(state.patient, blank)

    def safe(self, visit: str) -> bool:
        """Whether the map of a visit holds no edit that is nowhere else."""
        copy = self.paths.corrected(NAME, visit)
        return visit not in self.corrected or (copy.exists() and number_in(copy) == self.corrected[visit])

    @invariant()
    def no_value_of_the_past_is_shown(self) -> None:
        for visit, (value, state) in self.shown().items():
            assert (value, state) == (f"{self.expected(visit):g}", "measured") or value == ""

    @invariant()
    def no_edit_is_lost(self) -> None:
        for visit, number in self.corrected.items():
            folder = self.paths.labels(NAME, visit).parent
            kept = [p for p in folder.iterdir() if p.name.endswith("dseg.nii.gz") and _holds(p, number)]
            assert kept, f"the edit of visit {visit} is nowhere"


def _holds(path: Path, number: int) -> bool:
    with suppress(Exception):
        return number_in(path) == number
    return False


def _kill_after(count: int, patch: pytest.MonkeyPatch) -> None:
    """Let the process die at its ``count``-th change of a file: neither that one nor any later one happens."""
    left = [count]

    def dying(name: str) -> None:
        change = getattr(Path, name)

        def one_more(*args: object, **kwargs: object) -> object:
            left[0] -= 1
            if left[0] < 0:
                raise KilledError
            return change(*args, **kwargs)

        patch.setattr(Path, name, one_more)

    for name in CHANGES:
        dying(name)


TestTrial = Trial.TestCase
TestTrial.settings = settings(
    max_examples=25, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
)
