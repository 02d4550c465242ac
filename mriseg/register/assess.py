"""Whether a transform may be believed, with every threshold in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mriseg.types import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Limits of the assessment; measured on real knees by benchmarks/registration_real.py."""

    failed_residual_mm: float = 1.2
    review_residual_mm: float = 0.7


THRESHOLDS = Thresholds()


def assess(figures: Mapping[str, float], limits: Thresholds = THRESHOLDS) -> tuple[Verdict, tuple[str, ...]]:
    """Judge the figures of one bone; returns the verdict and, unless it is good, the reasons."""
    residual = figures["residual_mm"]
    if residual > limits.failed_residual_mm:
        return Verdict.FAILED, (f"residual {residual:.2f} mm",)
    return Verdict.GOOD, ()
