"""Read single header values without trusting them: a value that cannot be understood is absent."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from pydicom.dataset import Dataset

PHILIPS_SCALE_SLOPE = 0x2005100E
GE_COMPONENT = 0x0043102F

Get = Callable[[str | int], Any]


def getter(dataset: Dataset) -> Get:
    """Return a function from keyword or tag to value; None where absent or not readable."""

    def get(key: str | int) -> Any:
        try:
            return dataset[key].value if key in dataset else None
        except Exception:  # pydicom converts lazily and raises whatever the damaged value leads to
            return None

    return get


def functional_groups(shared: Dataset | None, frame: Dataset | None, top: Get) -> Get:
    """Return a function that looks a value up in one frame, then in what all frames share, then in the file."""
    values: dict[str | int, Any] = {}
    for item in (shared, frame):
        if item is not None:
            _flatten(item, values, depth=3)

    def get(key: str | int) -> Any:
        value = values.get(key)
        return top(key) if value is None else value

    return get


def _flatten(item: Dataset, values: dict[str | int, Any], depth: int) -> None:
    """Collect the values of the first item of each sequence in ``item``, by keyword, private ones by tag."""
    for element in item:
        if element.VR == "SQ":
            if depth and element.value:
                _flatten(element.value[0], values, depth - 1)
        else:
            values[element.keyword or int(element.tag)] = element.value


def text(value: Any) -> str:
    """Return a value as one line of text; several values are joined by a backslash."""
    if value is None:
        return ""
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return "\\".join(text(v) for v in value)
    return "" if isinstance(value, bytes) else " ".join(str(value).split())


def texts(value: Any) -> tuple[str, ...]:
    """Return a value of several parts as upper-case words."""
    return tuple(part.strip().upper() for part in text(value).split("\\")) if text(value) else ()


def number(value: Any) -> float | None:
    """Return the first of one or several numbers; None where there is none or it is not finite."""
    found = numbers(value)
    return found[0] if found else None


def numbers(value: Any) -> tuple[float, ...] | None:
    """Return finite numbers, or None where any of them is missing or not finite."""
    if value is None or isinstance(value, bytes):
        return None
    parts = value if isinstance(value, Iterable) and not isinstance(value, str) else [value]
    try:
        result = tuple(float(part) for part in parts)
    except (TypeError, ValueError, OverflowError):
        return None
    return result if result and all(map(math.isfinite, result)) else None


def whole(value: Any) -> int | None:
    """Return a whole number or None."""
    found = number(value)
    return int(found) if found is not None and found == int(found) and abs(found) < 1 << 31 else None


def moment(date: Any, time: Any) -> datetime | None:
    """Join a DICOM date and time, or read a date-time of which the first 14 digits count; None where unusable."""
    digits = text(date) + text(time).replace(":", "").ljust(6, "0")[:6]
    try:
        return datetime.strptime(digits[:14], "%Y%m%d%H%M%S")
    except ValueError:
        return None
