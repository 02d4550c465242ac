"""Permutation test, ranks, proportions and imputation against enumeration, definitions and known truth."""

from __future__ import annotations

from itertools import combinations
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats

from mriseg.compare.analysis import compare_table
from mriseg.compare.ancova import fit_ancova
from mriseg.compare.batch import batch_ancova
from mriseg.compare.design import Common, common_columns
from mriseg.compare.imputation import arm_hc3, impute, pool
from mriseg.compare.inversion import invert_freedman_lane
from mriseg.compare.joining import build_trial
from mriseg.compare.noncentral import detectable_shift, noncentral_t_cdf, noncentrality, power_of_t
from mriseg.compare.permutation import freedman_lane
from mriseg.compare.plan import AnalysisPlan
from mriseg.compare.rank import hodges_lehmann
from mriseg.compare.risk import constrained_proportions, risk_difference


def intercept(n: int) -> Common:
    return Common(columns=np.ones((n, 1)), names=("i",), grid=np.ones(1), cells=np.zeros(n, dtype=int), notes=())


def trial_arrays(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    base = rng.gamma(1.5, 100, n)
    return base, base + rng.gamma(1, 40, n), np.arange(n) % 2 == 1


def test_permutation_p_of_two_small_arms_equals_full_enumeration() -> None:
    follow = np.array([3.0, 7.1, 2.2, 9.4, 5.3, 8.8, 1.0, 6.5])
    treated = np.arange(8) >= 4
    spread = [follow[list(c)].mean() - np.delete(follow, list(c)).mean() for c in combinations(range(8), 4)]
    seen = follow[treated].mean() - follow[~treated].mean()
    exact = np.mean(np.abs(spread) >= abs(seen) - 1e-12)
    flat = np.zeros((8, 1))
    p = freedman_lane(follow[:, None], treated, flat, intercept(8), permutations=40000, seed=2)[0]
    assert p == pytest.approx(exact, abs=0.01)


def test_permutation_p_equals_refitting_every_permuted_outcome() -> None:
    base, follow, treated = trial_arrays(20)
    people = pd.DataFrame({"site": ["a", "a", "b", "b"] * 5, "age": np.linspace(50, 70, 20) ** 1.1})
    common = common_columns(people, AnalysisPlan(strata=("site",), covariates=("age",)))
    p = freedman_lane(follow[:, None], treated, base[:, None], common, permutations=400, seed=3)[0]
    full = np.column_stack([treated, common.columns, base])
    reduced = full[:, 1:]
    fitted = reduced @ np.linalg.lstsq(reduced, follow, rcond=None)[0]
    rng, hits = np.random.default_rng(3), 0
    home = np.argsort(common.cells, kind="stable")
    keys = rng.random((400, 20))

    def t(y: np.ndarray) -> float:
        beta = np.linalg.lstsq(full, y, rcond=None)[0]
        rss = ((y - full @ beta) ** 2).sum()
        return abs(beta[0]) / np.sqrt(rss * np.linalg.inv(full.T @ full)[0, 0])

    for key in keys:
        order = np.empty(20, dtype=int)
        order[home] = np.argsort(common.cells + key)
        hits += t(fitted + (follow - fitted)[order]) >= t(follow) * (1 - 1e-9)
    assert p == pytest.approx((1 + hits) / 401, abs=1e-12)


def test_an_endpoint_has_the_same_permutation_p_alone_and_among_others() -> None:
    base, follow, treated = trial_arrays(30)
    many = np.column_stack([follow, follow[::-1], base + 1])
    bases = np.column_stack([base, base[::-1], follow])
    common = intercept(30)
    together = freedman_lane(many, treated, bases, common, permutations=500, seed=1)
    alone = freedman_lane(many[:, :1], treated, bases[:, :1], common, permutations=500, seed=1)
    assert together[0] == alone[0]


def test_the_permutation_interval_holds_the_effects_that_are_not_rejected() -> None:
    base, follow, treated = trial_arrays(24, seed=4)
    people = pd.DataFrame({"site": ["a", "a", "b", "b"] * 6, "age": np.linspace(50, 70, 24) ** 1.1})
    common = common_columns(people, AnalysisPlan(strata=("site",), covariates=("age",)))
    follows, bases = np.column_stack([base, follow]), np.column_stack([follow, base])
    tests = invert_freedman_lane(follows, treated, bases, common, alpha=0.05, permutations=999, seed=1)
    assert_allclose(
        [t.p for t in tests], freedman_lane(follows, treated, bases, common, permutations=999, seed=1), rtol=1e-12
    )
    found = tests[1].interval
    assert found is not None
    fit = fit_ancova(follow, treated, base, common)
    assert found.estimate == pytest.approx(fit.effect.estimate)
    for end, outwards in ((found.low, -1), (found.high, 1)):
        for step, rejected in ((-1e-6, False), (1e-6, True)):
            moved = (follow - treated * (end + outwards * step * fit.model_se))[:, None]
            p = freedman_lane(moved, treated, base[:, None], common, permutations=999, seed=1)[0]
            assert (p <= 0.05) == rejected


def test_too_few_permutations_to_reject_leave_the_interval_unbounded() -> None:
    _, follow, treated = trial_arrays(4)
    flat = np.zeros((4, 1))
    found = invert_freedman_lane(follow[:, None], treated, flat, intercept(4), alpha=0.05, permutations=199, seed=1)[0]
    assert found.p > 0.05  # six ways to allot four knees to two arms cannot reach five percent
    assert found.interval is not None
    assert np.isnan([found.interval.low, found.interval.high]).all()
    assert (
        invert_freedman_lane(follow[:, None], treated, flat, intercept(4), alpha=0.05, permutations=0, seed=1)[
            0
        ].interval
        is None
    )


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-50, 50), min_size=1, max_size=12), st.lists(st.integers(-50, 50), min_size=1, max_size=12))
def test_hodges_lehmann_is_the_median_of_all_differences_and_turns_sign_with_the_arms(
    a: list[int], b: list[int]
) -> None:
    x, y = np.array(a, dtype=float), np.array(b, dtype=float)
    one, other = hodges_lehmann(x, y), hodges_lehmann(y, x)
    assert one.estimate == np.median(np.subtract.outer(y, x))
    assert (one.estimate, one.low, one.high) == (-other.estimate, -other.high, -other.low)


def test_hodges_lehmann_without_all_pairs_equals_the_one_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(0, 5, 120).round(1), rng.normal(2, 5, 130).round(1)
    direct = hodges_lehmann(x, y)
    monkeypatch.setattr("mriseg.compare.rank.ALL_PAIRS", 10)
    searched = hodges_lehmann(x, y)
    assert_allclose([searched.estimate, searched.low], [direct.estimate, direct.low], atol=1e-9)


def test_hodges_lehmann_of_an_empty_arm_is_nan() -> None:
    assert np.isnan(hodges_lehmann(np.array([]), np.array([1.0])).estimate)


def test_exact_risk_interval_covers_whatever_the_true_proportions_are() -> None:
    n = (6, 7)
    intervals = {(a, b): risk_difference((a, b), n).effect for a in range(7) for b in range(8)}
    for p0, p1 in ((0.05, 0.05), (0.2, 0.2), (0.5, 0.5), (0.1, 0.6), (0.9, 0.4), (0.02, 0.3)):
        chance = np.outer(stats.binom.pmf(range(7), n[0], p0), stats.binom.pmf(range(8), n[1], p1))
        covered = sum(chance[a, b] for (a, b), i in intervals.items() if i.low - 1e-6 <= p1 - p0 <= i.high + 1e-6)
        assert covered >= 0.95 - 1e-6


def test_risk_difference_turns_sign_with_the_arms_and_ends_within_one() -> None:
    one, other = risk_difference((3, 9), (20, 25)), risk_difference((9, 3), (25, 20))
    assert_allclose(
        [one.effect.estimate, one.effect.low, one.effect.high],
        [-other.effect.estimate, -other.effect.high, -other.effect.low],
        atol=1e-9,
    )
    none = risk_difference((0, 0), (5, 5)).effect
    assert none.estimate == 0
    assert -1 <= none.low < 0 < none.high <= 1
    sure = risk_difference((0, 5), (5, 5)).effect
    assert sure.estimate == sure.high == 1


def test_many_participants_get_the_score_interval() -> None:
    found = risk_difference((300, 350), (1000, 1000))
    assert found.method.startswith("score")
    # Newcombe's hybrid interval, an independent construction, agrees to a third digit at this size
    assert_allclose([found.effect.low, found.effect.high], [0.00902, 0.09073], atol=5e-4)


def test_constrained_proportions_maximise_the_likelihood() -> None:
    p0, p1 = constrained_proportions(np.array([3.0]), np.array([7.0]), (10, 12), 0.1)
    grid = np.linspace(0.001, 0.899, 9000)
    likelihood = stats.binom.logpmf(3, 10, grid) + stats.binom.logpmf(7, 12, grid + 0.1)
    assert p0[0] == pytest.approx(grid[likelihood.argmax()], abs=2e-4)
    assert p1[0] - p0[0] == pytest.approx(0.1)


def test_noncentral_t_agrees_with_scipy_and_detectable_shift_inverts_power() -> None:
    for t, df, shift in ((1.2, 5, 0.4), (2.1, 22, 2.9), (-1.0, 3, 2.0), (2.0, 997, 2.8)):
        assert noncentral_t_cdf(t, df, shift) == pytest.approx(stats.nct.cdf(t, df, shift), abs=1e-10)
    assert power_of_t(detectable_shift(21), 21) == pytest.approx(0.8, abs=1e-8)
    assert noncentral_t_cdf(45.0, 40, noncentrality(45.0, 40, 0.025)) == pytest.approx(0.025, abs=1e-8)


def test_batched_ancova_equals_one_fit_a_trial() -> None:
    rng = np.random.default_rng(9)
    base = rng.gamma(1.5, 100, (5, 24))
    follow = base + rng.normal(30, 40, base.shape)
    treated = np.arange(24) >= 12
    present = rng.random(base.shape) > 0.15
    batch = batch_ancova(base, follow, treated, present)
    for i, rows in enumerate(present):
        fit = fit_ancova(follow[i, rows], treated[rows], base[i, rows], intercept(int(rows.sum())))
        assert_allclose(
            [batch.effect[i], batch.se[i], batch.model_se[i], batch.df[i]],
            [fit.effect.estimate, fit.se, fit.model_se, fit.df],
            rtol=1e-10,
        )


def test_rubins_rules_without_variation_between_imputations_are_the_plain_fit() -> None:
    base, follow, treated = trial_arrays(24)
    fit = fit_ancova(follow, treated, base, intercept(24))
    design = np.column_stack([treated, np.ones(24), base]).astype(float)
    pooled = pool(*arm_hc3(design, np.repeat(follow[:, None], 5, axis=1)), fit.df, 0.05)
    assert pooled.effect.estimate == pytest.approx(fit.effect.estimate)
    assert pooled.missing_information == pytest.approx(0)
    assert (pooled.effect.high - pooled.effect.low) == pytest.approx(fit.effect.high - fit.effect.low, rel=0.01)


def test_rubins_rules_by_hand() -> None:
    pooled = pool(np.array([1.0, 2.0, 3.0]), np.array([0.5, 0.5, 0.5]), 20, 0.05)
    total = 0.5 + 4 / 3
    lost = (4 / 3) / total
    observed = 21 / 23 * 20 * (1 - lost)
    df = 1 / (lost**2 / 2 + 1 / observed)
    assert pooled.df == pytest.approx(df)
    assert pooled.effect.high == pytest.approx(2 + stats.t.ppf(0.975, df) * np.sqrt(total))


def test_imputation_recovers_the_effect_that_dropout_by_baseline_hides(datasets: ModuleType) -> None:
    rng = np.random.default_rng(21)
    n = 3000
    base = rng.normal(300, 80, n)
    arm = np.where(np.arange(n) % 2, "treated", "control")
    follow = 10 + base + rng.normal(0, 30, n) - 15 * (arm == "treated")
    ids = [f"sub-{i:04d}" for i in range(n)]
    values, people, allocation = datasets.as_tables(
        pd.DataFrame({"participant_id": ids, "arm": arm, "baseline": base, "followup": follow})
    )
    lost = (values["visit"] == "month6") & values["participant_id"].isin(
        np.array(ids)[(base > 350) & (arm == "treated")]
    )
    trial = build_trial(values[~lost], people, allocation, AnalysisPlan())
    found = impute(trial, AnalysisPlan(imputations=10))
    assert found.n == (1500, 1500)
    assert found.imputed == (0, int(lost.sum()))
    assert found.pooled.effect.estimate == pytest.approx(-15, abs=3)
    assert found.pooled.effect.low < -15 < found.pooled.effect.high
    assert found.tipping[1] > 0  # only worse values under treatment can take the effect away
    assert [p for d, *_, p in found.curve if d == 0] == [found.pooled.p]


def test_imputing_a_missing_baseline_does_not_widen_the_interval_beyond_leaving_it_out(datasets: ModuleType) -> None:
    values, people, allocation = datasets.made_up(40)
    gone = (values["visit"] == "baseline") & values["participant_id"].isin(["sub-001", "sub-004"])
    found = compare_table(values[~gone], people, allocation, AnalysisPlan(permutations=0))
    imputed = found.sensitivity["all_randomised_imputed"].pooled.effect
    complete = found.primary.ancova.effect
    assert (imputed.high - imputed.low) < 1.25 * (complete.high - complete.low)
