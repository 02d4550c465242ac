"""A lesion keeps one number over the visits, whatever it is called at each of them."""

from __future__ import annotations

from itertools import pairwise

import pandas as pd

from mriseg.report.lesions import number_lesions
from mriseg.types import Bone


def row(visit: str, name: str, area: float, matched: str | None) -> dict[str, object]:
    place = {"centroid_x_mm": area, "centroid_y_mm": 0.0, "centroid_z_mm": 0.0}
    return {"visit": visit, "defect_id": name, "region": "cMT", "area_mm2": area, "matched_defect_id": matched} | place


def test_matched_rows_are_one_lesion_and_the_largest_is_the_first() -> None:
    defects = pd.DataFrame([
        row("baseline", "T-1", 50.0, "T-2"),
        row("baseline", "T-2", 20.0, "T-1"),
        row("baseline", "F-1", 5.0, None),
        row("month6", "T-1", 90.0, "T-2"),
        row("month6", "T-2", 40.0, "T-1"),
        row("month6", "P-1", 7.0, None),
    ])  # fmt: skip
    found = number_lesions(defects)
    assert [lesion.number for lesion in found] == [1, 2, 3, 4]
    names = [[(r["visit"], r["defect_id"]) for r in lesion.rows] for lesion in found]
    assert names == [
        [("baseline", "T-2"), ("month6", "T-1")],
        [("baseline", "T-1"), ("month6", "T-2")],
        [("month6", "P-1")],
        [("baseline", "F-1")],
    ]
    assert [lesion.bone for lesion in found] == [Bone.TIBIA, Bone.TIBIA, Bone.PATELLA, Bone.FEMUR]
    assert found[0].centre_mm[0] == 90.0


def test_a_lesion_that_fell_apart_is_one_lesion() -> None:
    defects = pd.DataFrame([
        row("baseline", "T-1", 50.0, "T-1"),
        row("month6", "T-1", 20.0, "T-1"),
        row("month6", "T-2", 15.0, "T-1"),
    ])  # fmt: skip
    assert [len(lesion.rows) for lesion in number_lesions(defects)] == [3]


def test_every_row_is_in_one_lesion_and_no_rows_are_none() -> None:
    names = ("T-1", "F-1", "P-1", "T-2")
    defects = pd.DataFrame([row(v, n, 9.0, m) for v in ("a", "b", "c") for n, m in pairwise(names)])
    assert sum(len(lesion.rows) for lesion in number_lesions(defects)) == len(defects)
    assert number_lesions(defects.iloc[:0]) == ()
