"""Read single header values without trusting them: a value that cannot be understood is absent."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from pydicom.dataset import Dataset

PrivateTag = tuple[int, str, int]
Key = str | int | PrivateTag
Get = Callable[[Key], Any]


def getter(dataset: Dataset) -> Get:
    """Return a function from keyword, tag or private tag to value; None where absent or not readable.

    A private tag is a group, the creator who must have reserved it, and the last two digits of the element.
    """

    def get(key: Key) -> Any:
        try:
            if isinstance(key, tuple):
                return _private(dataset, key)
            return dataset[key].value if key in dataset else None
        except Exception:  # pydicom converts lazily and raises whatever the damaged value leads to
            return None

    return get


def _private(dataset: Dataset, tag: PrivateTag) -> Any:
    """Return a private value from the block that its creator reserved; looking for the block itself is slow."""
    group, creator, element = tag
    if not any(key >> 16 == group for key in dataset.keys()):  # noqa: SIM118
        return None
    return dataset.private_block(group, creator)[element].value


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
    # Several numbers may come as one text, where a file gives them the wrong type.
    parts = value.split("\\") if isinstance(value, str) else value if isinstance(value, Iterable) else [value]
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
