"""The commands on files: comparing a study and a table of another system, power, repeatability; and the page."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from mriseg.cli import app
from mriseg.compare.analysis import compare_table
from mriseg.compare.export import endpoint_json
from mriseg.compare.plan import AnalysisPlan
from mriseg.errors import AnalysisError
from mriseg.report.results import results_page, verdict
from mriseg.report.results_figures import ticks
from mriseg.report.results_text import figure, p_text, setting

STUDY = """
[study]
id = "trial"

[[visits]]
id = "baseline"
day = 0

[[visits]]
id = "month6"
day = 180

[analysis]
permutations = 99
imputations = 2
strata = ["site"]
"""


def run(*words: object) -> Any:
    return CliRunner().invoke(app, [str(w) for w in words])


@pytest.fixture
def study(tmp_path: Path, datasets: ModuleType) -> Path:
    """A study folder as `mriseg run` leaves it, with the allocation beside it."""
    values, people, allocation = datasets.made_up(24)
    root = tmp_path / "study"
    group = root / "derivatives" / "mriseg" / "group"
    group.mkdir(parents=True)
    (root / "study.toml").write_text(STUDY)
    sides = values.drop_duplicates("participant_id").set_index("participant_id")["side"]
    people.assign(side=people["participant_id"].map(sides)).to_csv(root / "participants.tsv", sep="\t", index=False)
    values.to_csv(group / "regions.tsv", sep="\t", index=False)
    empty = pd.DataFrame(columns=["participant_id", "visit", "step", "state", "message"])
    empty.to_csv(group / "failures.tsv", sep="\t", index=False)
    allocation.to_csv(tmp_path / "allocation.csv", index=False)
    return root


def test_comparing_a_study_writes_results_beside_its_tables(study: Path) -> None:
    assert run("lock", study).exit_code == 0
    result = run("compare", study, "--allocation", study.parent / "allocation.csv")
    assert result.exit_code == 0, result.output
    assert "treated minus control" in result.output
    group = study / "derivatives" / "mriseg" / "group"
    found = json.loads((group / "comparison.json").read_text())
    assert found["lock"]["status"] == "intact"
    assert set(found["inputs"]) >= {"participants.tsv", "derivatives/mriseg/group/regions.tsv", "allocation.csv"}
    tables = [group / f"comparison_{name}.tsv" for name in ("endpoints", "values", "dictionary")]
    assert all(len(pd.read_csv(t, sep="\t")) for t in tables)
    arms = found["flow"]["arms"].values()
    flow = (group / "comparison_flow.svg").read_text()
    assert f">Randomised: {found['flow']['randomised']}<" in flow
    assert all(f">Analysed: {arm['analysed']}<" in flow for arm in arms)
    assert sum(arm["analysed"] for arm in arms) == sum(found["primary"]["n"])


def test_one_altered_byte_of_any_measured_file_of_a_study_is_found(study: Path) -> None:
    folder = study / "derivatives" / "mriseg" / "sub-000"
    names = ("sub-000_regions.tsv", "sub-000_xfm.json", "ses-baseline/sub-000_ses-baseline_dseg.nii.gz")
    files = [folder / name for name in names]
    files += [folder / "sub-000_surfaces" / "femur.npz", study / "derivatives" / "mriseg" / "group" / "regions.tsv"]
    for file in files[:-1]:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"measured")
    assert run("lock", study).exit_code == 0
    assert run("lock", study, "--verify").exit_code == 0
    for file in files:
        data = file.read_bytes()
        file.write_bytes(data[:-2] + bytes([data[-2] ^ 1]) + data[-1:])
        result = run("lock", study, "--verify")
        assert result.exit_code == 1
        assert f"{file.relative_to(study).as_posix()} was changed after the seal." in result.output
        file.write_bytes(data)


def test_an_allocation_inside_the_study_is_refused(study: Path) -> None:
    inside = study / "derivatives" / "allocation.csv"
    inside.write_bytes((study.parent / "allocation.csv").read_bytes())
    link = study / "link.csv"
    link.symlink_to(study.parent / "allocation.csv")
    group = study / "derivatives" / "mriseg" / "group"
    table = ["--table", group / "regions.tsv", "--plan", study / "study.toml", "--out", study.parent / "out"]
    for words in (["compare", study, "--allocation", inside], ["compare", study, "--allocation", link]):
        result = run(*words)
        assert isinstance(result.exception, AnalysisError)
        assert "lies inside the study folder" in str(result.exception)
    assert "lies inside the study folder" in str(run("compare", *table, "--allocation", inside).exception)
    assert not (group / "comparison.json").exists()
    assert not (study.parent / "out").exists()


def test_wrong_use_exits_with_two(study: Path) -> None:
    allocation = study.parent / "allocation.csv"
    assert run("compare", "--allocation", allocation).exit_code == 2
    assert run("compare", study, "--table", allocation, "--allocation", allocation).exit_code == 2
    assert run("compare", study).exit_code == 2
    assert run("power", allocation, "--endpoint", "FT").exit_code == 2


def test_a_wide_table_of_another_system_gives_the_same_result(tmp_path: Path, datasets: ModuleType) -> None:
    values, _, allocation = datasets.made_up(24)
    rows = values[values["metric"].eq("dAB") & values["region"].isin(["cMT", "aMT"])]
    wide = rows.pivot(index=["participant_id", "visit"], columns="region", values="value").div(100).reset_index()
    wide["visit"] = wide["visit"].map({"baseline": "V1", "month6": "V3"})
    wide = wide.rename(
        columns={"participant_id": "Subject", "visit": "Time", "cMT": "cMT denuded", "aMT": "aMT denuded"}
    )
    wide.to_csv(tmp_path / "wide.csv", sep=";", index=False)
    allocation.to_csv(tmp_path / "allocation.csv", index=False)
    plan = '[analysis]\nregion = "cMT+aMT"\npermutations = 0\nimputations = 0\n'
    mapping = """
[table]
participant_id = "Subject"
visit = "Time"
visits = {V1 = "baseline", V3 = "month6"}

[table.wide]
"cMT denuded" = {region = "cMT", metric = "dAB", unit = "mm2", factor = 100}
"aMT denuded" = {region = "aMT", metric = "dAB", unit = "mm2", factor = 100}

[[table.combine]]
region = "cMT+aMT"
metric = "dAB"
unit = "mm2"
of = {"cMT:dAB" = 1, "aMT:dAB" = 1}
"""
    (tmp_path / "plan.toml").write_text(plan + mapping)
    options = [
        o for k, v in {"table": "wide.csv", "plan": "plan.toml", "out": "out"}.items() for o in (f"--{k}", tmp_path / v)
    ]
    result = run("compare", *options, "--allocation", tmp_path / "allocation.csv")
    assert result.exit_code == 0, (result.output, result.exception)
    found = json.loads((tmp_path / "out" / "comparison.json").read_text())["primary"]
    total = rows.groupby(["participant_id", "visit"], as_index=False)["value"].sum()
    direct = compare_table(
        total.assign(region="cMT+aMT", metric="dAB", unit="mm2"),
        None,
        allocation,
        AnalysisPlan(region="cMT+aMT", permutations=0, imputations=0),
    )
    assert found["estimate"] == pytest.approx(direct.primary.comparison.estimate)
    (tmp_path / "plan.toml").write_text(plan + mapping.replace("cMT denuded", "cMT_denuded"))
    wrong = run("compare", *options, "--allocation", tmp_path / "allocation.csv")
    assert "lacks the column(s) cMT_denuded; found Subject, Time" in str(wrong.exception)


def test_repeatability_of_a_table_feeds_the_comparison(study: Path, tmp_path: Path) -> None:
    table = study / "derivatives" / "mriseg" / "group" / "regions.tsv"
    result = run("repeatability", table, tmp_path / "sdc.tsv", "--scan", "baseline", "--scan", "month6")
    assert result.exit_code == 0, result.output
    sdc = pd.read_csv(tmp_path / "sdc.tsv", sep="\t")
    assert len(sdc) == 12
    allocation = study.parent / "allocation.csv"
    result = run("compare", study, "--allocation", allocation, "--sdc", tmp_path / "sdc.tsv")
    assert result.exit_code == 0, result.output
    found = json.loads((table.parent / "comparison.json").read_text())["sensitivity"]["responders"]
    expected = sdc.loc[(sdc["region"] == "FT") & (sdc["metric"] == "dAB"), "sdc"].iloc[0]
    assert found["sdc"] == pytest.approx(expected)


def test_power_of_a_table_of_regions(study: Path, tmp_path: Path) -> None:
    table = study / "derivatives" / "mriseg" / "group" / "regions.tsv"
    options = ["--baseline", "baseline", "--followup", "month6", "--trials", 200, "--per-arm", 12, "--per-arm", 40]
    result = run("power", table, *options, "--out", tmp_path / "power")
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "power" / "power.json").read_text())
    assert [p["per_arm"] for p in found["curve"]] == [12, 40]
    assert found["curve"][0]["detectable"] > found["curve"][1]["detectable"]
    assert (tmp_path / "power" / "power.svg").read_text().startswith("<svg")


class Checker(HTMLParser):
    """Collect tags and what a page would load from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loaded += [v for k, v in attrs if k in ("src", "href") and v and not v.startswith(("#", "data:"))]


def test_the_page_escapes_names_loads_nothing_and_never_judges_one_arm(datasets: ModuleType) -> None:
    values, people, allocation = datasets.made_up(lost=0.1)
    evil = "<script>alert(1)</script>&"
    allocation = allocation.assign(arm=allocation["arm"].replace("treated", evil))
    people = people.assign(site=people["site"].replace("Basel", evil))
    values = values.assign(region=values["region"].replace("cMT", evil), unit=values["unit"].replace("mm2", "<b>mm2"))
    plan = AnalysisPlan(permutations=99, imputations=2, treated=evil, strata=("site",))
    lock = {"status": "changed", "changes": [evil], "sealed": evil, "seal": evil, "by": evil, "earlier": []}
    page = results_page(compare_table(values, people, allocation, plan), lock, {evil: evil}, title=evil)
    checker = Checker()
    checker.feed(page)
    assert "script" not in checker.tags
    assert "b" not in checker.tags
    assert checker.loaded == []
    within = page.split("Change within each arm")[1].split("</section>")[0]
    assert "no test is given" in within
    assert '<th class="n">p' not in within


LOCK = {"status": "intact", "sealed": "", "seal": "", "by": "", "earlier": []}


def test_the_plan_says_which_test_judges_and_the_page_names_the_one_that_dissents(datasets: ModuleType) -> None:
    tables = datasets.made_up(26, visits=("baseline", "month3", "month6"), lost=0.08, seed=3)
    words = {"permutation": "permutation test", "hc3": "HC3 test"}
    found = {}
    for judge, other in (("permutation", "hc3"), ("hc3", "permutation")):
        plan = AnalysisPlan(permutations=999, imputations=0, strata=("site",), covariates=("age",), judged_by=judge)
        found[judge] = compare_table(*tables, plan)
        sentences = " ".join(verdict(found[judge]))
        assert f"The {words[other]} falls on the other side of the level" in sentences
        assert f"The plan names the {words[judge]}" in sentences
    permuted, robust = (endpoint_json(found[judge].primary) for judge in words)
    assert permuted["ci_low"] == robust["ci_low"] == robust["judged_by"]["ci_low"]
    assert permuted["ci_permutation_low"] == permuted["judged_by"]["ci_low"]
    assert permuted["judged_by"]["p"] == permuted["p_permutation"] < 0.05 < robust["judged_by"]["p"]
    assert "excludes no difference" in " ".join(verdict(found["permutation"]))
    assert "includes no difference" in " ".join(verdict(found["hc3"]))


def test_a_baseline_that_does_not_vary_is_not_said_to_be_adjusted_for(datasets: ModuleType) -> None:
    values, people, allocation = datasets.made_up(16)
    flat = values.assign(value=values["value"].where(values["visit"] != "baseline", 0.0))
    found = compare_table(flat, people, allocation, AnalysisPlan(permutations=99, imputations=0))
    assert "not adjusted for anything, since baseline does not vary" in verdict(found)[0]
    assert "ANCOVA of month6 on arm;" in found.primary.comparison.method


def test_four_knees_give_an_interval_without_bounds_and_a_page(datasets: ModuleType) -> None:
    values, people, allocation = datasets.made_up(4, seed=1)
    flat = values.assign(value=values["value"].where(values["visit"] != "baseline", 0.0))
    found = compare_table(flat, people, allocation, AnalysisPlan(permutations=199, imputations=0))
    page = results_page(found, LOCK, {}, title="t")
    assert "unbounded" in page
    assert "An arm holds fewer than 6 analysed participants" in page
    assert endpoint_json(found.primary)["ci_permutation_low"] is None


def test_a_null_result_stands_beside_what_the_trial_could_have_found(datasets: ModuleType) -> None:
    values, people, allocation = datasets.made_up(seed=8)
    null = values.assign(
        value=values["value"].where(
            values["visit"] != "month6", values["value"].sample(frac=1, random_state=1).to_numpy()
        )
    )
    found = compare_table(null, people, allocation, AnalysisPlan(permutations=99, imputations=0))
    assert found.primary.comparison.p_ancova > 0.05
    page = results_page(found, LOCK, {}, title="t")
    assert "does not show that they are equal" in page
    assert f"true difference of {figure(found.primary.comparison.detectable_effect)} mm2" in page


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.00123, "0.00123"),
        (12.345, "12.3"),
        (1234.5, "1\u202f234"),
        (None, "–"),
        (float("nan"), "–"),
        (-45.0, "-45.0"),
    ],
)
def test_figures(value: float | None, text: str) -> None:
    assert figure(value) == text


def test_settings_of_the_plan_are_written_as_a_reader_writes_them() -> None:
    plan = AnalysisPlan(secondary=("FT:dABp", "MT:dAB"))
    written = [setting(v) for v in (plan.secondary, plan.strata, plan.per_protocol, plan.include_needs_review, 0.05)]
    assert written == ["FT:dABp, MT:dAB", "–", "–", "no", "0.05"]


def test_a_p_is_never_written_as_zero() -> None:
    assert [p_text(p) for p in (1e-9, 0.0123, 0.5, None)] == ["< 0.0001", "0.012", "0.50", "–"]


def test_ticks_are_round_and_inside() -> None:
    assert ticks(0, 1) == [0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert ticks(-37, 912) == [0, 200, 400, 600, 800]
