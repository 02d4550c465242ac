"""A reader at work in a real browser: one visit accepted, one corrected with the brush, one rejected, nothing lost."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pandas as pd
import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By

from mriseg.files import sha256
from mriseg.study import open_study
from mriseg.study.reviews import Review, read_reviews
from tests.end_to_end.commands import SAMPLE, mriseg
from tests.end_to_end.conftest import SampleRun
from tests.room.browser import chromium, until
from tests.room.serving import Server, reading_room

pytestmark = pytest.mark.xdist_group("sample")
HOSTILE = "<img src=x onerror=document.title='gone'> <b>edge</b>"
IDLE = "document.body.dataset.busy === ''"


@dataclass
class Sitting:
    """The page of one reader, and everything that it asked for."""

    browser: webdriver.Chrome
    server: Server
    asked: set[str] = field(default_factory=set)

    def open(self) -> None:
        self.browser.get(self.server.address)
        until(self.browser, "document.body.dataset.ready === 'yes'")

    def run(self, script: str, *given: object) -> object:
        return self.browser.execute_script(script, *given)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.browser.find_element(By.TAG_NAME, "body").send_keys(key)
            until(self.browser, IDLE)

    def go(self, participant: str, visit: str) -> None:
        self.run(f"document.querySelector('[data-participant={participant}]').click()")
        until(self.browser, f"{IDLE} && room.scene.participant === '{participant}'")
        self.run(f"document.querySelector('[data-visit={visit}]').click()")
        until(self.browser, f"{IDLE} && room.scene.participant === '{participant}' && room.scene.shown === '{visit}'")

    def text(self, name: str) -> str:
        return self.browser.find_element(By.ID, name).text

    def drag_from_the_crosshair(self, dx: int, dy: int) -> None:
        """Drag with the left button in the judged viewer, from where the crosshair is."""
        at = self.run(
            "const v = room.pair.viewers.find(v => v.figure.classList.contains('judged'));"
            "const [x, y] = v.nv.frac2canvasPos(v.nv.scene.crosshairPos), d = v.nv.uiData.dpr || 1;"
            "const b = v.canvas.getBoundingClientRect(); return [x / d - b.width / 2, y / d - b.height / 2]"
        )
        canvas = self.browser.find_element(By.CSS_SELECTOR, "figure.judged canvas")
        chain = ActionChains(self.browser).move_to_element_with_offset(canvas, *at)  # type: ignore[misc]
        chain.click_and_hold().move_by_offset(dx, dy).release().perform()

    def complaints(self) -> list[str]:
        return [entry["message"] for entry in self.browser.get_log("browser")]

    def addresses(self) -> set[str]:
        events = (json.loads(entry["message"])["message"] for entry in self.browser.get_log("performance"))
        urls = (e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent")
        return {urlsplit(url).scheme + "://" + urlsplit(url).netloc for url in urls}


@pytest.fixture(scope="module")
def study(sample_run: SampleRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reading") / "study"
    shutil.copytree(sample_run.study, folder)
    return folder


@dataclass(frozen=True)
class Session:
    """What is left after a reading session: the study, the map that was drawn on, what the page said."""

    study: Path
    reviews: tuple[Review, ...]
    values: list[dict[str, object]]
    complaints: list[str]
    addresses: set[str]
    own: str
    strokes: int
    kept: list[int]
    title: str
    shown_comment: str


@pytest.fixture(scope="module")
def session(study: Path) -> Iterator[Session]:
    with ExitStack() as stack:
        server = stack.enter_context(reading_room(study, "--reader", "AB"))
        sitting = Sitting(stack.enter_context(chromium()), server)
        sitting.open()
        sitting.go("sub-01", "baseline")
        sitting.browser.find_element(By.ID, "comment").send_keys(HOSTILE)
        sitting.run("document.activeElement.blur()")
        sitting.press("a")
        comment = sitting.text("why")
        sitting.go("sub-02", "month6")
        sitting.browser.find_element(By.ID, "comment").send_keys("motion")
        sitting.run("document.activeElement.blur()")
        sitting.press("r")

        sitting.go("sub-03", "month6")
        kept = draw_and_lose_the_browser(sitting, stack)
        kept += lose_the_server(sitting, stack, study)
        strokes = sitting.run("return room.drawing.strokes.length")
        sitting.press("s")
        until(sitting.browser, "room.entries.find(e => e.participant === 'sub-03').measuring === 'done'")
        until(sitting.browser, f"{IDLE} && room.before.length && room.scene.visits[1].standing === 'accepted'")
        yield Session(
            study=study,
            reviews=read_reviews(study / "reviews.tsv"),
            values=sitting.run("return room.scene.values"),  # type: ignore[arg-type]
            complaints=[c for c in sitting.complaints() if "ERR_CONNECTION_REFUSED" not in c],
            addresses=sitting.addresses() | sitting.asked,
            own=f"http://{sitting.server.host}",
            strokes=int(strokes),  # type: ignore[call-overload]
            kept=kept,
            title=sitting.browser.title,
            shown_comment=comment,
        )


def draw_and_lose_the_browser(sitting: Sitting, stack: ExitStack) -> list[int]:
    """Erase cartilage about the largest lesion, wait until that is kept, kill the browser, open another one."""
    sitting.run("document.getElementById('ball').checked = true; document.getElementById('size').value = 8")
    sitting.press("2", "j", "e")
    sitting.drag_from_the_crosshair(30, 0)
    drawn = changed_voxels(sitting)
    until(sitting.browser, "room.kept === room.drawing.strokes.length")
    sitting.browser.service.process.kill()
    sitting.browser = stack.enter_context(chromium())
    sitting.open()
    sitting.go("sub-03", "month6")
    return [drawn, changed_voxels(sitting)]


def lose_the_server(sitting: Sitting, stack: ExitStack, study: Path) -> list[int]:
    """Kill the server and start another one on the same study: what was drawn is still there."""
    sitting.asked |= sitting.addresses() - {f"http://{sitting.server.host}"}
    sitting.server.process.kill()
    sitting.server.process.wait()
    sitting.server = stack.enter_context(reading_room(study, "--reader", "AB"))
    sitting.open()
    sitting.go("sub-03", "month6")
    return [changed_voxels(sitting)]


def changed_voxels(sitting: Sitting) -> int:
    script = "const d = room.drawing; return d.labels.reduce((n, v, i) => n + (v !== d.original[i]), 0)"
    return int(sitting.run(script))  # type: ignore[call-overload]


def test_the_page_is_quiet_and_asks_nobody_else(session: Session) -> None:
    assert session.complaints == []
    assert {a for a in session.addresses if a.startswith("http")} == {session.own}


def test_a_comment_is_text_and_nothing_else(session: Session) -> None:
    assert HOSTILE in session.shown_comment
    assert session.title.startswith("Reading room: ")


def test_what_was_drawn_outlives_browser_and_server(session: Session) -> None:
    assert session.kept[0] > 50
    assert set(session.kept) == {session.kept[0]}
    assert session.strokes == 1


def test_every_verdict_is_recorded_with_its_reader_and_time(session: Session) -> None:
    found = [(r.participant_id, r.visit, r.verdict.value, r.reader) for r in session.reviews]
    assert found == [
        ("sub-01", "baseline", "accept", "AB"),
        ("sub-02", "month6", "reject", "AB"),
        ("sub-03", "month6", "correct", "AB"),
    ]
    assert all(r.seconds.isdigit() for r in session.reviews)
    assert session.reviews[0].comment == HOSTILE


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
