"""The page in a real browser: quiet, alone, and nothing that was drawn is lost when browser or server dies."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from mriseg.files import sha256
from mriseg.study import open_study
from mriseg.study.reviews import read_reviews
from tests.room.browser import chromium, until
from tests.room.serving import reading_room
from tests.room.sitting import IDLE, Sitting
from tests.study.reviewed import drawn_study

pytestmark = pytest.mark.xdist_group("room")
HOSTILE = "<img src=x onerror=document.title='gone'> <b>edge</b>"


@pytest.fixture(scope="module")
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


@pytest.fixture(scope="module")
def sitting(stack: ExitStack, tmp_path_factory: pytest.TempPathFactory) -> Sitting:
    """The page, opened on a small study; the tests of this module go on where the one before left it."""
    study = drawn_study(tmp_path_factory.mktemp("browser") / "study")
    found = Sitting(
        browser=stack.enter_context(chromium()),
        server=stack.enter_context(reading_room(study.paths.root, "--reader", "AB")),
    )
    found.open()
    return found


@pytest.fixture(scope="module")
def root(sitting: Sitting) -> Path:
    return Path(sitting.server.process.args[5])  # type: ignore[index]


def test_the_page_is_quiet_and_asks_nobody_else(sitting: Sitting) -> None:
    sitting.go("sub-01", "month6")
    sitting.press("1", "2", "3", "4", "1", "j", "k", "h", "h", "h", "q", "q", "q", "?")
    sitting.run("document.getElementById('help').close()")
    assert sitting.complaints() == []
    assert {a for a in sitting.addresses() if a.startswith("http")} == {f"http://{sitting.server.host}"}


def test_what_is_drawn_outlives_the_browser_and_the_server(sitting: Sitting, stack: ExitStack, root: Path) -> None:
    sitting.run("document.getElementById('ball').checked = true; document.getElementById('size').value = 3")
    sitting.press("2", "e")
    sitting.drag_from_the_crosshair(20, 0)
    drawn = sitting.changed_voxels()
    assert drawn > 5
    assert sitting.run("return document.getElementById('accept').disabled")
    until(sitting.browser, "room.kept === room.drawing.strokes.length")
    os.kill(sitting.browser.capabilities["goog:processID"], signal.SIGKILL)
    sitting.browser = stack.enter_context(chromium())
    sitting.open()
    sitting.go("sub-01", "month6")
    assert sitting.changed_voxels() == drawn
    sitting.server.process.kill()
    sitting.server.process.wait()
    sitting.server = stack.enter_context(reading_room(root, "--reader", "AB"))
    sitting.open()
    sitting.go("sub-01", "month6")
    assert sitting.changed_voxels() == drawn
    sitting.press("z")
    assert sitting.changed_voxels() == 0


def test_a_correction_an_acceptance_and_a_comment(sitting: Sitting, root: Path) -> None:
    paths = open_study(root).paths
    before = sha256(paths.labels("sub-01", "month6"))
    sitting.press("2", "e")
    sitting.drag_from_the_crosshair(20, 0)
    sitting.press("s")
    assert sitting.text("done").startswith("saved after 0:")
    sitting.go("sub-02", "baseline")
    sitting.comment(HOSTILE)
    sitting.press("a")
    until(sitting.browser, f"{IDLE} && room.scene.pair[0].standing === 'accepted'")
    assert HOSTILE in sitting.text("why")
    assert sitting.browser.title.startswith("Reading room: ")
    corrected, accepted = read_reviews(root / "reviews.tsv")
    assert (corrected.verdict, corrected.map_sha256, corrected.reader) == ("correct", before, "AB")
    assert corrected.correction_sha256 == sha256(paths.corrected("sub-01", "month6"))
    assert (accepted.participant_id, accepted.verdict, accepted.comment) == ("sub-02", "accept", HOSTILE)
    assert accepted.seconds.isdigit()


TOOLS = """
const { Drawing } = await import('./static/paint.js');
const make = (fill) => {
  const drawing = new Drawing(new Uint8Array(8100), [9, 30, 30], [3, 0.5, 0.5]);
  fill(drawing);
  drawing.begin();
  return drawing;
};
const count = (d, label) => d.labels.filter((v) => v === label).length;
const nothing = () => {};
const bone = (d) => { for (let k = 0; k < 10; k++) d.slice(2, k).forEach((v) => { d.labels[v] = 3; }); };
const flat = { axis: 0 };
const out = {};

let d = make(nothing);
d.dab([4, 15, 15], 3, 3, flat);
out.disc = count(d, 3);
d.end();
d.undo();
out.undone = count(d, 3);

d = make(nothing);
d.dab([4, 15, 15], 3, 3, {});
out.ball = count(d, 3);

d = make(bone);
d.dab([4, 15, 20], 2, 4, { ...flat, guard: true });
out.far = count(d, 4);
d.dab([4, 15, 10], 2, 4, { ...flat, guard: true });
[out.near, out.kept] = [count(d, 4), count(d, 3)];

d = make(bone);
d.dab([4, 15, 10], 2, 0, { ...flat, only: 4 });
out.spared = count(d, 3);

d = make(nothing);
d.dab([1, 15, 15], 5, 3, flat);
d.end();
d.begin();
d.dab([7, 15, 15], 3, 3, flat);
d.end();
d.begin();
d.fillBetween(0, 3, false);
out.between = [1, 2, 3, 4, 5, 6, 7].map((i) => d.slice(0, i).filter((v) => d.labels[v] === 3).length);

d = make(nothing);
const image = new Float32Array(8100).fill(100);
for (const voxel of d.slice(0, 4)) image[voxel] = 10;
d.grow([4, 15, 15], 2, image, { radius: 4, tolerance: 5, guard: false });
[out.grown, out.grownInSlice] = [count(d, 2), d.slice(0, 4).filter((v) => d.labels[v] === 2).length];
return out;
"""


def test_the_tools_draw_what_they_say(sitting: Sitting) -> None:
    found = sitting.run(f"return (async () => {{ {TOOLS} }})()")
    assert isinstance(found, dict)
    assert found["disc"] == pytest.approx(3.1416 * 9 / 0.25, rel=0.05)  # area of a disc in pixels of 0.5 mm
    assert found["undone"] == 0
    assert found["ball"] == found["disc"] + 2  # slices of 3 mm: only its poles lie on the slices beside
    assert found["far"] == 0  # nothing hangs in the air
    assert found["near"] > 20
    assert found["kept"] == 2700  # cartilage never takes bone away
    assert found["spared"] == 2700
    radii = [(n * 0.25 / 3.1416) ** 0.5 for n in found["between"]]
    assert radii == pytest.approx([5 - 2 * n / 6 for n in range(7)], abs=0.25)
    assert found["grown"] == found["grownInSlice"] == pytest.approx(3.1416 * 16 / 0.25, rel=0.05)
