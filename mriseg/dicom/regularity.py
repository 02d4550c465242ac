"""Is a stack of slices regular? What is not is refused, and the slices are named."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from mriseg.dicom.grouping import repeated
from mriseg.dicom.records import Frame
from mriseg.errors import DicomError
from mriseg.types import FloatArray

UNEVEN = 0.02  # largest distance from the regular position, as a part of the spacing
SHEAR_MM = 0.05  # sideways drift over the whole stack; decimals in headers make up to 0.01
FAR_MM = 30.0


def check_repeats(frames: Sequence[Frame]) -> None:
    """Refuse several images at one position."""
    same = repeated(frames)
    if same:
        raise DicomError(
            f"{len(same)} positions hold several images that no header value tells apart: "
            f"{names([f for part in same for f in part])}."
        )


def check_even(frames: Sequence[Frame], along: FloatArray) -> None:
    """Refuse gaps and unequal distances; ``along`` (N,) holds ascending positions along the normal, mm."""
    if len(frames) < 3:
        return
    steps = np.diff(along)
    usual = float(np.median(steps))
    regular = along[0] + np.arange(len(along)) * (along[-1] - along[0]) / (len(along) - 1)
    if np.abs(along - regular).max() <= max(UNEVEN * usual, 2e-3):
        return
    wide = steps > usual * 1.5
    if wide.any():
        pairs = ", ".join(
            f"{frames[i].label} and {frames[i + 1].label} ({steps[i]:.2f} mm)" for i in np.flatnonzero(wide)[:5]
        )
        hint = " Two separate stacks, perhaps two knees." if steps.max() > max(FAR_MM, 5 * usual) else ""
        raise DicomError(f"slices are missing: the usual distance is {usual:.2f} mm, but between {pairs}.{hint}")
    worst = int(np.abs(along - regular).argmax())
    raise DicomError(
        f"slices are unevenly spaced: distances from {steps.min():.3f} to {steps.max():.3f} mm, "
        f"worst at {frames[worst].label}."
    )


def check_shear(positions: FloatArray, axes: FloatArray, along: FloatArray) -> None:
    """Refuse slices that shift sideways; ``positions`` (N, 3) LPS mm, ``axes`` (3, 3) columns, rows, normal."""
    sideways = (positions - positions[0]) @ axes[:2].T
    drift = float(np.abs(sideways).max())
    if drift > SHEAR_MM:
        angle = np.degrees(np.arctan2(drift, max(along[-1] - along[0], 1e-9)))
        raise DicomError(
            f"the stack is sheared: slices shift sideways by up to {drift:.2f} mm ({angle:.1f} degrees). "
            "Expected slices stacked along their normal."
        )


def check_numbers(frames: Sequence[Frame], spacing: float, in_series: Collection[int] = ()) -> list[str]:
    """What a reader should know about a stack that is regular all the same.

    Raises
    ------
    DicomError
        Where every second slice, or more, is missing: the distance is a multiple of what the header says, and the
        instance numbers step by as many, over numbers that no other image of the series bears.
    """
    if len(frames) == 1:
        return ["a single slice; its thickness is taken from the header"]
    first = frames[0]
    between = abs(first.between_mm or 0.0)
    stride = _stride(frames, in_series)
    for said, tag in ((between, "SpacingBetweenSlices"), (first.thickness_mm or 0.0, "SliceThickness")):
        ratio = spacing / said if said > 0 else 0.0
        whole = ratio > 1.5 and abs(ratio - round(ratio)) < UNEVEN
        # A gap as wide as a slice is common: a thickness alone proves nothing unless the numbers step alike.
        if whole and stride > 1 and (said == between or stride % round(ratio) == 0):
            raise DicomError(
                f"slices are missing: they lie {spacing:.2f} mm apart, the header says {said:.2f} mm ({tag}), and "
                f"their numbers step by {stride}. Copy the missing ones."
            )
    if between and abs(between - spacing) > UNEVEN * spacing:
        return [f"slices lie {spacing:.3f} mm apart, the header says {between:.3f} mm"]
    return []


def _stride(frames: Sequence[Frame], in_series: Collection[int]) -> int:
    """Smallest step between instance numbers of neighbours; 1 where unknown, or where other images fill all gaps."""
    numbers = [f.instance for f in frames if f.instance is not None]
    if len(numbers) < len(frames):
        return 1
    if set(range(min(numbers), max(numbers) + 1)) <= set(in_series):
        return 1
    return int(np.abs(np.diff(np.array(numbers, dtype=float))).min())


def names(frames: Sequence[Frame], which: object = None) -> str:
    """Name up to six slices."""
    labels = [f.label for f in frames]
    if which is not None:
        labels = [label for label, on in zip(labels, np.asarray(which), strict=True) if on]
    more = f" and {len(labels) - 6} more" if len(labels) > 6 else ""
    return ", ".join(labels[:6]) + more
