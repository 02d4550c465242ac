"""Numbers of the results page as text: a gap is a dash, a p is never zero."""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan
from typing import Any

from mriseg.compare.interval import Interval


def figure(value: float | None, digits: int = 3) -> str:
    """Write a number to ``digits`` significant digits, whole numbers in full; a gap as a dash."""
    if value is None or isnan(value):
        return "–"
    return f"{value:,.0f}".replace(",", "\u202f") if abs(value) >= 10**digits else f"{value:#.{digits}g}".rstrip(".")


def interval(value: Interval | None) -> str:
    """Write an estimate with its interval."""
    return "–" if value is None else f"{figure(value.estimate)} ({ends(value)})"


def ends(value: Interval) -> str:
    """Write the ends of an interval; an end that is NaN has no bound."""
    if isnan(value.low) and isnan(value.high):
        return "unbounded"
    low = "no lower bound" if isnan(value.low) else figure(value.low)
    return f"{low} to {'no upper bound' if isnan(value.high) else figure(value.high)}"


def p_text(value: float | None) -> str:
    """Write a p to two digits, never as zero."""
    if value is None or isnan(value):
        return "–"
    return "< 0.0001" if value < 0.0001 else f"{value:#.2g}" if value < 0.1 else f"{value:.2f}"


def percent(share: float) -> str:
    """Write a share in percent with the digits that it has, such as 97.5."""
    return f"{100 * share:.6g}"


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


def setting(value: object) -> str:
    """Write one key of the plan: lists with commas, yes and no, nothing as a dash."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "–"
    return "–" if value is None else str(value)
