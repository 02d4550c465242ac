"""Masking the order of the visits in tables: random for each patient, kept by the key, and nothing gives it away."""

from __future__ import annotations

from random import Random

import pandas as pd
import pytest
from typer.testing import CliRunner

from mriseg.cli import app
from mriseg.errors import StudyError
from mriseg.report.masked import draw_key, mask_table

VISITS = {f"sub-{i:02d}": ("baseline", "month6") for i in range(40)}


def test_each_patient_has_an_order_of_its_own() -> None:
    key = draw_key(VISITS, Random(1))
    first = key[key["scan"] == "A"]["visit"]
    assert 10 < (first == "baseline").sum() < 30
    assert key.groupby("participant_id")["visit"].agg(set).map(len).eq(2).all()
    assert not draw_key(VISITS).equals(draw_key(VISITS))  # no seed that a reader could know


def test_a_masked_table_holds_the_values_in_the_order_of_the_scans() -> None:
    key = pd.DataFrame({"participant_id": ["sub-00"] * 2, "scan": ["A", "B"], "visit": ["month6", "baseline"]})
    table = pd.DataFrame(
        {
            "participant_id": ["sub-00"] * 2,
            "visit": ["baseline", "month6"],
            "area_mm2": [10.0, 14.0],
            "matched_defect_id": ["F-1", "F-1"],
            "change_mm2": [4.0, 4.0],
            "fate": ["grown", "grown"],
        }
    )
    masked = mask_table(table, key)
    assert masked.to_dict("list") == {"participant_id": ["sub-00"] * 2, "scan": ["A", "B"], "area_mm2": [14.0, 10.0]}
    with pytest.raises(StudyError, match="key does not cover sub-00, month3"):
        mask_table(table.replace("month6", "month3"), key)


def test_masking_without_a_place_for_the_key_is_wrong_use() -> None:
    assert CliRunner().invoke(app, ["report", "study", "--masked", "reader"]).exit_code == 2
