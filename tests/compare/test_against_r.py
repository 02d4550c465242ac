"""Estimates, intervals and adjusted means equal R's; ICC equals pingouin's."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from mriseg.compare.analysis import compare_table
from mriseg.compare.interval import Interval
from mriseg.compare.plan import AnalysisPlan
from mriseg.compare.repeatability import icc_2_1
from mriseg.compare.result import Comparison

FIXTURES = Path(__file__).parent / "fixtures"
R = json.loads((FIXTURES / "r.json").read_text())
PINGOUIN = json.loads((FIXTURES / "pingouin.json").read_text())


def ends(interval: Interval) -> list[float]:
    return [interval.estimate, interval.low, interval.high]


def check(comparison: Comparison, expected: dict[str, Any]) -> None:
    fit, log = comparison.primary.ancova, comparison.primary.log1p
    assert_allclose([*ends(fit.effect), fit.p], expected["hc3"], rtol=1e-6, atol=1e-9)
    assert_allclose([*ends(fit.model_effect), fit.model_p], expected["model"], rtol=1e-6, atol=1e-9)
    assert_allclose([ends(m) for m in fit.means], expected["means"], rtol=1e-6)
    assert_allclose(fit.residual_sd, expected["residual_sd"], rtol=1e-6)
    assert fit.df == expected["df"]
    assert log is not None
    assert_allclose([*ends(log.effect), log.p], expected["log1p"], rtol=1e-6, atol=1e-9)


def compare(datasets: ModuleType, data: pd.DataFrame, **plan: Any) -> Comparison:
    values, people, allocation = datasets.as_tables(data)
    return compare_table(values, people, allocation, AnalysisPlan(permutations=0, imputations=0, **plan))


def test_plain_ancova_equals_r(datasets: ModuleType) -> None:
    comparison = compare(datasets, datasets.stored("plain"))
    check(comparison, R["plain"])
    assert_allclose(ends(comparison.primary.shift), R["plain"]["shift"], rtol=1e-9)


def test_strata_and_covariate_equal_r(datasets: ModuleType) -> None:
    comparison = compare(datasets, datasets.stored("stratified"), covariates=("age",), strata=("site", "kl"))
    check(comparison, R["stratified"])


@pytest.mark.real_data
def test_manual_readings_equal_r(datasets: ModuleType, real_data: Path) -> None:
    comparison = compare(datasets, datasets.from_readings(real_data), strata=("kl",))
    check(comparison, R["readings"])
    # R solves for the interval of tied values, we take order statistics: equal but for the width of a tie
    assert_allclose(ends(comparison.primary.shift), R["readings"]["shift"], atol=0.3)


def test_mixed_model_equals_r(datasets: ModuleType) -> None:
    data = pd.read_csv(FIXTURES / "visits.csv")
    first = data.drop_duplicates("participant_id").assign(visit="baseline", value=lambda d: d["baseline"])
    values = pd.concat([first, data]).assign(region="FT", metric="dAB", unit="mm2")
    allocation = first[["participant_id", "arm"]]
    plan = AnalysisPlan(permutations=0, imputations=0)
    result = compare_table(values.drop(columns=["arm", "baseline"]), None, allocation, plan).sensitivity["mixed_model"]
    assert [v.visit for v in result.visits] == ["month3", "month6"]
    assert_allclose([v.effect.estimate for v in result.visits], R["visits"]["effect"], rtol=1e-6)
    errors = [(v.effect.high - v.effect.low) / 2 / stats.t.ppf(0.975, v.df) for v in result.visits]
    assert_allclose(errors, R["visits"]["se"], rtol=1e-6)
    assert_allclose(result.sd, R["visits"]["sd"], rtol=1e-5)
    assert_allclose(result.correlation[0][1], R["visits"]["correlation"], rtol=1e-5)


@pytest.mark.parametrize("scans", ["2", "3"])
def test_icc_equals_pingouin(scans: str) -> None:
    found = icc_2_1(np.array(PINGOUIN[scans]["values"]))
    assert found.estimate == pytest.approx(PINGOUIN[scans]["icc"], abs=1e-9)
    assert [found.low, found.high] == pytest.approx(PINGOUIN[scans]["interval"], abs=0.0051)  # rounded there
