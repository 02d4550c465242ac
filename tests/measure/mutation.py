"""Changing every number of the measurement by a telling amount, and seeing which figures move."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from mriseg.errors import MrisegError
from mriseg.measure import MeasureParameters, measure
from mriseg.parameters import changed, flat
from mriseg.types import LabelMap, Measurement, Side

sys.path.insert(0, str(Path(__file__).parent))
from knees import registration, true_motion

# Numbers for which half more tells nothing, with the reason: these are tried instead.
TELLING = {
    "band_pct": 60.0,  # at most 100
    "atlas.fit.smoothing_mm": (24.0, 16.0),
    "atlas.good_residual_mm": 0.01,  # limits that a good fit keeps: a stricter one has to bite
    "atlas.failed_residual_mm": 0.01,
    "atlas.good_bend_mm": 0.01,
    "atlas.failed_bend_mm": 0.01,
    "atlas.least_seen": 1.01,
    "atlas.fit.most_scale": 0.9,
    "atlas.fit.least_scale": 1.2,
    "cover.thickest_mm": 2.0,
    "cover.column_high_mm": 0.6,
    "cover.inner_high": 2.0,
    "cover.facing": 0.95,
    "cover.articular": 0.9,
    "footprint.hole_mm2": 2.0,
    "footprint.island_mm2": 2000.0,
    "footprint.margin_reach_mm": 0.5,
    "footprint.sure": 1.01,
    "footprint.sure_mm2": 500.0,
    "norm.nodes": 40,
    "lesion.deepest_quantile": 0.5,
    "lesion.grade_quantile": 0.1,
    "figure.near_mm": 1.0,
    "figure.most_lost": 0.0,
    "place.least_part": 0.9,
    "place.reach_mm": 1.0,
}


def telling(name: str) -> object:
    """Value that a number is changed to: half more, one more of a count, or what ``TELLING`` says."""
    value = flat(MeasureParameters())[name]
    if name in TELLING:
        return TELLING[name]
    return value + 1 if isinstance(value, int) else 1.5 * value


def result_of(
    labels: tuple[LabelMap, LabelMap], start: MeasureParameters, name: str | None = None
) -> Measurement | str:
    """Measure a pair of visits with one number changed, or with none; the text of an error counts as a result."""
    parameters = start if name is None else changed(start, {name: telling(name)})
    try:
        return measure(*labels, registration(true_motion()), side=Side.RIGHT, parameters=parameters)
    except MrisegError as error:
        return str(error)


def moved(before: Measurement | str, after: Measurement | str) -> float:
    """Largest relative change of a figure; infinite where a state, a note or the list of lesions changed."""
    if isinstance(before, str) or isinstance(after, str):
        return 0.0 if before == after else float("inf")
    states = [[(r.region, r.metric, r.state) for v in m.visits for r in v.regions] for m in (before, after)]
    lesions = [
        [(d.defect_id, d.icrs_class, d.fate, d.osteophyte) for v in m.visits for d in v.defects]
        for m in (before, after)
    ]
    if states[0] != states[1] or lesions[0] != lesions[1] or before.notes != after.notes:
        return float("inf")
    one, two = (
        np.array(
            [r.value for v in m.visits for r in v.regions]
            + [x for v in m.visits for d in v.defects for x in (d.area_mm2, d.mean_depth_pct, d.max_depth_pct)]
        )
        for m in (before, after)
    )
    return float(np.nanmax(np.abs(two - one) / np.maximum(np.abs(one), 1e-3)))
