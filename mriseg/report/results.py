"""The results page: the between-arm estimate first, and everything that a reader needs to doubt it."""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan
from typing import Any

from mriseg.compare.ancova import Interval
from mriseg.compare.export import plain
from mriseg.compare.result import Comparison, EndpointResult
from mriseg.report.render import render
from mriseg.report.results_figures import flow_diagram, forest, scatter

FEW = 6


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
    return render(
        "results.html.j2",
        title=title,
        plan=plan,
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
        refused=comparison.refused,
        missing=comparison.missing,
        table1=comparison.table1,
        sensitivity=sensitivity_rows(comparison),
        locations=location_rows(comparison),
        notes=limitations(comparison),
        lock=lock,
        inputs=inputs,
        level=f"{100 * (1 - plan.alpha):g} %",
        forest=forest(endpoints),
        scatter=scatter(comparison),
        flow=flow_diagram(dict(comparison.flow), plan.baseline, plan.followup),
        interval=interval,
        p=p_text,
        figure=figure,
        spread=spread,
    )


BESIDE = ("dABp", "ThCtAB_aMe")


def figure(value: float | None, digits: int = 3) -> str:
    """Write a number to ``digits`` significant digits, whole numbers in full; a gap as a dash."""
    if value is None or isnan(value):
        return "–"
    return f"{value:,.0f}".replace(",", "\u202f") if abs(value) >= 10**digits else f"{value:#.{digits}g}".rstrip(".")


def interval(value: Interval | None) -> str:
    """Write an estimate with its interval."""
    return "–" if value is None else f"{figure(value.estimate)} ({figure(value.low)} to {figure(value.high)})"


def p_text(value: float | None) -> str:
    """Write a p to two digits, never as zero."""
    if value is None or isnan(value):
        return "–"
    return "< 0.0001" if value < 0.0001 else f"{value:.2g}" if value < 0.1 else f"{value:.2f}"


def spread(counts: Mapping[str, Any]) -> str:
    """Write a cell of table 1."""
    if "count" in counts:
        share = f" ({100 * counts['count'] / counts['n']:.0f} %)" if counts["n"] else ""
        return f"{counts['count']}{share}"
    if not counts["n"]:
        return "–"
    low, high = figure(counts["q1"]), figure(counts["q3"])
    return (
        f"{figure(counts['mean'])} ± {figure(counts['sd'])}; {figure(counts['median'])} ({low}–{high}); n {counts['n']}"
    )


def verdict(comparison: Comparison) -> list[str]:
    """Say in sentences what the primary comparison shows and what it cannot show."""
    result, plan = comparison.primary.comparison, comparison.plan
    unit = f" {result.unit}" if result.unit else ""
    direction = "lower" if result.estimate < 0 else "higher"
    sentences = [
        f"At {plan.followup}, {result.region} {result.metric} was {figure(abs(result.estimate))}{unit} {direction} "
        f"under {plan.treated} than under {plan.reference}, after adjustment for baseline."
    ]
    within = result.ci_low <= 0 <= result.ci_high
    p = result.p_ancova if isnan(result.p_permutation) else result.p_permutation
    if within != (p > plan.alpha):
        sentences.append(
            f"Interval and permutation test (p {p_text(p)}) fall on different sides of the level {plan.alpha:g}; "
            "with few participants the HC3 interval is the wider of the two. Read the result as undecided."
        )
    if within:
        sentences.append(
            f"The interval from {figure(result.ci_low)} to {figure(result.ci_high)}{unit} includes no difference: "
            "the trial does not show that the arms differ, and does not show that they are equal."
        )
        sentences.append(
            f"A trial of this size and scatter finds a true difference of {figure(result.detectable_effect)}{unit} "
            f"in {100 * plan.power:.0f} of 100 cases. A smaller one may well exist and be missed."
        )
    else:
        sentences.append(
            f"The interval from {figure(result.ci_low)} to {figure(result.ci_high)}{unit} excludes no difference "
            f"at the prespecified level of {100 * plan.alpha:g} %."
        )
    return sentences


def limitations(comparison: Comparison) -> list[str]:
    """Collect everything that limits the result, in sentences."""
    notes = list(comparison.notes)
    if min(comparison.primary.comparison.n) < FEW:
        notes.append(f"An arm holds fewer than {FEW} analysed participants: intervals rest on very few values.")
    if comparison.primary.permutations < comparison.plan.permutations:
        notes.append(f"{comparison.primary.permutations} of {comparison.plan.permutations} permutations were drawn.")
    return notes


def sensitivity_rows(comparison: Comparison) -> list[dict[str, str]]:
    """Every analysis beside the primary one: name, figures or the reason why there are none."""
    rows = [_row("As planned", comparison.primary)]
    log = comparison.primary.log1p
    on_log = {"effect": interval(log.effect), "p": p_text(log.p)} if log else {"effect": "–", "p": "–"}
    rows.append({"name": "On log(1 + value)", **on_log, "note": "log scale" if log else "a value is negative"})
    shift = interval(comparison.primary.shift)
    rows.append({"name": "Hodges-Lehmann shift of the change", "effect": shift, "p": "", "note": "distribution-free"})
    readers = {
        "all_randomised_imputed": ("All randomised, imputed", _imputed),
        "per_protocol": ("Per protocol", lambda r: _row("", r)),
        "new_denudation": (
            "Knees with any new denudation",
            lambda r: _risk(r["result"], f"regions above {r['above_mm2']:g} mm2"),
        ),
        "mixed_model": ("Mixed model, all visits", _mixed),
        "responders": ("Increase beyond the SDC", lambda r: _risk(r["increase"], f"SDC {figure(r['sdc'])}")),
    }
    for key, (name, reader) in readers.items():
        result = comparison.sensitivity[key]
        refused = isinstance(result, dict) and "refused" in result
        row = {"effect": "–", "p": "–", "note": result["refused"]} if refused else reader(result)
        rows.append({**row, "name": name})
    return rows


def _row(name: str, result: EndpointResult) -> dict[str, str]:
    n = result.comparison.n
    return {
        "name": name,
        "effect": interval(result.ancova.effect),
        "p": p_text(result.ancova.p),
        "note": f"n {n[0]} and {n[1]}",
    }


def _imputed(result: Any) -> dict[str, str]:
    down, up = (figure(t) for t in result.tipping)
    note = (
        f"{result.imputed[0]} and {result.imputed[1]} follow-ups imputed {result.imputations} times; the verdict turns "
        f"when those of the treated arm are shifted by {down} or {up} (–: not within three residual SD)"
    )
    return {"effect": interval(result.pooled.effect), "p": p_text(result.pooled.p), "note": note}


def _risk(result: Any, note: str) -> dict[str, str]:
    counts = " and ".join(f"{e} of {n}" for e, n in zip(result.events, result.n, strict=True))
    return {
        "effect": interval(result.effect),
        "p": p_text(result.p),
        "note": f"risk difference; {counts}; {note}; {result.method}",
    }


def _mixed(result: Any) -> dict[str, str]:
    last = result.visits[-1]
    earlier = "; ".join(f"{v.visit}: {interval(v.effect)}" for v in result.visits[:-1])
    return {"effect": interval(last.effect), "p": p_text(last.p), "note": f"at {last.visit}; {earlier}"}


def location_rows(comparison: Comparison) -> dict[str, Any]:
    """Location-independent scores, or why there are none."""
    result = comparison.sensitivity["location_independent"]
    return (
        {"refused": result["refused"]}
        if "refused" in result
        else {"refused": "", **result, "plain": plain(result["n"])}
    )
