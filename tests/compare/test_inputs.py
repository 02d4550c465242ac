"""Contradicting, broken and degenerate inputs end in a refusal that says what is wrong, or in a named limitation."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mriseg.compare.analysis import compare_table
from mriseg.compare.plan import AnalysisPlan, parse_plan, read_toml
from mriseg.compare.result import Comparison
from mriseg.compare.tables import read_table
from mriseg.errors import AnalysisError

Tables = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]


@pytest.fixture
def tables(datasets: ModuleType) -> Tables:
    made: Tables = datasets.made_up(16)
    return made


def compare(tables: Tables, **plan: Any) -> Comparison:
    values, people, allocation = tables
    return compare_table(values, people, allocation, AnalysisPlan(permutations=99, imputations=3, **plan))


def test_three_arms(tables: Tables) -> None:
    tables[2].loc[0, "arm"] = "placebo"
    with pytest.raises(AnalysisError, match=r"holds 3 arms \(control, placebo, treated\); a comparison takes two"):
        compare(tables)


def test_arms_that_the_plan_does_not_name(tables: Tables) -> None:
    with pytest.raises(AnalysisError, match=r"holds the arm\(s\) control, treated; the plan names saline"):
        compare(tables, reference="saline")


def test_participant_in_the_allocation_but_not_in_the_study(tables: Tables) -> None:
    extra = pd.DataFrame({"participant_id": ["sub-999"], "arm": ["control"]})
    with pytest.raises(AnalysisError, match="In the allocation but not in the study: sub-999"):
        compare((tables[0], tables[1], pd.concat([tables[2], extra])))


def test_participant_in_the_study_but_not_in_the_allocation(tables: Tables) -> None:
    with pytest.raises(AnalysisError, match="In the study but not in the allocation: sub-000"):
        compare((tables[0], tables[1], tables[2].iloc[1:]))


def test_somebody_never_randomised_is_left_out_when_the_study_says_so(tables: Tables) -> None:
    people = tables[1].assign(randomised=["no", *["yes"] * 15])
    found = compare((tables[0], people, tables[2].iloc[1:]))
    assert found.flow["enrolled"] == 16
    assert found.flow["not_randomised"] == 1
    assert sum(arm["analysed"] for arm in found.flow["arms"].values()) == 15


def test_without_a_list_of_participants_the_unmeasured_count_as_not_scanned(tables: Tables) -> None:
    extra = pd.DataFrame({"participant_id": ["sub-999"], "arm": ["control"]})
    found = compare_table(tables[0], None, pd.concat([tables[2], extra]), AnalysisPlan(permutations=0, imputations=0))
    assert found.notes == ("Randomised without any measurement, counted as not scanned: sub-999.",)
    assert found.flow["arms"]["control"]["baseline"]["not scanned"] == 1


def test_duplicate_rows(tables: Tables) -> None:
    with pytest.raises(
        AnalysisError, match=r"sub-000, visit baseline, cMT dAB comes more than once \(1 surplus rows\)"
    ):
        compare((pd.concat([tables[0], tables[0].iloc[[0]]]), tables[1], tables[2]))


def test_participant_allocated_twice(tables: Tables) -> None:
    with pytest.raises(AnalysisError, match="lists sub-003 more than once; expected one arm a participant"):
        compare((tables[0], tables[1], pd.concat([tables[2], tables[2].iloc[[3]]])))


def test_empty_lines_of_an_allocation_are_no_participants(tables: Tables) -> None:
    blank = pd.DataFrame({"participant_id": ["", " "], "arm": ["", ""]})
    longer = (tables[0], tables[1], pd.concat([tables[2], blank]))
    assert compare(longer).primary.comparison == compare(tables).primary.comparison
    with pytest.raises(AnalysisError, match=r"gives an arm \(control\) to a blank participant_id"):
        compare((tables[0], tables[1], pd.concat([tables[2], blank.assign(arm="control")])))


def test_arm_with_one_patient(tables: Tables) -> None:
    tables[2]["arm"] = ["treated", *["control"] * 15]
    message = r"primary endpoint FT:dAB cannot be compared.*15 reference and 1 treated.*at least 2 in each arm"
    with pytest.raises(AnalysisError, match=message):
        compare(tables)


def test_values_that_nobody_has_accepted_are_named_when_too_few_are_left(tables: Tables) -> None:
    tables[0]["state"] = "needs-review"
    message = "No participant has both visits. 16 participant.* wait for a review: accept their label maps"
    with pytest.raises(AnalysisError, match=message):
        compare(tables)
    assert sum(compare(tables, include_needs_review=True).primary.comparison.n) == 16


def test_outcome_that_is_zero_everywhere(tables: Tables) -> None:
    area = (tables[0]["metric"] == "dAB") & (tables[0]["region"] == "FT")
    tables[0].loc[area, "value"] = 0.0
    with pytest.raises(AnalysisError, match="Every follow-up value is 0: there is no variation to compare"):
        compare(tables)


def test_a_constant_exploratory_endpoint_is_named_and_does_not_stop_the_rest(tables: Tables) -> None:
    tables[0].loc[(tables[0]["metric"] == "dAB") & (tables[0]["region"] == "cMT"), "value"] = 0.0
    found = compare(tables)
    assert "there is no variation" in found.refused["cMT:dAB"]
    assert len(found.exploratory) == 10


def test_baseline_that_does_not_vary_is_a_limitation(tables: Tables) -> None:
    rows = (tables[0]["visit"] == "baseline") & (tables[0]["region"] == "FT")
    tables[0].loc[rows, "value"] = 0.0
    assert any("not adjusted for baseline" in note for note in compare(tables).notes)


def test_participant_alone_in_a_stratum_is_a_limitation(tables: Tables) -> None:
    tables[1].loc[0, "site"] = "Lyon"
    found = compare(tables, strata=("site",))
    assert found.notes == (
        "1 participant(s) alone in a stratum, or in a level of a covariate, tell nothing about the arms and are left "
        "out.",
        "Left out of the primary comparison for full leverage: sub-000.",
    )
    assert sum(found.primary.comparison.n) == 15


def test_participants_alone_where_strata_cross_are_a_limitation(tables: Tables) -> None:
    people = tables[1].assign(sex=["F", "M"] * 8, site=["Basel"] * 8 + ["Kyoto"] * 8)
    people.loc[0, "sex"] = "other"
    people.loc[8, "sex"] = "other"
    found = compare((tables[0], people, tables[2]), strata=("site", "sex"))
    assert found.notes == (
        "2 participant(s) are alone where the strata cross: permutations leave them in their place.",
    )


def test_the_one_knee_with_another_baseline_is_left_out_by_its_leverage(tables: Tables) -> None:
    values, arm = tables[0], dict(tables[2].itertuples(index=False))
    rows = (values["visit"] == "baseline") & (values["region"] == "FT") & (values["metric"] == "dAB")
    values.loc[rows, "value"] = np.where(values.loc[rows, "participant_id"] == "sub-003", 40.0, 0.0)
    found = compare(tables)
    assert any("1 participant(s) with full leverage, such as the one baseline value" in note for note in found.notes)
    assert "Left out of the primary comparison for full leverage: sub-003." in found.notes
    assert any("not adjusted for baseline" in note for note in found.notes)
    assert sum(found.primary.comparison.n) == sum(a["analysed"] for a in found.flow["arms"].values()) == 15
    assert found.flow["arms"][arm["sub-003"]]["excluded"] == {"full leverage": 1}
    without = [t[t["participant_id"] != "sub-003"] for t in tables]
    alone = compare((without[0], without[1], without[2]))
    assert alone.primary.comparison.estimate == pytest.approx(found.primary.comparison.estimate)
    assert alone.primary.comparison.p_permutation == found.primary.comparison.p_permutation


def test_arm_confounded_with_a_stratum(tables: Tables) -> None:
    tables[1]["site"] = tables[2]["arm"].to_numpy()
    with pytest.raises(AnalysisError, match="The arm cannot be told apart from the strata"):
        compare(tables, strata=("site",))


def test_more_strata_than_participants(tables: Tables) -> None:
    tables[1]["site"] = [f"s{i // 2}" for i in range(16)]
    people = tables[1].assign(a=range(16), b=[i**2 for i in range(16)], c=[i**3 for i in range(16)])
    message = "cannot carry a model|cannot be told apart|fits every value"
    with pytest.raises(AnalysisError, match=message):
        compare((tables[0], people, tables[2]), strata=("site",), covariates=("a", "b", "c", "age"))


def test_two_knees_without_a_named_side(tables: Tables) -> None:
    other = tables[0][tables[0]["participant_id"] == "sub-002"].copy()
    other["side"] = other["side"].map({"L": "R", "R": "L"})
    both = pd.concat([tables[0], other])
    with pytest.raises(AnalysisError, match="Two knees are measured of sub-002; name the trial knee"):
        compare((both, tables[1], tables[2]))
    sides = tables[0].drop_duplicates("participant_id").set_index("participant_id")["side"]
    named = tables[1].assign(side=tables[1]["participant_id"].map(sides))
    assert compare((both, named, tables[2])).primary.comparison == compare(tables).primary.comparison


def test_an_arm_in_the_list_of_participants(tables: Tables) -> None:
    with pytest.raises(AnalysisError, match="holds the column 'Arm'; the arm belongs only into the allocation file"):
        compare((tables[0], tables[1].assign(Arm="x"), tables[2]))


@pytest.mark.parametrize(
    ("column", "cell", "message"),
    [
        ("value", "many", "visit baseline, cMT dAB has the value 'many', not a number"),
        ("state", "perhaps", r"holds the state\(s\) perhaps; expected cut, failed, measured, missing, needs-review"),
    ],
)
def test_broken_cells(tables: Tables, column: str, cell: str, message: str) -> None:
    tables[0][column] = tables[0][column].astype(object)
    tables[0].loc[0, column] = cell
    with pytest.raises(AnalysisError, match=message):
        compare(tables)


def test_visit_and_endpoint_that_are_not_there(tables: Tables) -> None:
    with pytest.raises(AnalysisError, match="No measurement at visit 'month12'; the table holds baseline, month6"):
        compare(tables, followup="month12")
    with pytest.raises(AnalysisError, match="no values of the primary endpoint, region P, metric dAB; it holds FT"):
        compare(tables, region="P")


def test_ids_match_with_and_without_their_prefix(tables: Tables) -> None:
    bare = tables[2].assign(participant_id=tables[2]["participant_id"].str.removeprefix("sub-"))
    assert compare((tables[0], tables[1], bare)).primary.comparison == compare(tables).primary.comparison


def test_tables_are_read_whatever_their_separator_and_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("\ufeffparticipant_id;arm\n01;MSC\n".encode())
    assert read_table(path).to_dict("records") == [{"participant_id": "01", "arm": "MSC"}]
    with pytest.raises(AnalysisError, match=r"none.csv cannot be read \(No such file"):
        read_table(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[analysis]\nregoin = 'FT'", "regoin: is not a key of the plan"),
        ("[analysis]\nalpha = 2", "alpha: Input should be less than 0.5"),
        ("[analysis]\nsecondary = ['FT dABp']", "an endpoint is written REGION:METRIC"),
        ("[analysis]\nsecondary = ['FT:dAB']", "secondary names the primary endpoint"),
        ("[analysis]\nreference = 'treated'", "reference and treated are both 'treated'"),
        ("[analysis]\nimputations = 1", "one imputation cannot carry its own uncertainty"),
        ("[other]", r"holds no \[analysis\] part"),
        ("[analysis", "is not valid TOML"),
    ],
)
def test_wrong_plans(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(text)
    with pytest.raises(AnalysisError, match=message):
        parse_plan(read_toml(path), str(path))
