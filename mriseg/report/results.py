"""The results page: the between-arm estimate first, and everything that a reader needs to doubt it."""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan
from typing import Any

from mriseg.compare.arm_test import ArmTest
from mriseg.compare.plan import AnalysisPlan
from mriseg.compare.result import Comparison, EndpointResult
from mriseg.report.render import render
from mriseg.report.results_beside import location_rows, sensitivity_rows
from mriseg.report.results_figures import flow_diagram, forest, scatter
from mriseg.report.results_text import ends, figure, interval, p_text, percent, setting, spread

FEW = 6
SMALL = 30  # participants an arm below which HC3 is wider than it needs to be
MOST_DRAWN = 40


def results_page(comparison: Comparison, lock: Mapping[str, Any], inputs: Mapping[str, str], *, title: str) -> str:
    """Return ``results.html``: self-contained, every value escaped.

    Parameters
    ----------
    comparison : Comparison
    lock : mapping
        State of the seal as in ``comparison.json``.
    inputs : mapping
        Name of each input file -> its SHA-256.
    title : str
        Name of the study or table.
    """
    plan, primary = comparison.plan, comparison.primary
    endpoints = [primary, *comparison.secondary, *comparison.exploratory]
    drawn = _drawn(comparison)
    return render(
        "results.html.j2",
        title=title,
        plan=plan,
        plan_rows={key: setting(getattr(plan, key)) for key in type(plan).model_fields},
        arms=(plan.reference, plan.treated),
        primary=primary,
        verdict=verdict(comparison),
        beside=[
            r
            for r in endpoints
            if r is not primary and r.endpoint.region == plan.region and r.endpoint.metric in BESIDE
        ],
        secondary=comparison.secondary,
        exploratory=comparison.exploratory,
        refused=_by_reason(comparison.refused),
        small=min(primary.comparison.n) < SMALL,
        missing=comparison.missing,
        table1=comparison.table1,
        sensitivity=sensitivity_rows(comparison),
        locations=location_rows(comparison),
        notes=limitations(comparison),
        lock=lock,
        inputs=inputs,
        level=f"{percent(1 - plan.alpha)} %",
        power=percent(plan.power),
        forest=forest(drawn),
        drawn=len(drawn),
        endpoints=len(endpoints),
        scatter=scatter(comparison),
        flow=flow_diagram(comparison.flow, plan.baseline, plan.followup),
        tests=TESTS,
        interval=interval,
        ends=ends,
        p=p_text,
        figure=figure,
        spread=spread,
    )


BESIDE = ("dABp", "ThCtAB_aMe")


def _drawn(comparison: Comparison) -> list[EndpointResult]:
    """Endpoints of the forest: primary, secondaries, then the main metrics of every region."""
    main = {comparison.plan.metric, *BESIDE}
    rest = [r for r in comparison.exploratory if r.endpoint.metric in main]
    return [comparison.primary, *comparison.secondary, *rest][:MOST_DRAWN]


def _by_reason(refused: Mapping[str, str]) -> dict[str, list[str]]:
    """Endpoints that could not be compared, under each reason."""
    found: dict[str, list[str]] = {}
    for name, reason in refused.items():
        found.setdefault(reason, []).append(name)
    return found


TESTS = {"permutation": "permutation test", "hc3": "HC3 test"}


def verdict(comparison: Comparison) -> list[str]:
    """Say in sentences what the primary comparison shows and what it cannot show."""
    primary, plan = comparison.primary, comparison.plan
    result, judged = primary.comparison, primary.judgement
    assert judged is not None
    unit = f" {result.unit}" if result.unit else ""
    direction = "lower" if result.estimate < 0 else "higher"
    beside = [*(["baseline"] if primary.ancova.adjusted_for_baseline else []), *plan.covariates, *plan.strata]
    adjusted = (
        f"adjusted for {', '.join(beside)}" if beside else "not adjusted for anything, since baseline does not vary"
    )
    first = (
        f"At {plan.followup}, {result.region} {result.metric} was {figure(abs(result.estimate))}{unit} {direction} "
        f"under {plan.treated} than under {plan.reference}, {adjusted}."
    )
    found = judged.p <= plan.alpha
    span = f"The {percent(1 - plan.alpha)} % interval ({ends(judged.interval)}{unit}; {TESTS[judged.method]}, "
    span += f"p {p_text(judged.p)})"
    if found:
        return [first, f"{span} excludes no difference at the prespecified level.", *_dissent(primary, plan)]
    return [
        first,
        f"{span} includes no difference: the trial does not show that the arms differ, and does not show that they are "
        "equal.",
        f"A trial of this size and scatter finds a true difference of {figure(result.detectable_effect)}{unit} "
        f"in {percent(plan.power)} of 100 cases. A smaller one may well exist and be missed.",
        *_dissent(primary, plan),
    ]


def _dissent(primary: EndpointResult, plan: AnalysisPlan) -> list[str]:
    """Name the test that does not judge, where it falls on the other side of the level."""
    judged, p_permutation = primary.judgement, primary.comparison.p_permutation
    assert judged is not None
    other, p = ("HC3 test", primary.ancova.p) if judged.method == "permutation" else ("permutation test", p_permutation)
    if isnan(p) or (p <= plan.alpha) == (judged.p <= plan.alpha):
        return []
    return [
        f"The {other} falls on the other side of the level (p {p_text(p)}): the verdict hangs on the method. The plan "
        f"names the {TESTS[judged.method]}."
    ]


def limitations(comparison: Comparison) -> list[str]:
    """Collect everything that limits the result, in sentences."""
    notes = list(comparison.notes)
    if min(comparison.primary.comparison.n) < FEW:
        notes.append(f"An arm holds fewer than {FEW} analysed participants: intervals rest on very few values.")
    notes += _few_arrangements(comparison.primary.permutation, comparison.plan)
    if comparison.plan.permutations == 0 and comparison.plan.judged_by == "permutation":
        notes.append("The plan draws no permutations, so that HC3 judges.")
    return notes


def _few_arrangements(test: ArmTest, plan: AnalysisPlan) -> list[str]:
    """Say so where the permutation test went through every arrangement, or drew fewer permutations than planned."""
    if not test.exact:
        drawn = f"{test.permutations} of {plan.permutations} permutations were drawn."
        return [drawn] if test.permutations < plan.permutations else []
    sentence = (
        f"The analysed participants can get their arms in {test.arrangements} ways: the permutation test went through "
        f"all of them, and its smallest possible p is {p_text(test.least_p)}."
    )
    if test.least_p <= plan.alpha:
        return [sentence]
    return [
        f"{sentence} No difference, however large, reaches the level {plan.alpha:g} with so few. A smaller p of the "
        "HC3 or the equal-variance test rests on normally distributed values, which so few participants cannot show."
    ]
