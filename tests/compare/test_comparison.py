"""Whole comparisons: what may not change a result, what is missing and why, and the analyses beside the primary one."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from mriseg.compare.analysis import compare_table
from mriseg.compare.export import comparison_json
from mriseg.compare.locations import location_scores
from mriseg.compare.plan import AnalysisPlan
from mriseg.compare.result import Comparison
from mriseg.compare.tidy import DICTIONARY, endpoints_table, values_table

PLAN = AnalysisPlan(
    permutations=499, imputations=3, strata=("site",), covariates=("age",), secondary=("FT:ThCtAB_aMe",)
)


def figures(comparison: Comparison, sign: int = 1) -> list[float]:
    """Estimates of every endpoint with their intervals, turned over by ``sign``, and every p."""
    out = []
    for r in (comparison.primary, *comparison.secondary, *comparison.exploratory):
        c = r.comparison
        intervals = [r.ancova.effect, *([r.judgement.interval] if r.judgement else [])]
        ends = [e for i in intervals for e in ((i.low, i.high) if sign > 0 else (-i.high, -i.low))]
        out += [sign * c.estimate, *ends, c.p_ancova, c.p_permutation, sign * r.ancova.standardised.estimate]
        out += [sign * r.shift.estimate, c.detectable_effect, r.p_holm or 0.0]
    return out


def test_order_of_rows_and_columns_changes_nothing(datasets: ModuleType) -> None:
    values, people, allocation = datasets.made_up(lost=0.1)
    first = compare_table(values, people, allocation, PLAN)
    mixed = [t.sample(frac=1, random_state=3) for t in (values, people, allocation)]
    again = compare_table(mixed[0][values.columns[::-1]], mixed[1], mixed[2][["arm", "participant_id"]], PLAN)
    assert comparison_json(first, {}, {}, {}) == comparison_json(again, {}, {}, {})


def test_swapped_arms_turn_the_sign_and_nothing_else(datasets: ModuleType) -> None:
    values, people, allocation = datasets.made_up(lost=0.1)
    swapped = allocation.assign(arm=allocation["arm"].map({"control": "treated", "treated": "control"}))
    first, second = (compare_table(values, people, a, PLAN) for a in (allocation, swapped))
    assert_allclose(figures(first), figures(second, -1), rtol=1e-9, atol=1e-12)


def test_other_names_of_the_arms_change_nothing(datasets: ModuleType) -> None:
    values, people, allocation = datasets.made_up()
    renamed = allocation.assign(arm=allocation["arm"].map({"control": "B", "treated": "A"}))
    other = PLAN.model_copy(update={"reference": "B", "treated": "A"})
    first, second = compare_table(values, people, allocation, PLAN), compare_table(values, people, renamed, other)
    assert figures(first) == figures(second)


def test_left_knees_as_right_knees_change_nothing(datasets: ModuleType) -> None:
    values, people, allocation = datasets.made_up()
    mirrored = values.assign(side=values["side"].map({"L": "R", "R": "L"}))
    first, second = (compare_table(v, people, allocation, PLAN) for v in (values, mirrored))
    assert figures(first) == figures(second)


def test_another_unit_scales_the_estimate_and_leaves_p_and_standardised_effect(datasets: ModuleType) -> None:
    values, people, allocation = datasets.made_up()
    first, second = (
        compare_table(v, people, allocation, PLAN) for v in (values, values.assign(value=values["value"] / 100))
    )
    assert first.primary.comparison.estimate == pytest.approx(100 * second.primary.comparison.estimate)
    assert first.primary.comparison.p_permutation == second.primary.comparison.p_permutation
    assert first.primary.ancova.standardised.estimate == pytest.approx(second.primary.ancova.standardised.estimate)


def test_reasons_for_missing_values_are_told_apart_by_arm(datasets: ModuleType) -> None:
    values, people, allocation = datasets.made_up()
    arm = dict(allocation.itertuples(index=False))
    control = [i for i in people["participant_id"] if arm[i] == "control"]
    later = values["visit"] == "month6"
    values = values.copy()
    values.loc[later & (values["participant_id"] == control[0]), "state"] = "failed"
    values.loc[later & (values["participant_id"] == control[1]), "state"] = "needs-review"
    gone = later & values["participant_id"].isin(control[2:5])
    failures = pd.DataFrame({"participant_id": [control[4]], "visit": ["month6"], "step": ["segment"]})
    found = compare_table(values[~gone], people, allocation, PLAN, failures=failures)
    expected = {"measured": len(control) - 5, "not scanned": 2, "failed": 2, "needs review": 1}
    assert found.missing["month6"]["arms"]["control"] == expected
    assert set(found.missing["month6"]["arms"]["treated"].values()) == {20, 0}
    assert found.flow["arms"]["control"]["excluded"] == {"not scanned": 2, "failed": 2, "needs review": 1}
    assert found.flow["arms"]["control"]["analysed"] == len(control) - 5
    accepted = compare_table(
        values[~gone], people, allocation, PLAN.model_copy(update={"include_needs_review": True}), failures=failures
    )
    assert accepted.missing["month6"]["arms"]["control"]["needs review"] == 0
    assert sum(accepted.primary.comparison.n) == sum(found.primary.comparison.n) + 1


def test_a_failed_value_is_never_a_zero(datasets: ModuleType) -> None:
    values, people, allocation = datasets.made_up()
    row = (values["participant_id"] == "sub-004") & (values["visit"] == "month6") & (values["region"] == "FT")
    states = [
        values.assign(state=np.where(row, "failed", "measured"), value=np.where(row, v, values["value"]))
        for v in (0.0, np.nan, 1e6)
    ]
    results = [figures(compare_table(s, people, allocation, PLAN)) for s in states]
    assert results[0] == results[1] == results[2]


def test_holm_covers_declared_secondaries_that_could_not_be_estimated(datasets: ModuleType) -> None:
    values, people, allocation = datasets.made_up()
    plan = PLAN.model_copy(update={"secondary": AnalysisPlan(secondary=("FT:ThCtAB_aMe", "FT:VC")).secondary})
    found = compare_table(values, people, allocation, plan)
    assert [str(r.endpoint) for r in found.secondary] == ["FT:ThCtAB_aMe"]
    second = found.secondary[0]
    assert second.p_holm == pytest.approx(min(1, 2 * second.comparison.p_permutation))
    assert found.refused["FT:VC"] == "The table holds no such values."
    assert all(r.p_holm is None for r in found.exploratory)


def test_analyses_that_are_not_possible_say_why(datasets: ModuleType) -> None:
    values, people, allocation = datasets.made_up()
    found = compare_table(values[values["region"] == "FT"], people, allocation, PLAN).sensitivity
    assert found["all_randomised_imputed"] == {"refused": "Nothing is missing."}
    assert "Only one visit after baseline (month6)" in found["mixed_model"]["refused"]
    assert "names no per-protocol column" in found["per_protocol"]["refused"]
    assert "without one nobody is a responder" in found["responders"]["refused"]
    assert "0 of the smallest regions" in found["location_independent"]["refused"]


def test_per_protocol_set(datasets: ModuleType) -> None:
    values, people, allocation = datasets.made_up()
    plan = PLAN.model_copy(update={"per_protocol": "pp"})
    people = people.assign(pp=["no", "no", *["yes"] * 38])
    found = compare_table(values, people, allocation, plan)
    assert sum(found.primary.comparison.n) == 40
    assert sum(found.sensitivity["per_protocol"].comparison.n) == 38
    with_doubt = compare_table(values, people.assign(pp="perhaps"), allocation, plan)
    assert "holds perhaps; expected yes or no" in with_doubt.sensitivity["per_protocol"]["refused"]


def test_new_denudation_counts_knees_with_a_region_that_was_covered(datasets: ModuleType) -> None:
    values, people, allocation = datasets.made_up()
    treated = allocation.loc[allocation["arm"] == "treated", "participant_id"]
    area = values["metric"].eq("dAB") & values["region"].isin(["cMT", "aMT"])
    values = values.assign(value=np.where(area, 0.0, values["value"]))
    hit = (
        area
        & values["participant_id"].isin(treated.iloc[:4])
        & values["visit"].eq("month6")
        & values["region"].eq("cMT")
    )
    values = values.assign(value=np.where(hit, 7.0, values["value"]))
    found = compare_table(values, people, allocation, PLAN).sensitivity["new_denudation"]
    assert found["result"].events == (0, 4)
    higher = PLAN.model_copy(update={"new_denudation_mm2": 8.0})
    assert compare_table(values, people, allocation, higher).sensitivity["new_denudation"]["result"].events == (0, 0)


def test_responders_exist_only_beyond_the_smallest_detectable_change(datasets: ModuleType) -> None:
    values, people, allocation = datasets.made_up()
    sdc = pd.DataFrame({"region": ["FT"], "metric": ["dAB"], "sdc": ["25.0"]})
    found = compare_table(values, people, allocation, PLAN, sdc=sdc)
    wide = values_table(found)
    rows = wide[(wide["region"] == "FT") & (wide["metric"] == "dAB")]
    expected = tuple(int((rows.loc[rows["arm"] == a, "change"] > 25).sum()) for a in ("control", "treated"))
    assert found.sensitivity["responders"]["increase"].events == expected


def test_location_scores_by_hand() -> None:
    scores = location_scores(np.array([[-0.3, 0.1, -0.1], [0.2, 0.0, 0.3]]))
    assert_allclose(scores["thinning sum"], [-0.4, 0.0])
    assert_allclose(scores["thickening sum"], [0.1, 0.5])
    assert_allclose(scores["ordered value 1"], [-0.3, 0.0])
    assert_allclose(scores["ordered value 3"], [0.1, 0.3])


def test_several_visits_share_one_model(datasets: ModuleType) -> None:
    tables = datasets.made_up(60, visits=("baseline", "month3", "month6"), lost=0.1)
    found = compare_table(*tables, PLAN).sensitivity["mixed_model"]
    assert [v.visit for v in found.visits] == ["month3", "month6"]
    assert found.visits[1].effect.low < found.visits[1].effect.estimate < found.visits[1].effect.high
    assert found.sd[1] > found.sd[0]  # change scatters more after six months than after three


def test_with_nobody_missing_the_model_of_all_visits_is_the_ancova_of_each(datasets: ModuleType) -> None:
    found = compare_table(*datasets.made_up(40, visits=("baseline", "month3", "month6")), PLAN)
    last, fit = found.sensitivity["mixed_model"].visits[-1], found.primary.ancova
    assert last.df == fit.df
    assert_allclose(
        [last.effect.estimate, last.effect.low, last.effect.high, last.p],
        [fit.model_effect.estimate, fit.model_effect.low, fit.model_effect.high, fit.model_p],
        rtol=1e-5,
    )


def test_a_visit_with_too_few_knees_is_refused_by_the_mixed_model(datasets: ModuleType) -> None:
    values, people, allocation = datasets.made_up(24, visits=("baseline", "month3", "month6"))
    kept = allocation.groupby("arm").head(2)["participant_id"]
    few = values[(values["visit"] != "month3") | values["participant_id"].isin(kept)]
    refused = compare_table(few, people, allocation, PLAN).sensitivity["mixed_model"]["refused"]
    assert "4 values at visit month3 cannot carry a model" in refused


def test_tidy_tables_hold_what_their_dictionary_says(datasets: ModuleType) -> None:
    found = compare_table(*datasets.made_up(lost=0.1), PLAN)
    endpoints, values = endpoints_table(found), values_table(found)
    assert list(endpoints.columns) == list(DICTIONARY["endpoints"])
    assert list(values.columns)[:11] == list(DICTIONARY["values"])
    assert len(values) == 40 * len(found.trial.endpoints)
    rows = values[(values["region"] == "FT") & (values["metric"] == "dAB")]
    assert rows["analysed"].sum() == sum(found.primary.comparison.n)


def test_more_permutations_than_the_budget_are_cut_and_recorded() -> None:
    from mriseg.compare.permutation import permutations_within

    assert permutations_within(9999, 24, 300) == 9999
    assert permutations_within(9999, 10_000, 40) == 1000
    assert permutations_within(9999, 10_000, 4000) == 999
    assert permutations_within(0, 10, 10) == 0


def test_json_has_the_promised_keys(datasets: ModuleType) -> None:
    found: dict[str, Any] = comparison_json(compare_table(*datasets.made_up(), PLAN), {"status": "intact"}, {}, {})
    primary = found["primary"]
    assert primary["arms"] == ["control", "treated"]
    assert primary["n"] == [20, 20]
    promised = {"region", "metric", "estimate", "ci_low", "ci_high", "p_ancova", "p_permutation", "detectable_effect"}
    assert promised <= set(primary)
    assert {"secondary", "missing", "lock", "limitations", "flow"} <= set(found)
