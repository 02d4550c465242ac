"""Real World Value Mapping (0040,9096): what a pixel value means in physical units. Recorded, never applied."""

from __future__ import annotations

from typing import Any

from pydicom.dataset import Dataset

from mriseg.dicom.groups import first_item
from mriseg.dicom.naming import clean
from mriseg.dicom.profile import UNITS
from mriseg.dicom.values import Get, getter, number, text

RANGES = ("RealWorldValue{}ValueMapped", "DoubleFloatRealWorldValue{}ValueMapped")


def real_world_mapping(get: Get) -> tuple[dict[str, Any], ...]:
    """Return slope, intercept, unit, label and range of pixel values of every mapping; empty where there is none."""
    items = get("RealWorldValueMappingSequence") or ()
    return tuple(_mapping(item) for item in items if isinstance(item, Dataset))


def _mapping(item: Dataset) -> dict[str, Any]:
    look = getter(item)
    unit = first_item(look("MeasurementUnitsCodeSequence"))
    code = text(getter(unit)("CodeValue")) if unit is not None else ""
    first, last = (
        next((n for name in RANGES if (n := number(look(name.format(end)))) is not None), None)
        for end in ("First", "Last")
    )
    return {
        "slope": number(look("RealWorldValueSlope")),
        "intercept": number(look("RealWorldValueIntercept")),
        "table": look("RealWorldValueLUTData") is not None,
        "unit": code if code in UNITS else "",
        "label": clean(text(look("LUTLabel"))),
        "first_value": first,
        "last_value": last,
    }
