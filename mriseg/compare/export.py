"""A comparison as JSON and as tidy tables."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from mriseg.compare.result import Comparison, EndpointResult, Judgement

COUNTED = 2**53  # largest whole number that every reader of JSON counts exactly


def plain(value: Any) -> Any:
    """Turn dataclasses, tuples and numpy numbers into what JSON knows; NaN and infinity become None."""
    if isinstance(value, EndpointResult):
        return endpoint_json(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(v) for v in value]
    return _number(value.item() if isinstance(value, np.generic) else value)


def _number(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def endpoint_json(result: EndpointResult) -> dict[str, Any]:
    """Figures of one endpoint, the fields of `ArmComparison` first.

    ``ci_low``, ``ci_high`` and ``p_ancova`` rest on HC3. ``judged_by`` repeats the p and the interval that decide.
    ``arrangements`` is None above what a float counts exactly.
    """
    arms = result.comparison.arms
    fit = result.ancova
    test = result.permutation
    more = {
        "ci_permutation_low": None if test.interval is None else test.interval.low,
        "ci_permutation_high": None if test.interval is None else test.interval.high,
        "judged_by": _judged_by(result.judgement),
        "role": result.role,
        "p_holm": result.p_holm,
        "permutations": test.permutations,
        "arrangements": test.arrangements if test.arrangements <= COUNTED else None,
        "permutation_exact": test.exact,
        "permutation_least_p": test.least_p,
        "se": fit.se,
        "df": fit.df,
        "model_based": {
            "se": fit.model_se,
            "ci_low": fit.model_effect.low,
            "ci_high": fit.model_effect.high,
            "p": fit.model_p,
        },
        "adjusted_means": dict(zip(arms, fit.means, strict=True)),
        "residual_sd": fit.residual_sd,
        "r_squared": fit.r_squared,
        "standardised_effect": fit.standardised,
        "hodges_lehmann": result.shift,
        "within_arm_change": dict(zip(arms, result.within, strict=True)),
        "log1p": None if result.log1p is None else {"effect": result.log1p.effect, "p": result.log1p.p},
        "notes": fit.notes,
    }
    return {**plain(result.comparison), **plain(more)}


def _judged_by(judgement: Judgement | None) -> dict[str, Any] | None:
    if judgement is None:
        return None
    ends = {"ci_low": judgement.interval.low, "ci_high": judgement.interval.high}
    return {"method": judgement.method, "p": judgement.p, **ends}


def comparison_json(
    comparison: Comparison, lock: Mapping[str, Any], inputs: Mapping[str, str], versions: Mapping[str, str]
) -> dict[str, Any]:
    """``comparison.json``.

    Parameters
    ----------
    comparison : Comparison
    lock : mapping
        What is known about the seal: ``seal``, ``sealed``, ``status``, ``changes``.
    inputs : mapping
        Name of each input file -> its SHA-256.
    versions : mapping
        Versions of the software.
    """
    return {
        "primary": endpoint_json(comparison.primary),
        "secondary": [endpoint_json(r) for r in comparison.secondary],
        "exploratory": [endpoint_json(r) for r in comparison.exploratory],
        "not_estimated": plain(comparison.refused),
        "missing": plain(comparison.missing),
        "flow": plain(comparison.flow),
        "table1": plain(comparison.table1),
        "sensitivity": plain(comparison.sensitivity),
        "limitations": list(comparison.notes),
        "lock": plain(lock),
        "plan": comparison.plan.model_dump(mode="json"),
        "inputs": plain(inputs),
        "versions": plain(versions),
    }
