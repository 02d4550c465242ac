"""Label maps and a registration -> surfaces, regions, defects and change."""

from mriseg.measure.measuring import measure, measure_visits
from mriseg.measure.metrics import COMPOSITES, REGIONS, UNITS
from mriseg.measure.parameters import MeasureParameters
from mriseg.measure.tables import defects_table, regions_table

__all__ = [
    "COMPOSITES",
    "REGIONS",
    "UNITS",
    "MeasureParameters",
    "defects_table",
    "measure",
    "measure_visits",
    "regions_table",
]
