"""Few participants: the permutation test goes through every arrangement of the arms, and its p is exact."""

from __future__ import annotations

from itertools import combinations, product
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from mriseg.compare.analysis import compare_table
from mriseg.compare.ancova import fit_ancova
from mriseg.compare.arm_test import permute_arms
from mriseg.compare.arrangements import count_arrangements, every_arrangement, least_p
from mriseg.compare.design import Common, common_columns
from mriseg.compare.export import endpoint_json
from mriseg.compare.permutation import freedman_lane
from mriseg.compare.plan import AnalysisPlan
from mriseg.compare.tidy import endpoints_table
from mriseg.report.results import limitations, results_page, verdict

LOCK = {"status": "intact", "sealed": "", "seal": "", "by": "", "earlier": []}


def trial(n: int, seed: int = 0, strata: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray, Common]:
    rng = np.random.default_rng(seed)
    base = rng.gamma(1.5, 100, n)
    people = pd.DataFrame({"site": [f"s{i * strata // n}" for i in range(n)], "age": rng.normal(60, 5, n)})
    plan = AnalysisPlan(strata=("site",), covariates=("age",)) if strata > 1 else AnalysisPlan()
    return base, base + rng.gamma(1, 40, n), np.arange(n) % 2 == 1, common_columns(people, plan)


def exact(base: np.ndarray, follow: np.ndarray, treated: np.ndarray, common: Common, effect: float = 0.0) -> float:
    """Refit the ANCOVA with equal variances under each arrangement of the arms within strata."""
    cells = [np.flatnonzero(common.cells == c) for c in np.unique(common.cells)]
    sums = []
    for chosen in product(*(combinations(cell, int(treated[cell].sum())) for cell in cells)):
        arms = np.isin(np.arange(len(treated)), np.concatenate(chosen))
        design = np.column_stack([arms, common.columns, base]).astype(float)
        y = follow - effect * treated
        beta = np.linalg.lstsq(design, y, rcond=None)[0]
        sums.append(((y - design @ beta) ** 2).sum())
    own = np.column_stack([treated, common.columns, base]).astype(float)
    y = follow - effect * treated
    seen = ((y - own @ np.linalg.lstsq(own, y, rcond=None)[0]) ** 2).sum()
    return float(np.mean(np.array(sums) <= seen * (1 + 1e-9)))


@pytest.mark.parametrize(("n", "strata", "ways"), [(6, 1, 20), (7, 1, 35), (12, 2, 400)])
def test_p_is_the_share_of_arrangements_that_are_as_extreme(n: int, strata: int, ways: int) -> None:
    base, follow, treated, common = trial(n, seed=n, strata=strata)
    (found,) = permute_arms(follow[:, None], treated, base[:, None], common, alpha=0.05, permutations=999, seed=1)
    assert found.exact
    assert found.permutations == found.arrangements == ways
    assert found.p == pytest.approx(exact(base, follow, treated, common))
    assert found.p >= found.least_p == (2 / ways if n % 2 == 0 else 1 / ways)


def test_the_interval_holds_the_effects_that_the_exact_test_does_not_reject() -> None:
    base, follow, treated, common = trial(12, seed=3)
    (found,) = permute_arms(follow[:, None], treated, base[:, None], common, alpha=0.05, permutations=999, seed=1)
    assert found.interval is not None
    fit = fit_ancova(follow, treated, base, common)
    assert found.interval.estimate == pytest.approx(fit.effect.estimate)
    for end, outwards in ((found.interval.low, -1), (found.interval.high, 1)):
        for step, rejected in ((-1e-6, False), (1e-6, True)):
            p = exact(base, follow, treated, common, effect=end + outwards * step * fit.model_se)
            assert (p <= 0.05) == rejected


def test_every_arrangement_comes_once_and_keeps_the_size_of_each_arm_in_each_stratum() -> None:
    treated, cells = np.array([1, 0, 0, 1, 1, 0, 0], dtype=bool), np.array([0, 0, 0, 1, 1, 1, 1])
    arms = every_arrangement(treated, cells)
    assert len(arms) == len(np.unique(arms, axis=0)) == count_arrangements(treated, cells) == 3 * 6
    assert (arms[:, cells == 0].sum(axis=1) == 1).all()
    assert (arms[:, cells == 1].sum(axis=1) == 2).all()
    assert least_p(treated, cells) == 1 / 18


def test_arms_that_trade_places_only_change_the_sign() -> None:
    base, follow, treated, common = trial(11, seed=5)
    one, other = (
        permute_arms(follow[:, None], arms, base[:, None], common, alpha=0.05, permutations=999, seed=1)[0]
        for arms in (treated, ~treated)
    )
    assert one.p == other.p
    assert one.interval is not None
    assert other.interval is not None
    assert one.interval.low == pytest.approx(-other.interval.high)


def test_exact_and_random_tests_agree_where_both_can_be_had() -> None:
    base, follow, treated, common = trial(14, seed=9)
    (found,) = permute_arms(follow[:, None], treated, base[:, None], common, alpha=None, permutations=9999, seed=1)
    drawn = freedman_lane(follow[:, None], treated, base[:, None], common, permutations=9999, seed=1)[0]
    assert found.exact
    assert found.p == pytest.approx(drawn, abs=0.03)
    (many,) = permute_arms(follow[:, None], treated, base[:, None], common, alpha=None, permutations=3430, seed=1)
    assert (many.exact, many.permutations, many.arrangements) == (False, 3430, 3432)


def test_what_does_not_vary_has_no_p() -> None:
    _, _, treated, common = trial(6)
    flat = np.zeros((6, 1))
    assert np.isnan(permute_arms(flat, treated, flat, common, alpha=None, permutations=99, seed=1)[0].p)


def test_three_against_three_is_judged_exactly_and_the_page_says_how_many_arrangements_there_are(
    datasets: ModuleType,
) -> None:
    rng = np.random.default_rng(1)
    base = rng.gamma(2, 100, 6)
    arm = np.array(["control", "treated"] * 3)
    follow = base + 40 - 60 * (arm == "treated") + rng.normal(0, 1, 6)
    ids = [f"sub-{i}" for i in range(6)]
    data = pd.DataFrame({"participant_id": ids, "arm": arm, "baseline": base, "followup": follow})
    found = compare_table(*datasets.as_tables(data), AnalysisPlan(imputations=0))
    primary = endpoint_json(found.primary)
    assert found.primary.ancova.p < 0.01  # HC3 trusts a normal distribution that six values cannot show
    assert primary["p_permutation"] == primary["judged_by"]["p"] == pytest.approx(0.1)
    assert (primary["permutations"], primary["arrangements"], primary["permutation_exact"]) == (20, 20, True)
    assert "exact permutation test over all 20 arrangements of the arms" in primary["method"]
    page = results_page(found, LOCK, {}, title="t")
    assert "exact, 20 arrangements" in page
    assert "get their arms in 20 ways" in " ".join(limitations(found))
    assert "No difference, however large, reaches the level 0.05" in " ".join(limitations(found))
    assert "HC3 test falls on the other side of the level" in " ".join(verdict(found))
    assert endpoints_table(found).loc[0, ["permutations", "permutation_exact"]].tolist() == [20, 1]
