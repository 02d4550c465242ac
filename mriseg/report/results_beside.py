"""The analyses beside the primary one as rows of the results page: figures, or the reason why there are none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mriseg.compare.ancova import Ancova
from mriseg.compare.imputation import Imputed
from mriseg.compare.interval import Interval, detectable_from
from mriseg.compare.longitudinal import MixedModel
from mriseg.compare.plan import AnalysisPlan
from mriseg.compare.result import Comparison, EndpointResult
from mriseg.compare.risk import RiskDifference
from mriseg.report.results_text import figure, interval, p_text

Row = dict[str, str]


def sensitivity_rows(comparison: Comparison) -> list[Row]:
    """Every analysis beside the primary one: name, effect, p, detectable effect and a note."""
    plan, primary = comparison.plan, comparison.primary
    logs, shift = primary.log1p, primary.shift
    rows = [
        {"name": "On log(1 + value)", **_on_logs(logs)},
        {"name": "Hodges-Lehmann shift of the change", **_estimate(shift, None, plan), "note": "distribution-free"},
    ]
    readers: Mapping[str, tuple[str, Callable[[Any], Row]]] = {
        "all_randomised_imputed": ("All randomised, imputed", lambda r: _imputed(r, plan)),
        "per_protocol": ("Per protocol", _endpoint),
        "new_denudation": (
            "Knees with any new denudation",
            lambda r: _risk(r["result"], f"regions above {r['above_mm2']:g} mm2", plan),
        ),
        "mixed_model": ("Mixed model, all visits", lambda r: _mixed(r, plan)),
        "responders": (
            "Knees that increase beyond the SDC",
            lambda r: _risk(r["increase"], f"SDC {figure(r['sdc'])}; {_other_way(r['decrease'])}", plan),
        ),
    }
    for key, (name, read) in readers.items():
        result = comparison.sensitivity[key]
        refused = isinstance(result, dict) and "refused" in result
        rows.append({"name": name, **(_none(result["refused"]) if refused else read(result))})
    return rows


def location_rows(comparison: Comparison) -> dict[str, Any]:
    """Location-independent scores with their detectable shifts, or why there are none."""
    result, plan = comparison.sensitivity["location_independent"], comparison.plan
    if "refused" in result:
        return {"refused": result["refused"]}
    scores = {name: {**score, **_estimate(score["shift"], None, plan)} for name, score in result["scores"].items()}
    return {"refused": "", **result, "scores": scores}


def _none(reason: str) -> Row:
    return {"effect": "–", "p": "–", "detectable": "–", "note": reason}


def _estimate(effect: Interval, p: float | None, plan: AnalysisPlan) -> Row:
    about = detectable_from(effect, alpha=plan.alpha, power=plan.power)
    return {"effect": interval(effect), "p": "" if p is None else p_text(p), "detectable": f"≈ {figure(about)}"}


def _ancova(fit: Ancova) -> Row:
    return {"effect": interval(fit.effect), "p": p_text(fit.p), "detectable": figure(fit.detectable)}


def _on_logs(fit: Ancova | None) -> Row:
    if fit is None:
        return _none("a value is negative, or nothing varies")
    return {**_ancova(fit), "note": "log scale, HC3"}


def _endpoint(result: EndpointResult) -> Row:
    judged, n = result.judgement, result.comparison.n
    assert judged is not None
    decided = {"effect": interval(judged.interval), "p": p_text(judged.p)}
    return {**_ancova(result.ancova), **decided, "note": f"n {n[0]} and {n[1]}, {judged.method}"}


def _imputed(result: Imputed, plan: AnalysisPlan) -> Row:
    down, up = (figure(t) for t in result.tipping)
    note = (
        f"{result.imputed[0]} and {result.imputed[1]} follow-ups imputed {result.imputations} times; the verdict turns "
        f"when those of the treated arm are shifted by {down} or {up} (–: not within three residual SD)"
    )
    return {**_estimate(result.pooled.effect, result.pooled.p, plan), "note": note}


def _risk(result: RiskDifference, note: str, plan: AnalysisPlan) -> Row:
    return {
        **_estimate(result.effect, result.p, plan),
        "note": f"risk difference; {_counts(result)}; {note}; {result.method}",
    }


def _counts(result: RiskDifference) -> str:
    return " and ".join(f"{e} of {n}" for e, n in zip(result.events, result.n, strict=True))


def _other_way(result: RiskDifference) -> str:
    return f"decrease beyond it: {_counts(result)}"


def _mixed(result: MixedModel, plan: AnalysisPlan) -> Row:
    last = result.visits[-1]
    earlier = "; ".join(f"{v.visit}: {interval(v.effect)}" for v in result.visits[:-1])
    return {**_estimate(last.effect, last.p, plan), "note": f"at {last.visit}; {earlier}"}
