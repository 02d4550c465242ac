"""Were two visits scanned with the same protocol? A changed scanner or sequence looks like disease."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from mriseg.dicom.records import SeriesHeader

ECHO_TOLERANCE_MS = 0.1
TIMING_TOLERANCE = 0.01  # of the value; scanners adjust TR a little to the patient
FLIP_TOLERANCE_DEG = 0.5
IN_PLANE_TOLERANCE = 0.01
SLICE_TOLERANCE = 0.02


class Severity(StrEnum):
    """What a deviation means for a change between two visits."""

    BLOCK = "block"  # change would not be disease
    WARN = "warn"  # a person has to judge
    NOTE = "note"  # recorded


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """One difference between two visits: ``field`` of the header, both values as text, and how bad it is."""

    field: str
    first: str
    second: str
    severity: Severity

    @property
    def described(self) -> str:
        """Field and both values, in words."""
        return f"{self.field} {self.first or 'unknown'} -> {self.second or 'unknown'}"

    def __str__(self) -> str:
        return f"{self.severity}: {self.described}"


EXACT = {
    "field_tesla": Severity.BLOCK,
    "plane": Severity.BLOCK,
    "scanning_sequence": Severity.BLOCK,
    "acquisition_type": Severity.BLOCK,
    "component": Severity.BLOCK,
    "manufacturer": Severity.BLOCK,
    "model": Severity.WARN,
    "coil": Severity.WARN,
    "sequence_name": Severity.WARN,
    "sequence_variant": Severity.WARN,
    "scan_options": Severity.NOTE,
    "software": Severity.NOTE,
    "image_type": Severity.NOTE,
    "shape": Severity.NOTE,
    "lossy": Severity.WARN,
}


def compare_protocol(first: SeriesHeader, second: SeriesHeader) -> tuple[Deviation, ...]:
    """List the deviations between the series of two visits, worst first; empty where they match.

    A value that one header lacks is a note: absence is no evidence of a change.
    """
    found = [*_exact(first, second), *_numeric(first, second), *_spacing(first, second)]
    order = list(Severity)
    return tuple(sorted(found, key=lambda d: order.index(d.severity)))


def _exact(first: SeriesHeader, second: SeriesHeader) -> Iterator[Deviation]:
    for name, severity in EXACT.items():
        a, b = _text(getattr(first, name)), _text(getattr(second, name))
        if a.casefold() != b.casefold():
            yield _deviation(name, a, b, severity)


def _numeric(first: SeriesHeader, second: SeriesHeader) -> Iterator[Deviation]:
    rules = (
        ("echo_ms", ECHO_TOLERANCE_MS, TIMING_TOLERANCE, Severity.BLOCK),
        ("repetition_ms", 0.0, TIMING_TOLERANCE, Severity.WARN),
        ("flip_deg", FLIP_TOLERANCE_DEG, 0.0, Severity.WARN),
        ("inversion_ms", 1.0, TIMING_TOLERANCE, Severity.WARN),
        ("bandwidth_hz", 1.0, 0.02, Severity.NOTE),
    )
    for name, absolute, relative, severity in rules:
        a, b = getattr(first, name), getattr(second, name)
        if a is None or b is None:
            if a is not b:
                yield _deviation(name, _text(a), _text(b), severity)
        elif abs(a - b) > max(absolute, relative * max(abs(a), abs(b))):
            yield _deviation(name, _text(a), _text(b), severity)


def _spacing(first: SeriesHeader, second: SeriesHeader) -> Iterator[Deviation]:
    """Compare voxel sizes; in the plane the order of rows and columns does not matter."""
    pairs = (
        ("in_plane_mm", sorted(first.spacing_mm[:2]), sorted(second.spacing_mm[:2]), IN_PLANE_TOLERANCE),
        ("slice_mm", [first.spacing_mm[2]], [second.spacing_mm[2]], SLICE_TOLERANCE),
    )
    for name, a, b, tolerance in pairs:
        if any(abs(x - y) > tolerance * max(x, y) for x, y in zip(a, b, strict=True)):
            yield _deviation(name, " x ".join(map(_text, a)), " x ".join(map(_text, b)), Severity.BLOCK)


def _deviation(name: str, first: str, second: str, severity: Severity) -> Deviation:
    known = first and second
    return Deviation(field=name, first=first, second=second, severity=severity if known else Severity.NOTE)


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        numbers = all(isinstance(v, int | float) for v in value)
        return (" x " if numbers else "\\").join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
