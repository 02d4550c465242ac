"""Figures of the results page, drawn as SVG; every text in them is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from mriseg.compare.result import Comparison, EndpointResult
from mriseg.types import FloatArray

REFERENCE, TREATED, INK, SOFT, LINE = "#c05f00", "#0b5cad", "#1d2733", "#5b6b7b", "#dde3e9"


def text(
    x: float, y: float, text: str, *, anchor: str = "start", size: int = 12, fill: str = INK, bold: bool = False
) -> Markup:
    """One line of text at a point; ``anchor`` is start, middle or end."""
    weight = "600" if bold else "400"
    return Markup(
        '<text x="{:.1f}" y="{:.1f}" text-anchor="{}" font-size="{}" font-weight="{}" fill="{}">{}</text>'
    ).format(x, y, anchor, size, weight, fill, text)


def line(
    x0: float, y0: float, x1: float, y1: float, *, stroke: str = LINE, width: float = 1, dash: str = "none"
) -> Markup:
    """A straight line; ``dash`` as SVG writes it."""
    return Markup(
        '<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" stroke="{}" stroke-width="{}" stroke-dasharray="{}"/>'
    ).format(x0, y0, x1, y1, stroke, width, dash)


def svg(width: float, height: float, label: str, parts: Sequence[Markup]) -> Markup:
    """Put the parts into one picture, ``label`` read aloud by a screen reader."""
    head = Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {:.0f} {:.0f}" width="{:.0f}" role="img" aria-label="{}">'
    )
    return head.format(width, height, width, label) + Markup("").join(parts) + Markup("</svg>")


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers between ``low`` and ``high``, about ``count`` of them."""
    span = (high - low) or 1.0
    raw = span / count
    power = 10.0 ** np.floor(np.log10(raw))
    step = float(power * next(m for m in (1, 2, 5, 10) if m * power >= raw))
    first = np.ceil(low / step) * step
    return [float(round(first + i * step, 12)) for i in range(int((high - first) / step + 1e-9) + 1)]


def forest(results: Sequence[EndpointResult]) -> Markup:
    """Standardised effects with intervals, one row an endpoint: the unit is the residual SD, so that rows compare."""
    rows = list(results)
    effects = [r.ancova.standardised for r in rows]
    reach = max(0.5, *(min(4.0, max(abs(e.low), abs(e.high))) for e in effects)) * 1.05
    left, width, height = 190.0, 460.0, 24.0 * len(rows)

    def x(value: float) -> float:
        return left + width * (min(max(value, -reach), reach) + reach) / (2 * reach)

    parts = [line(x(t), 8, x(t), height + 12) for t in ticks(-reach, reach)]
    parts += [text(x(t), height + 28, f"{t:g}", anchor="middle", size=11, fill=SOFT) for t in ticks(-reach, reach)]
    parts.append(line(x(0), 8, x(0), height + 12, stroke=SOFT))
    for i, (row, effect) in enumerate(zip(rows, effects, strict=True)):
        y = 22.0 + 24 * i
        first = row.role == "primary"
        colour = TREATED if first else SOFT
        parts.append(text(left - 12, y + 4, f"{row.endpoint.region} {row.endpoint.metric}", anchor="end", bold=first))
        parts.append(line(x(effect.low), y, x(effect.high), y, stroke=colour, width=2))
        shape = Markup('<rect x="{:.1f}" y="{:.1f}" width="9" height="9" fill="{}"/>')
        parts.append(shape.format(x(effect.estimate) - 4.5, y - 4.5, colour))
        parts.append(
            text(left + width + 14, y + 4, f"{effect.estimate:+.2f} ({effect.low:+.2f} to {effect.high:+.2f})", size=11)
        )
    parts.append(
        text(left + width / 2, height + 46, "treated minus reference, in residual SD", anchor="middle", fill=SOFT)
    )
    return svg(left + width + 170, height + 56, "Standardised effect of every endpoint", parts)


def scatter(comparison: Comparison) -> Markup:
    """Follow-up against baseline of the primary endpoint, with the fitted line of each arm."""
    trial, plan, primary = comparison.trial, comparison.plan, comparison.primary
    column, rows = trial.column(plan.primary), list(primary.rows)
    baseline, followup = (trial.values[trial.at(v), rows, column] for v in (plan.baseline, plan.followup))
    treated = trial.treated[rows]
    size, left, top = 380.0, 70.0, 14.0
    low, high = min(baseline.min(), followup.min()), max(baseline.max(), followup.max())
    low, high = (low - 0.03 * (high - low), high + 0.03 * (high - low)) if high > low else (low - 1, high + 1)

    def x(value: float) -> float:
        return float(left + size * (value - low) / (high - low))

    def y(value: float) -> float:
        return float(top + size * (high - value) / (high - low))

    unit = primary.comparison.unit
    parts = [line(x(t), top, x(t), top + size) + line(left, y(t), left + size, y(t)) for t in ticks(low, high)]
    parts += [text(x(t), top + size + 18, f"{t:g}", anchor="middle", size=11, fill=SOFT) for t in ticks(low, high)]
    parts += [text(left - 8, y(t) + 4, f"{t:g}", anchor="end", size=11, fill=SOFT) for t in ticks(low, high)]
    parts.append(line(x(low), y(low), x(high), y(high), stroke=SOFT, dash="4 4"))
    parts += [
        _arm(baseline[treated == arm], followup[treated == arm], x, y, colour)
        for arm, colour in ((False, REFERENCE), (True, TREATED))
    ]
    for ends, colour in zip(_fitted(primary, baseline, followup, treated), (REFERENCE, TREATED), strict=False):
        (x0, y0), (x1, y1) = ends
        parts.append(line(x(x0), y(y0), x(x1), y(y1), stroke=colour, width=2))
    parts.append(text(left + size / 2, top + size + 40, f"{plan.baseline}, {unit}", anchor="middle", fill=SOFT))
    parts.append(
        Markup('<g transform="rotate(-90 14 {0:.0f})">').format(top + size / 2)
        + text(14, top + size / 2 + 4, f"{plan.followup}, {unit}", anchor="middle", fill=SOFT)
        + Markup("</g>")
    )
    return svg(left + size + 10, top + size + 52, "Follow-up against baseline by arm", parts)


def _arm(baseline: FloatArray, followup: FloatArray, x: Any, y: Any, colour: str) -> Markup:
    dot = Markup('<circle cx="{:.1f}" cy="{:.1f}" r="{}" fill="{}" fill-opacity="{}"/>')
    radius, opacity = (4, 0.7) if len(baseline) < 500 else (1.5, 0.3)
    return Markup("").join(
        dot.format(x(b), y(f), radius, colour, opacity) for b, f in zip(baseline, followup, strict=True)
    )


def _fitted(
    primary: EndpointResult, baseline: FloatArray, followup: FloatArray, treated: npt.NDArray[np.bool_]
) -> list[list[tuple[float, float]]]:
    """Ends (x, y) of parallel lines through the adjusted means, reference first; none where baseline does not vary."""
    centred = baseline - np.where(treated, baseline[treated].mean(), baseline[~treated].mean())
    if not (centred**2).sum() > 0:
        return []
    slope = float((centred * followup).sum() / (centred**2).sum())
    ends, middle = (float(baseline.min()), float(baseline.max())), float(baseline.mean())
    return [[(end, mean.estimate + slope * (end - middle)) for end in ends] for mean in primary.ancova.means]


def flow_diagram(flow: Mapping[str, Any], baseline: str, followup: str) -> Markup:
    """CONSORT flow with the counts of this trial."""
    parts = [_box(235, 10, 250, [f"Enrolled: {flow['enrolled']}"])]
    parts += [line(360, 40, 360, 86, stroke=SOFT), line(360, 63, 520, 63, stroke=SOFT)]
    parts += [_box(520, 46, 190, [f"Not randomised: {flow['not_randomised']}"], fill="#f5f7f9")]
    parts += [
        _box(235, 86, 250, [f"Randomised: {flow['randomised']}"]),
        line(360, 116, 360, 140, stroke=SOFT),
        line(175, 140, 545, 140, stroke=SOFT),
    ]
    for middle, (arm, counts) in zip((175.0, 545.0), flow["arms"].items(), strict=True):
        left = middle - 150
        parts.append(line(middle, 140, middle, 392, stroke=SOFT))
        parts.append(_box(left, 160, 300, [f"Allocated to {arm}: {counts['allocated']}"]))
        for top, visit in ((208.0, baseline), (288.0, followup)):
            lost = ", ".join(f"{n} {reason}" for reason, n in counts[visit].items() if reason != "measured" and n)
            parts.append(
                _box(left, top, 300, [f"Measured at {visit}: {counts[visit]['measured']}", lost or "none missing"])
            )
        excluded = ", ".join(f"{n} {reason}" for reason, n in counts["excluded"].items())
        parts.append(
            _box(
                left,
                372,
                300,
                [f"Analysed: {counts['analysed']}", f"left out: {excluded}" if excluded else "none left out"],
                bold=True,
            )
        )
    return svg(720, 440, "Flow of participants", parts)


def _box(
    x: float, y: float, width: float, lines: Sequence[str], *, fill: str = "#ffffff", bold: bool = False
) -> Markup:
    height = 12 + 18 * len(lines)
    rect = Markup(
        '<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{}" rx="5" fill="{}" stroke="{}" stroke-width="1.2"/>'
    )
    texts = [
        text(
            x + width / 2,
            y + 20 + 18 * i,
            line,
            anchor="middle",
            size=13 if i == 0 else 11,
            fill=INK if i == 0 else SOFT,
            bold=bold and i == 0,
        )
        for i, line in enumerate(lines)
    ]
    return rect.format(x, y, width, height, fill, SOFT) + Markup("").join(texts)
