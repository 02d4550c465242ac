"""Measurements and allocation to a between-arm result; power and repeatability.

The names below are the face of this package. They are imported when they are first asked for, since a study reads its
plan from here and shall not wait for the libraries of the statistics.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mriseg.compare.analysis import check_before_opening, compare_arms, compare_table
    from mriseg.compare.columns import TableMap, parse_table_map, to_regions
    from mriseg.compare.joining import build_trial, gather_measurements, open_allocation
    from mriseg.compare.pilot import Pilot, build_pilot
    from mriseg.compare.plan import AnalysisPlan, Endpoint, parse_plan, read_toml
    from mriseg.compare.power import PowerPoint, Scenario, power_curve, sample_size
    from mriseg.compare.repeatability import Repeatability, repeatability_table
    from mriseg.compare.result import Comparison, EndpointResult
    from mriseg.compare.tables import read_table
    from mriseg.compare.trial import Measurements, Trial

_HOME = {
    "analysis": ("check_before_opening", "compare_arms", "compare_table"),
    "columns": ("TableMap", "parse_table_map", "to_regions"),
    "joining": ("build_trial", "gather_measurements", "open_allocation"),
    "pilot": ("Pilot", "build_pilot"),
    "plan": ("AnalysisPlan", "Endpoint", "parse_plan", "read_toml"),
    "power": ("PowerPoint", "Scenario", "power_curve", "sample_size"),
    "repeatability": ("Repeatability", "repeatability_table"),
    "result": ("Comparison", "EndpointResult"),
    "tables": ("read_table",),
    "trial": ("Measurements", "Trial"),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "AnalysisPlan",
    "Comparison",
    "Endpoint",
    "EndpointResult",
    "Measurements",
    "Pilot",
    "PowerPoint",
    "Repeatability",
    "Scenario",
    "TableMap",
    "Trial",
    "build_pilot",
    "build_trial",
    "check_before_opening",
    "compare_arms",
    "compare_table",
    "gather_measurements",
    "open_allocation",
    "parse_plan",
    "parse_table_map",
    "power_curve",
    "read_table",
    "read_toml",
    "repeatability_table",
    "sample_size",
    "to_regions",
]


def __getattr__(name: str) -> Any:
    """Import one of the public names from its module."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
