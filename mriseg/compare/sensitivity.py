"""The analyses beside the primary one; each gives figures, or the reason why there are none."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pandas as pd

from mriseg.compare.endpoints import compare_endpoint
from mriseg.compare.events import new_denudation, responders
from mriseg.compare.imputation import impute
from mriseg.compare.locations import compare_locations
from mriseg.compare.longitudinal import mixed_model
from mriseg.compare.missing import per_protocol
from mriseg.compare.plan import AnalysisPlan
from mriseg.compare.result import EndpointResult
from mriseg.compare.trial import Trial
from mriseg.errors import AnalysisError

log = logging.getLogger(__name__)


def sensitivity_analyses(trial: Trial, plan: AnalysisPlan, sdc: pd.DataFrame | None) -> dict[str, Any]:
    """Run every analysis beside the primary one.

    Returns
    -------
    dict
        Name -> result, or ``{"refused": reason}``.
    """
    analyses: dict[str, Callable[[], Any]] = {
        "all_randomised_imputed": lambda: impute(trial, plan),
        "per_protocol": lambda: _per_protocol(trial, plan),
        "new_denudation": lambda: new_denudation(trial, plan),
        "location_independent": lambda: compare_locations(trial, plan),
        "mixed_model": lambda: mixed_model(trial, plan),
        "responders": lambda: responders(trial, plan, sdc),
    }
    return {name: _or_reason(analysis) for name, analysis in analyses.items()}


def _or_reason(analysis: Callable[[], Any]) -> Any:
    try:
        return analysis()
    except AnalysisError as error:
        return {"refused": str(error)}
    except Exception as error:  # the primary result is known by now, and may not be lost with one beside it
        log.exception("an analysis beside the primary one failed")
        return {"refused": f"unexpected {type(error).__name__}, a defect of mriseg"}


def _per_protocol(trial: Trial, plan: AnalysisPlan) -> EndpointResult:
    keep = per_protocol(trial, plan)
    if keep is None:
        raise AnalysisError("The plan names no per-protocol column of participants.tsv.")
    return compare_endpoint(trial, plan, keep=keep)
