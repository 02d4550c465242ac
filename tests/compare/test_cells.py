"""Tables as trials bring them: what is read gives the right number, and what could give a wrong one is refused."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from mriseg.cli import app
from mriseg.compare.analysis import compare_table
from mriseg.compare.columns import parse_table_map, to_regions
from mriseg.compare.pilot import build_pilot
from mriseg.compare.plan import AnalysisPlan, Endpoint
from mriseg.compare.repeatability import repeatability_table
from mriseg.compare.result import Comparison
from mriseg.errors import AnalysisError

FIXTURES = Path(__file__).parent / "fixtures"
AREA = Endpoint(region="FT", metric="dAB")


def trial(datasets: ModuleType, name: str) -> list[pd.DataFrame]:
    """Values, participants and allocation of one stored trial, every cell text."""
    data = pd.read_csv(FIXTURES / f"{name}.csv", dtype=str, keep_default_na=False)
    return list(datasets.as_tables(data))


def compare(tables: list[pd.DataFrame], sdc: pd.DataFrame | None = None, **plan: Any) -> Comparison:
    values, people, allocation = tables
    settings = AnalysisPlan(reference="placebo", treated="msc", imputations=0, **plan)
    return compare_table(values, people, allocation, settings, sdc=sdc)


def figures(found: Comparison) -> tuple[float, float, tuple[int, int]]:
    primary = found.primary.comparison
    return round(primary.estimate, 2), round(primary.p_permutation, 4), primary.n


@pytest.mark.parametrize("cell", ["#N/A", "NA", "", "n.a.", "None", "NULL", ".", "-", "\u00a0"])
def test_a_covariate_with_one_unknown_cell_stays_a_number(datasets: ModuleType, cell: str) -> None:
    tables = trial(datasets, "age")
    tables[1].loc[4, "age"] = cell
    found = compare(tables, covariates=("age",))
    assert figures(found) == (-20.71, 0.0025, (30, 30))
    assert "age is blank for 1 participant(s): the mean stands in." in found.notes


@pytest.mark.parametrize("cell", ["63,5", "about 60", "63 y", "1 063", "inf"])
def test_a_covariate_of_numbers_with_one_text_is_refused_by_cell_and_never_becomes_levels(
    datasets: ModuleType, cell: str
) -> None:
    tables = trial(datasets, "age")
    tables[1].loc[4, "age"] = cell
    with pytest.raises(AnalysisError, match=f"participants.tsv, age of sub-05 is '{cell}', not a number"):
        compare(tables, covariates=("age",))
    row = [r for r in compare(tables, permutations=0).table1 if r["variable"] == "age"]
    assert "age of sub-05 is" in row[0]["refused"]


def test_a_covariate_of_words_with_a_few_numbers_is_levels(datasets: ModuleType) -> None:
    tables = trial(datasets, "clean")
    tables[1]["grade"] = ["2", *["KL2", "KL2", "KL3", "KL3"] * 5, *["KL3"] * 3]
    assert compare(tables, permutations=0, covariates=("grade",)).primary.ancova.df == 24 - 5


def test_blanks_in_a_stratum_change_nothing(datasets: ModuleType) -> None:
    tables = trial(datasets, "sites")
    expected = figures(compare(tables, strata=("site",)))
    assert expected == (-41.13, 0.0003, (12, 12))
    for blank in (" ", "\u00a0", "\t"):
        tables[1]["site"] = [s.strip() + blank * (i % 4 == 0) for i, s in enumerate(tables[1]["site"])]
        assert figures(compare(tables, strata=("site",))) == expected


@pytest.mark.parametrize(("one", "other"), [("s1", "S1"), ("1", "1.0"), ("01", "1")])
def test_a_level_spelt_in_two_ways_is_refused(datasets: ModuleType, one: str, other: str) -> None:
    tables = trial(datasets, "sites")
    tables[1]["site"] = tables[1]["site"].replace("s1", one)
    tables[1].loc[0, "site"] = other
    with pytest.raises(AnalysisError, match=r"participants.tsv, column site: holds .* and .*Spell it in one way"):
        compare(tables, strata=("site",))


@pytest.mark.parametrize("column", ["visit", "region", "metric"])
def test_a_visit_or_endpoint_spelt_in_two_ways_is_refused_and_loses_nobody(datasets: ModuleType, column: str) -> None:
    tables = trial(datasets, "clean")
    tables[0].loc[3, column] = tables[0].loc[3, column].upper() + "\u00a0"
    if tables[0].loc[3, column].strip() == tables[0].loc[4, column]:
        assert figures(compare(tables))[2] == (12, 12)
        return
    with pytest.raises(AnalysisError, match=f"column {column}: holds"):
        compare(tables)


@pytest.mark.parametrize("cell", ["127,841", "1,278.4", "127.8 mm2", "inf", "n.b."])
def test_a_measurement_that_is_no_number_is_refused_by_cell(datasets: ModuleType, cell: str) -> None:
    tables = trial(datasets, "clean")
    tables[0].loc[1, "value"] = cell
    with pytest.raises(AnalysisError, match=f"sub-02, visit baseline, FT dAB has the value '{cell}', not a number"):
        compare(tables)


def test_a_decimal_comma_in_a_wide_table_is_refused_by_cell() -> None:
    wide = pd.DataFrame({"Subject": ["1", "2"], "Time": ["baseline"] * 2, "dAB": ["129.2", "127,8"]})
    document = {
        "table": {"participant_id": "Subject", "visit": "Time", "wide": {"dAB": {"region": "FT", "metric": "dAB"}}}
    }
    mapping = parse_table_map(document, "plan.toml")
    assert mapping is not None
    with pytest.raises(AnalysisError, match=r"wide.csv: 2, visit baseline, dAB has the value '127,8'.*decimal comma"):
        to_regions(wide, mapping, "wide.csv")
    blank = to_regions(wide.replace("127,8", "#N/A"), mapping, "wide.csv")
    assert blank["state"].tolist() == ["measured", "missing"]


def in_two_units(values: pd.DataFrame, rows: Any, unit: str = "cm2") -> pd.DataFrame:
    scaled = values["value"].astype(float).where(~rows, values["value"].astype(float) / 100)
    return values.assign(value=scaled, unit=values["unit"].where(~rows, unit))


@pytest.mark.parametrize("unit", ["cm2", "cm²", ""])
def test_two_units_in_the_primary_endpoint_are_refused(datasets: ModuleType, unit: str) -> None:
    tables = trial(datasets, "clean")
    later = tables[0]["visit"] == "month6"
    for rows in (tables[0].index % 6 == 1, later):
        mixed = [in_two_units(tables[0], pd.Series(rows, index=tables[0].index), unit), *tables[1:]]
        with pytest.raises(
            AnalysisError, match=r"primary endpoint FT:dAB.*more than one unit: (cm2|none) \(\d+ rows\), mm2"
        ):
            compare(mixed)


def test_spellings_of_one_unit_are_one_and_the_unit_of_a_row_without_value_does_not_count(datasets: ModuleType) -> None:
    tables = trial(datasets, "clean")
    expected = figures(compare(tables))
    tables[0]["unit"] = ["mm2", "mm²"] * 24
    assert figures(compare(tables)) == expected
    tables[0].loc[0, ["value", "unit", "state"]] = ["", "", "failed"]
    assert figures(compare(tables))[2] == (11, 12)


def test_another_endpoint_in_two_units_is_named_and_stops_nothing(datasets: ModuleType) -> None:
    tables = trial(datasets, "clean")
    volume = in_two_units(tables[0].assign(metric="VC", unit="mm3"), tables[0]["visit"] == "month6", "ml")
    tables[0] = pd.concat([tables[0], volume], ignore_index=True)
    found = compare(tables, secondary=("FT:VC",))
    assert figures(found) == (-16.09, 0.0693, (12, 12))
    assert "more than one unit: cm3 (24 rows), mm3 (24 rows)" in found.refused["FT:VC"]


def repeats(**columns: Any) -> pd.DataFrame:
    rows = [(f"sub-{i}", v, "R", "FT", "dAB", 10 * i + (v == "b"), "mm2", "measured") for i in range(12) for v in "ab"]
    names = ["participant_id", "visit", "side", "region", "metric", "value", "unit", "state"]
    return pd.DataFrame(rows, columns=names).assign(**columns)


def test_two_units_are_refused_in_a_pilot_and_in_repeats() -> None:
    for unit in (["mm2", "cm2"] * 12, ["mm2"] * 23 + ["cm2"]):
        with pytest.raises(AnalysisError, match="The pilot, FT:dAB: Its values come in more than one unit"):
            build_pilot(repeats(unit=unit), AREA, baseline="a", followup="b")
        with pytest.raises(
            AnalysisError, match="No endpoint can be analysed: FT:dAB: Its values come in more than one"
        ):
            repeatability_table(repeats(unit=unit))


def test_two_spellings_of_a_side_are_one_knee_in_a_pilot_and_in_repeats() -> None:
    for side in (["R", "right"] * 12, ["r ", ""] * 12):
        table = repeats(side=side, value=np.random.default_rng(1).gamma(2, 50, 24))
        assert len(build_pilot(table, AREA, baseline="a", followup="b").baseline) == 12
        assert repeatability_table(table)["n"].tolist() == [12]
    with pytest.raises(AnalysisError, match="has the side 'both'; expected L or R"):
        repeatability_table(repeats(side="both"))


def test_repeats_that_all_wait_for_a_review_are_refused_with_the_reason() -> None:
    with pytest.raises(
        AnalysisError, match=r"12 of 12 knees left out: 24 row\(s\) needs-review. Accept the label maps"
    ):
        repeatability_table(repeats(state="needs-review"))
    some_wait = repeats(state=["needs-review"] * 4 + ["measured"] * 20)
    assert "2 of 12 knees left out: 4 row(s) needs-review" in repeatability_table(some_wait)["note"][0]


@pytest.mark.parametrize("scans", [["a", "a"], ["a", "b", "b "]])
def test_a_scan_named_twice_is_no_repeat(scans: list[str]) -> None:
    with pytest.raises(AnalysisError, match=r"A scan cannot repeat itself: . is named more than once"):
        repeatability_table(repeats(), scans)


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"sdc": [""]}, "is blank; expected a positive number"),
        ({"sdc": [""], "note": ["2 knees with 2 complete scans"]}, "is blank.* 2 knees with 2 complete scans"),
        ({"sdc": ["12,5"]}, "is '12,5', not a number .a decimal comma"),
        ({"sdc": ["0"]}, "is 0; expected a positive number"),
        ({"sdc": ["inf"]}, "not a number"),
        ({"sdc": ["0.12"], "unit": ["cm2"]}, "is in cm2, its values in mm2"),
        ({"other": ["12"]}, r"lacks the column\(s\) sdc"),
    ],
)
def test_a_smallest_detectable_change_that_cannot_be_used_refuses_the_responders_alone(
    datasets: ModuleType, columns: dict[str, list[str]], reason: str
) -> None:
    sdc = pd.DataFrame({"region": ["FT"], "metric": ["dAB"], **columns})
    found = compare(trial(datasets, "clean"), sdc=sdc, permutations=0)
    assert found.primary.comparison.estimate == pytest.approx(-16.09, abs=0.005)
    with pytest.raises(AnalysisError, match=reason):
        raise AnalysisError(found.sensitivity["responders"]["refused"])


def test_a_side_of_the_table_that_contradicts_the_study_is_refused(datasets: ModuleType) -> None:
    tables = trial(datasets, "clean")
    tables[1]["side"] = ["right", *["R"] * 23]
    expected = figures(compare(tables))
    tables[0].loc[tables[0]["participant_id"] == "sub-01", "side"] = ["R", "l"]
    with pytest.raises(AnalysisError, match="says side R of sub-01, the table at visit month6 side L alone"):
        compare(tables)
    tables[0].loc[tables[0]["participant_id"] == "sub-01", "side"] = ["", "Right"]
    assert figures(compare(tables)) == expected
    tables[1].loc[0, "side"] = "both"
    with pytest.raises(AnalysisError, match="gives sub-01 the side 'both'; expected L or R"):
        compare(tables)


def test_headers_arms_and_ids_are_read_whatever_their_case_and_blanks(datasets: ModuleType) -> None:
    tables = trial(datasets, "clean")
    expected = figures(compare(tables, covariates=("age",)))
    tables[0].columns = [c.upper() for c in tables[0].columns]
    tables[1].columns = ["Participant_id ", *(c.title() for c in tables[1].columns[1:])]
    tables[2] = tables[2].assign(
        participant_id=[f" SUB-{i:02d}\u00a0" for i in range(1, 25)], arm=tables[2]["arm"].str.upper() + " "
    )
    assert figures(compare(tables, covariates=("age",))) == expected


def test_an_arm_may_be_called_none(datasets: ModuleType) -> None:
    tables = trial(datasets, "clean")
    tables[2]["arm"] = tables[2]["arm"].replace("placebo", "None")
    found = compare_table(*tables, AnalysisPlan(reference="none", treated="msc", permutations=0, imputations=0))
    assert found.primary.comparison.n == (12, 12)


def test_a_failure_of_a_stranger_and_a_misspelt_visit_of_one_are_refused(datasets: ModuleType) -> None:
    tables = trial(datasets, "clean")
    plan = AnalysisPlan(reference="placebo", treated="msc", permutations=0, imputations=0)
    for who, visit, message in (
        ("sub-99", "month6", "failures.tsv names sub-99, who is not in the study"),
        ("sub-01", "Month6", "failures.tsv, column visit, and the measurements: holds"),
    ):
        failures = pd.DataFrame({"participant_id": [who], "visit": [visit]})
        with pytest.raises(AnalysisError, match=message):
            compare_table(*tables, plan, failures=failures)


@pytest.mark.parametrize(
    "change",
    [
        {"value": "0"},
        {"state": "needs-review"},
        {"unit": [*["mm2"] * 47, "cm2"]},
        {"value": [*["1"] * 47, "1,5"]},
        {"visit": "baseline"},
    ],
)
def test_what_no_allocation_could_mend_is_refused_before_the_allocation_is_opened(
    datasets: ModuleType, tmp_path: Path, change: dict[str, Any]
) -> None:
    values, people, _ = trial(datasets, "clean")
    if change == {"visit": "baseline"}:
        values = values[values["visit"] == "baseline"]
    values.assign(**change).to_csv(tmp_path / "regions.tsv", sep="\t", index=False)
    people.to_csv(tmp_path / "people.tsv", sep="\t", index=False)
    (tmp_path / "plan.toml").write_text('[analysis]\nreference = "placebo"\ntreated = "msc"\n')
    files = {"table": "regions.tsv", "participants": "people.tsv", "plan": "plan.toml", "out": "out"}
    options = [word for key, name in files.items() for word in (f"--{key}", str(tmp_path / name))]
    missing = str(tmp_path / "never_opened.csv")
    found = CliRunner().invoke(app, ["compare", *options, "--allocation", missing])
    assert isinstance(found.exception, AnalysisError)
    assert "never_opened" not in str(found.exception)
    assert not (tmp_path / "out").exists()


def test_a_level_of_97_and_a_half_percent_is_printed_as_such(datasets: ModuleType, tmp_path: Path) -> None:
    for table, name in zip(trial(datasets, "clean"), ("regions.tsv", "people.tsv", "arms.csv"), strict=True):
        table.to_csv(tmp_path / name, sep="\t", index=False)
    plan = '[analysis]\nreference = "placebo"\ntreated = "msc"\nalpha = 0.025\npower = 0.975\nimputations = 0\n'
    (tmp_path / "plan.toml").write_text(plan)
    files = {"table": "regions.tsv", "participants": "people.tsv", "plan": "plan.toml", "out": "out"}
    options = [word for key, name in files.items() for word in (f"--{key}", str(tmp_path / name))]
    found = CliRunner().invoke(app, ["compare", *options, "--allocation", str(tmp_path / "arms.csv")])
    assert found.exit_code == 0, found.output
    assert "97.5% interval" in found.output
    page = (tmp_path / "out" / "results.html").read_text()
    assert "97.5 % interval" in page
    assert "detectable at 97.5 % power" in page
    assert json.loads((tmp_path / "out" / "comparison.json").read_text())["plan"]["alpha"] == 0.025


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ({"permutations": 10}, "10 permutations give no p below 0.091.*expected at least 19"),
        ({"permutations": 19, "alpha": 0.025}, "expected at least 39"),
        ({"covariates": ("age", "age ")}, "named twice"),
        ({"reference": "MSC", "treated": "msc "}, "reference and treated are both"),
    ],
)
def test_a_plan_that_can_show_nothing_is_refused(plan: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AnalysisPlan(**plan)
    assert AnalysisPlan(permutations=19, judged_by="hc3", alpha=0.025).permutations == 19


@pytest.mark.parametrize("spoilt", ["huge", "flat", "exact", "two_units", "unmeasured", "no_baseline", "waiting"])
def test_an_endpoint_that_cannot_be_analysed_stops_no_other(datasets: ModuleType, spoilt: str) -> None:
    tables = trial(datasets, "clean")
    other = tables[0].assign(metric="VC", unit="mm3", value=tables[0]["value"].astype(float))
    later = other["visit"] == "month6"
    order = other["participant_id"].str[4:].astype(float)
    match spoilt:
        case "huge":
            other.loc[3, "value"] = 1e150
        case "flat":
            other["value"] = 0.0
        case "exact":
            other["value"] = order + later
        case "two_units":
            other.loc[later, "unit"] = "ml"
        case "unmeasured":
            other["state"] = "failed"
        case "no_baseline":
            other = other[later]
        case "waiting":
            other["state"] = "needs-review"
    tables[0] = pd.concat([tables[0], other.astype({"value": str})], ignore_index=True)
    found = compare(tables, secondary=("FT:VC",), permutations=99)
    assert list(found.refused) == ["FT:VC"]
    assert found.secondary == ()
    assert found.primary.comparison.estimate == pytest.approx(-16.09, abs=0.005)


def test_a_covariate_of_very_large_numbers_hides_no_other_column(datasets: ModuleType) -> None:
    tables = trial(datasets, "age")
    expected = compare(tables, covariates=("age",), permutations=0).primary.comparison
    large = tables[1].assign(age=[f"{cell}e14" if cell[0].isdigit() else "" for cell in tables[1]["age"]])
    found = compare([tables[0], large, tables[2]], covariates=("age",), permutations=0).primary.comparison
    assert found.estimate == pytest.approx(expected.estimate)
    assert found.ci_low == pytest.approx(expected.ci_low)
