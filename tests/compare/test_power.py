"""Power and repeatability against known truth, and against the published figures of the manual readings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from mriseg.compare.ancova import fit_ancova
from mriseg.compare.batch import batch_ancova
from mriseg.compare.design import Common
from mriseg.compare.pilot import Pilot, build_pilot
from mriseg.compare.plan import Endpoint
from mriseg.compare.power import Effect, Scenario, power_at, sample_size
from mriseg.compare.repeatability import bland_altman, icc_2_1, repeatability, repeatability_table
from mriseg.compare.tables import read_table
from mriseg.errors import AnalysisError

AREA = Endpoint(region="FT", metric="dAB")


def common(n: int) -> Common:
    return Common(columns=np.ones((n, 1)), names=("i",), grid=np.ones(1), cells=np.zeros(n, dtype=int), notes=())


@pytest.fixture(scope="module")
def normal_pilot() -> Pilot:
    rng = np.random.default_rng(2)
    base = rng.normal(300, 100, 4000)
    return Pilot(endpoint=AREA, unit="mm2", baseline=base, followup=base + 50 + rng.normal(0, 80, 4000))


def test_simulated_power_of_normal_values_equals_the_t_distribution(normal_pilot: Pilot) -> None:
    for size in (20, 42):
        point = power_at(normal_pilot, Scenario(trials=4000), size)
        assert point.simulated == pytest.approx(point.by_t, abs=0.03)
        assert point.detectable == pytest.approx(point.detectable_by_t, rel=0.06)


def test_without_an_effect_the_test_rejects_at_its_level(normal_pilot: Pilot) -> None:
    assert power_at(normal_pilot, Scenario(halted=0, trials=4000), 30).simulated == pytest.approx(0.05, abs=0.012)


def test_dropout_costs_what_it_takes_away(normal_pilot: Pilot) -> None:
    lost = power_at(normal_pilot, Scenario(dropout=0.25, trials=3000), 40)
    fewer = power_at(normal_pilot, Scenario(trials=3000), 30)
    assert lost.simulated == pytest.approx(fewer.simulated, abs=0.035)


def test_longer_follow_up_and_stronger_effects_need_fewer(normal_pilot: Pilot) -> None:
    sizes = [
        sample_size(normal_pilot, Scenario(halted=h, time=t), simulated=False) for h, t in ((0.5, 1), (1, 1), (1, 2))
    ]
    assert sizes[0] > sizes[1] > sizes[2]
    assert sample_size(normal_pilot, Scenario(halted=0.01), simulated=False) is None


def test_halting_every_knee_by_its_own_change_takes_its_noise_away_too(normal_pilot: Pilot) -> None:
    shift, proportional = (power_at(normal_pilot, Scenario(effect=e, trials=1000), 30).simulated for e in Effect)
    assert proportional > shift


def test_the_careful_hc3_test_finds_less_in_small_arms(normal_pilot: Pilot) -> None:
    judged = [power_at(normal_pilot, Scenario(judged_by=j), 12).simulated for j in ("permutation", "hc3")]
    assert judged[0] > judged[1] > 0.7 * judged[0]


def test_the_same_seed_gives_the_same_power(normal_pilot: Pilot) -> None:
    assert power_at(normal_pilot, Scenario(trials=300), 12) == power_at(normal_pilot, Scenario(trials=300), 12)


def test_impossible_scenarios_are_refused() -> None:
    with pytest.raises(AnalysisError, match="Dropout lies between 0 and 1"):
        Scenario(dropout=1.0)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("also", "expected"),
    [
        ([], {"growth": 61.5, "sd": 112.5, "detectable": 134.9, "halt": 54}),
        (["case_control=CONTROL"], {"growth": 37.1, "sd": 71.9, "detectable": 86.3, "halt": 60}),
    ],
)
def test_figures_of_the_manual_readings(real_data: Path, also: list[str], expected: dict[str, float]) -> None:
    table = read_table(real_data / "oai_manual_readings.tsv")
    where = ["kl_grade_baseline=2,3,4", *also]
    pilot = build_pilot(table, AREA, baseline="0", followup="12", where=where)
    assert pilot.growth == pytest.approx(expected["growth"], abs=0.1)
    assert pilot.residual_sd == pytest.approx(expected["sd"], abs=0.1)
    assert power_at(pilot, Scenario(trials=200), 12).detectable_by_t == pytest.approx(expected["detectable"], abs=0.1)
    assert sample_size(pilot, Scenario(), simulated=False) == expected["halt"]


def test_a_pilot_needs_knees_and_known_columns(tmp_path: Path) -> None:
    rows = [(f"sub-{i}", v, "R", "FT", "dAB", str(i), "mm2", "measured") for i in range(5) for v in ("a", "b")]
    table = pd.DataFrame(
        rows, columns=["participant_id", "visit", "side", "region", "metric", "value", "unit", "state"]
    )
    with pytest.raises(AnalysisError, match="holds 5 knees with FT:dAB at both 'a' and 'b'; at least 10"):
        build_pilot(table, AREA, baseline="a", followup="b")
    with pytest.raises(AnalysisError, match="'grade=2' is not COLUMN=VALUE"):
        build_pilot(table, AREA, baseline="a", followup="b", where=["grade=2"])


def test_repeatability_recovers_the_error_that_was_put_in() -> None:
    rng = np.random.default_rng(4)
    values = rng.normal(1000, 100, (400, 1)) + rng.normal(0, 10, (400, 2))
    found = repeatability(values)
    assert found.sem == pytest.approx(10, rel=0.07)
    assert found.sdc == pytest.approx(1.959964 * np.sqrt(2) * found.sem)
    assert found.sdc_low < found.sdc < found.sdc_high
    assert found.rms_cv_pct == pytest.approx(1.0, rel=0.1)
    assert found.icc == pytest.approx(0.99, abs=0.005)
    assert found.bias_low < 0 < found.bias_high


def test_a_shift_between_scans_counts_as_error() -> None:
    rng = np.random.default_rng(4)
    values = rng.normal(1000, 100, (50, 1)) + rng.normal(0, 5, (50, 2))
    shifted = values + np.array([0, 30])
    assert repeatability(shifted).sem > 2 * repeatability(values).sem
    assert repeatability(shifted).bias == pytest.approx(30, abs=3)


def test_repeats_without_error_and_of_zeros() -> None:
    same = np.repeat([[1.0], [2.0], [4.0]], 2, axis=1)
    assert repeatability(same).sdc == 0
    assert icc_2_1(same).estimate == pytest.approx(1)
    nothing = repeatability(np.zeros((4, 2)))
    assert np.isnan(nothing.icc)
    assert np.isnan(nothing.rms_cv_pct)


def test_bland_altman_by_hand() -> None:
    bias, limits = bland_altman(np.array([1.0, 3.0, 5.0]))
    assert bias.estimate == 3
    assert limits == pytest.approx((3 - 1.959964 * 2, 3 + 1.959964 * 2), abs=1e-5)


def test_too_few_repeats_are_noted_for_that_endpoint_alone() -> None:
    rows = [(f"sub-{i}", v, "R", "FT", "dAB", i + (v == "b"), "mm2", "measured") for i in range(5) for v in "ab"]
    rows += [("sub-0", v, "R", "P", "dAB", 1.0, "mm2", "measured") for v in "ab"]
    table = pd.DataFrame(
        rows, columns=["participant_id", "visit", "side", "region", "metric", "value", "unit", "state"]
    )
    found = repeatability_table(table).set_index("region")
    assert found.loc["FT", "sem"] == pytest.approx(np.sqrt(0.5))
    assert "1 knees with 2 complete scans" in found.loc["P", "note"]
    with pytest.raises(AnalysisError, match=r"absent \['c'\]"):
        repeatability_table(table, ["a", "c"])


def from_zero() -> Pilot:
    data = pd.read_csv(Path(__file__).parent / "fixtures" / "pilot_from_zero.csv")
    return Pilot(endpoint=AREA, unit="mm2", baseline=data["baseline"].to_numpy(), followup=data["month6"].to_numpy())


def test_a_baseline_that_does_not_vary_is_dropped_as_in_the_comparison() -> None:
    zero = from_zero()
    high = Pilot(endpoint=AREA, unit="mm2", baseline=zero.baseline + 0.1, followup=zero.followup + 0.1)
    for pilot in (zero, high):
        assert pilot.residual_sd == pytest.approx(np.std(zero.followup, ddof=1))
        assert sample_size(pilot, Scenario(), simulated=False) == 8
    assert sample_size(high, Scenario()) == 7


@pytest.mark.parametrize("value", [0.0, 3.3])
@pytest.mark.parametrize("differing", [0, 1, 2])
def test_batched_ancova_drops_a_constant_baseline_and_full_leverage_as_one_fit_does(
    value: float, differing: int
) -> None:
    rng = np.random.default_rng(9)
    base, follow = np.full((3, 24), value), rng.normal(30, 40, (3, 24))
    base[:, :differing] += np.arange(50, 50 + differing)
    treated = np.arange(24) % 2 == 1
    batch = batch_ancova(base, follow, treated)
    for i in range(3):
        fit = fit_ancova(follow[i], treated, base[i], common(24))
        assert_allclose(
            [batch.effect[i], batch.se[i], batch.model_se[i], batch.df[i]],
            [fit.effect.estimate, fit.se, fit.model_se, fit.df],
            rtol=1e-8,
        )


@pytest.mark.parametrize("changed", ["halted", "time", "dropout", "alpha", "power"])
def test_a_scenario_that_is_not_a_number_is_refused(changed: str) -> None:
    with pytest.raises(AnalysisError, match="found"):
        Scenario(**{changed: float("nan")})


def test_a_sample_size_does_not_hang_on_the_seed() -> None:
    assert sample_size(from_zero(), Scenario(seed=2)) == 7


def test_a_pilot_that_follows_from_its_baseline_and_one_of_a_single_visit_are_refused() -> None:
    rows = [
        (f"sub-{i:02d}", v, "R", "FT", "dAB", str(i + 5 * (v == "b")), "mm2", "measured")
        for i in range(12)
        for v in "ab"
    ]
    table = pd.DataFrame(
        rows, columns=["participant_id", "visit", "side", "region", "metric", "value", "unit", "state"]
    )
    with pytest.raises(AnalysisError, match="follows from its baseline exactly"):
        build_pilot(table, AREA, baseline="a", followup="b")
    with pytest.raises(AnalysisError, match="are both 'a'"):
        build_pilot(table, AREA, baseline="a", followup="a")
    with pytest.raises(AnalysisError, match=r"has the visits a, b. 24 row\(s\) of it wait for a review"):
        build_pilot(table.assign(state="needs-review"), AREA, baseline="a", followup="b")
