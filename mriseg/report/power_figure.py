"""The power curve as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from markupsafe import Markup

from mriseg.compare.power import PowerPoint
from mriseg.report.results_figures import LINE, SOFT, TREATED, line, svg, text, ticks


def power_figure(points: Sequence[PowerPoint], aim: float) -> Markup:
    """Draw power against participants an arm: simulated (line and dots) and by the t distribution (dashed)."""
    left, top, width, height = 60.0, 16.0, 520.0, 280.0
    most = max(p.per_arm for p in points)

    def at(n: float, power: float) -> tuple[float, float]:
        return left + width * n / most, top + height * (1 - power)

    parts = [line(*at(0, t), *at(most, t), stroke=LINE) for t in ticks(0, 1)]
    parts += [text(left - 8, at(0, t)[1] + 4, f"{t:g}", anchor="end", size=11, fill=SOFT) for t in ticks(0, 1)]
    parts += [
        text(at(t, 0)[0], top + height + 18, f"{t:g}", anchor="middle", size=11, fill=SOFT) for t in ticks(0, most)
    ]
    parts.append(line(*at(0, aim), *at(most, aim), stroke=SOFT, dash="2 3"))
    for first, second in pairwise(points):
        parts.append(line(*at(first.per_arm, first.by_t), *at(second.per_arm, second.by_t), stroke=SOFT, dash="5 4"))
        ends = (*at(first.per_arm, first.simulated), *at(second.per_arm, second.simulated))
        parts.append(line(*ends, stroke=TREATED, width=2))
    dot = Markup('<circle cx="{:.1f}" cy="{:.1f}" r="3.5" fill="{}"/>')
    parts += [dot.format(*at(p.per_arm, p.simulated), TREATED) for p in points]
    parts.append(
        text(left + width / 2, top + height + 40, "participants an arm (dashed: t distribution)", anchor="middle")
    )
    return svg(left + width + 20, top + height + 52, "Power by participants an arm", parts)
