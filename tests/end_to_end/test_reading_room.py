"""A reading session on the sample trial: one visit accepted, one corrected by brush, one rejected, and it counts."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from mriseg.files import sha256
from mriseg.study import open_study
from mriseg.study.reviews import Review, read_reviews
from tests.end_to_end.commands import SAMPLE, mriseg
from tests.end_to_end.conftest import SampleRun
from tests.room.browser import chromium, until
from tests.room.serving import reading_room
from tests.room.sitting import IDLE, Sitting

pytestmark = pytest.mark.xdist_group("sample")


@pytest.fixture(scope="module")
def study(sample_run: SampleRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reading") / "study"
    shutil.copytree(sample_run.study, folder)
    return folder


@dataclass(frozen=True)
class Session:
    """What is left after a reading session: the study, its reviews, and what the page said."""

    study: Path
    reviews: tuple[Review, ...]
    values: list[dict[str, object]]
    complaints: list[str]


@pytest.fixture(scope="module")
def session(study: Path) -> Session:
    with reading_room(study, "--reader", "AB") as server, chromium() as browser:
        sitting = Sitting(browser=browser, server=server)
        sitting.open()
        sitting.go("sub-01", "baseline")
        sitting.press("a")
        sitting.go("sub-02", "month6")
        sitting.comment("motion")
        sitting.press("r")
        sitting.go("sub-03", "month6")
        sitting.run("document.getElementById('ball').checked = true; document.getElementById('size').value = 8")
        sitting.press("2", "j", "e")
        sitting.drag_from_the_crosshair(30, 0)
        assert sitting.changed_voxels() > 50
        sitting.press("s")
        until(browser, "room.entries.find(e => e.participant === 'sub-03').measuring === 'done'")
        until(browser, f"{IDLE} && room.before.length && room.scene.visits[1].standing === 'accepted'")
        return Session(
            study=study,
            reviews=read_reviews(study / "reviews.tsv"),
            values=sitting.run("return room.scene.values"),  # type: ignore[arg-type]
            complaints=sitting.complaints(),
        )


def test_every_verdict_is_recorded_with_its_reader_and_time(session: Session) -> None:
    found = [(r.participant_id, r.visit, r.verdict.value, r.reader) for r in session.reviews]
    assert found == [
        ("sub-01", "baseline", "accept", "AB"),
        ("sub-02", "month6", "reject", "AB"),
        ("sub-03", "month6", "correct", "AB"),
    ]
    assert all(r.seconds.isdigit() for r in session.reviews)
    assert session.reviews[1].comment == "motion"
    assert session.complaints == []


def test_the_correction_is_measured_and_its_numbers_are_shown(session: Session, sample_run: SampleRun) -> None:
    table = open_study(session.study).table("regions")
    before = open_study(sample_run.study).table("regions")
    key = {"participant_id": "sub-03", "visit": "month6", "region": "FT", "metric": "dAB"}
    old, new = (t.loc[(t[list(key)] == pd.Series(key)).all(axis=1), "value"].item() for t in (before, table))
    assert new > old + 10
    assert session.values[1]["value"] == pytest.approx(new)
    labels = open_study(session.study).paths.labels("sub-03", "month6")
    assert sha256(labels) == session.reviews[2].correction_sha256
    page = open_study(session.study).paths.page("sub-03").read_text()
    assert "a correction by AB on" in page


def test_run_lock_and_compare_use_exactly_that(session: Session) -> None:
    reviewed = (session.study / "reviews.tsv").read_bytes()
    table = open_study(session.study).table("regions")
    rejected = table[(table["participant_id"] == "sub-02") & (table["visit"] == "month6")]
    assert set(rejected["state"]) == {"rejected"}
    assert rejected["value"].isna().all()
    assert (table.loc[table["participant_id"] != "sub-02", "state"] == "measured").any()
    again = mriseg("run", session.study)
    assert again.returncode == 0, again.stderr
    pd.testing.assert_frame_equal(open_study(session.study).table("regions"), table)
    sealed = mriseg("lock", session.study)
    assert sealed.returncode == 0, sealed.stderr
    group = session.study / "derivatives/mriseg/group"
    assert "reviews.tsv" in json.loads((group / "lock.json").read_text())["files"]
    result = mriseg("compare", session.study, "--allocation", SAMPLE / "allocation.csv")
    assert result.returncode == 0, result.stderr
    comparison = json.loads((group / "comparison.json").read_text())
    assert sum(comparison["primary"]["n"]) == 5
    counts = [arm.get("rejected", 0) for arm in comparison["missing"]["month6"]["arms"].values()]
    assert sum(counts) == 1
    assert (session.study / "reviews.tsv").read_bytes() == reviewed
