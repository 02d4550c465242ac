"""Tables of a measurement, with the columns of the study folder."""

from __future__ import annotations

import pandas as pd

from mriseg.errors import MeasurementError
from mriseg.types import Measurement, Side, VisitMeasurement

REGION_COLUMNS = ["participant_id", "visit", "side", "region", "metric", "value", "unit", "state"]
DEFECT_COLUMNS = [
    "participant_id",
    "visit",
    "defect_id",
    "region",
    "icrs_class",
    "area_mm2",
    "mean_depth_pct",
    "max_depth_pct",
    "volume_mm3",
    "diameter_mm",
    "centroid_x_mm",
    "centroid_y_mm",
    "centroid_z_mm",
    "osteophyte",
    "matched_defect_id",
    "change_mm2",
    "fate",
]


def regions_table(
    measurement: Measurement, *, participant: str, side: Side, visits: tuple[str, ...] = ("baseline", "followup")
) -> pd.DataFrame:
    """One row a visit, region and metric; ``value`` is NaN unless ``state`` is measured or needs-review."""
    rows = [
        (participant, name, side.value, row.region, row.metric, row.value, row.unit, row.state.value)
        for name, visit in _named(measurement, visits)
        for row in visit.regions
    ]
    return pd.DataFrame(rows, columns=REGION_COLUMNS)


def defects_table(
    measurement: Measurement, *, participant: str, visits: tuple[str, ...] = ("baseline", "followup")
) -> pd.DataFrame:
    """One row a lesion and visit; a knee without lesions gives an empty table with the same columns."""
    rows = [
        (
            participant,
            name,
            d.defect_id,
            d.region,
            d.icrs_class,
            d.area_mm2,
            d.mean_depth_pct,
            d.max_depth_pct,
            d.volume_mm3,
            d.diameter_mm,
            *d.centroid_mm,
            d.osteophyte,
            d.matched_defect_id or "",
            d.change_mm2,
            d.fate.value if d.fate else "",
        )
        for name, visit in _named(measurement, visits)
        for d in visit.defects
    ]
    return pd.DataFrame(rows, columns=DEFECT_COLUMNS)


def _named(measurement: Measurement, visits: tuple[str, ...]) -> list[tuple[str, VisitMeasurement]]:
    if len(visits) < len(measurement.visits):
        raise MeasurementError(f"{len(measurement.visits)} visits were measured, {len(visits)} are named: {visits}.")
    return list(zip(visits, measurement.visits, strict=False))
