"""What a comparison gives: frozen figures, without a file or a page in sight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mriseg.compare.ancova import Ancova
from mriseg.compare.arm_test import ArmTest
from mriseg.compare.interval import Interval
from mriseg.compare.plan import AnalysisPlan, Endpoint
from mriseg.compare.trial import Trial
from mriseg.compare.within import ArmChange
from mriseg.types import ArmComparison


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The p that a verdict rests on, and the interval that belongs to it: it excludes 0 where p is at most alpha.

    ``method`` is "permutation" or "hc3".
    """

    method: str
    p: float
    interval: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointResult:
    """One endpoint compared between the arms.

    ``judgement`` and the interval of ``permutation`` are given for primary and secondaries; nothing judges an
    exploratory endpoint. ``p_holm`` is given for declared secondaries alone. ``log1p`` is the same ANCOVA on
    log(1 + value), None where a value is negative. ``rows`` are the indices of the participants that entered, in the
    order of the trial.
    """

    endpoint: Endpoint
    role: str
    comparison: ArmComparison
    judgement: Judgement | None
    ancova: Ancova
    shift: Interval
    within: tuple[ArmChange, ArmChange]
    permutation: ArmTest
    p_holm: float | None
    log1p: Ancova | None
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Everything that `compare_table` found out.

    ``refused`` maps an endpoint to the reason why it could not be compared. ``sensitivity`` holds the analyses beside
    the primary one by name, each either figures or ``{"refused": reason}``. ``notes`` are limitations in sentences.
    """

    plan: AnalysisPlan
    trial: Trial
    primary: EndpointResult
    secondary: tuple[EndpointResult, ...]
    exploratory: tuple[EndpointResult, ...]
    refused: Mapping[str, str]
    missing: Mapping[str, Any]
    flow: Mapping[str, Any]
    table1: tuple[Mapping[str, Any], ...]
    sensitivity: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
