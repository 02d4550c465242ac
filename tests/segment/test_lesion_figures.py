"""What benchmarks/segmenter.py says of planted lesions, from rows whose answer is known."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mriseg.types import Defect

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def figures() -> ModuleType:
    sys.path.insert(0, str(BENCHMARKS))
    import segmenter_lesions

    sys.path.remove(str(BENCHMARKS))
    return segmenter_lesions


def row(knee: str, visit: str, true: float, found: float, **more: Any) -> dict[str, Any]:
    values = [{"FT dAB": v, "MT ThCtAB_aMe": 1.5 - v / 1000, "MT dABp": v / 10} for v in (true, found)]
    own = {"knee": knee, "kind": "dess", "visit": visit, "true": values[0], "found": values[1]}
    return own | {"lesions": [], "invented": 0} | more


def test_bias_and_change_are_found_minus_true(figures: ModuleType) -> None:
    rows = [row("a", "baseline", 100, 80), row("a", "followup", 150, 170)]
    rows += [row("b", "baseline", 50, 50), row("b", "followup", 60, 40)]
    own = figures.lesion_summary(rows)["dess"]
    assert own["dAB mm2 bias"] == pytest.approx(-5)
    assert own["dAB mm2 mean error"] == pytest.approx(15)
    assert own["change of dAB mm2 bias"] == pytest.approx(10)  # +40 and -20
    assert own["change of dAB mm2 SD"] == pytest.approx(42.426, abs=0.01)
    assert own["thickness mm bias"] == pytest.approx(0.005)


def test_a_worn_plate_that_is_called_sound_is_counted(figures: ModuleType) -> None:
    own = figures.lesion_summary([row("a", "baseline", 100, 40), row("b", "baseline", 100, 60)])["dess"]
    assert (own["worn plates"], own["of these called less than half"]) == (2, 1)


def test_lesions_are_found_by_a_quarter_of_their_area_and_told_by_size_and_filling(figures: ModuleType) -> None:
    lesions = [
        {"filling": "fluid", "area_mm2": 200.0, "found_mm2": 51.0},
        {"filling": "fluid", "area_mm2": 60.0, "found_mm2": 10.0},
        {"filling": "synovium", "area_mm2": 20.0, "found_mm2": 20.0},
    ]
    own = figures.lesion_summary([row("a", "baseline", 100, 90, lesions=lesions)])["dess"]
    sizes = {"50 to 100 mm2": "0 of 1", "over 100 mm2": "1 of 1", "under 50 mm2": "1 of 1"}
    assert own["lesions found, by size"] == sizes
    assert own["lesions of 50 mm2 and more found, by filling"] == {"fluid": "1 of 2"}


def test_a_visit_that_measuring_refuses_leaves_its_knee_without_a_change(figures: ModuleType) -> None:
    rows = [row("a", "baseline", 100, 80), {"knee": "a", "kind": "dess", "visit": "followup", "refused": True}]
    own = figures.lesion_summary(rows)["dess"]
    assert own["images"] == 1
    assert "change of dAB mm2 bias" not in own


@pytest.mark.parametrize(("apart", "touches"), [(9.0, True), (16.0, False)])
def test_lesions_are_the_same_where_their_outlines_nearly_touch(
    figures: ModuleType, apart: float, touches: bool
) -> None:
    defect = Defect(
        defect_id="d1",
        region="cMT",
        icrs_class=4,
        area_mm2=78.5,  # radius 5 mm
        mean_depth_pct=100.0,
        max_depth_pct=100.0,
        volume_mm3=100.0,
        centroid_mm=(apart, 0.0, 0.0),
        diameter_mm=10.0,
    )
    assert figures.beside(defect, (0.0, 0.0, 0.0), 50.0) is touches  # radius 4 mm
