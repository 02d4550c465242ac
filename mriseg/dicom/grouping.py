"""Part the frames of one series into candidate volumes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from mriseg.dicom.records import Frame, SeriesHeader
from mriseg.types import FloatArray

SAME_DIRECTION = 1e-3  # direction cosines closer than this belong to one stack


def drop_copies(frames: Sequence[Frame]) -> tuple[list[Frame], list[tuple[Frame, Frame]]]:
    """Keep the first of all frames that carry one SOP instance UID.

    Returns the frames kept, and (kept, copy) pairs; whether a copy holds the same pixels is checked when they are read.
    """
    kept: dict[tuple[str, int], Frame] = {}
    copies = []
    for frame in frames:
        key = (frame.sop_uid or frame.path.as_posix(), frame.index)
        if key in kept:
            copies.append((kept[key], frame))
        else:
            kept[key] = frame
    return list(kept.values()), copies


def group(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Part frames by image kind, echo, size, direction and stack, then by what tells images at one position apart."""
    parts: dict[tuple[object, ...], list[Frame]] = defaultdict(list)
    directions: list[FloatArray] = []
    for frame in frames:
        parts[(*kind(frame), _direction(frame, directions), dict(frame.split).get("stack"))].append(frame)
    return [volume for part in parts.values() for volume in _by_repeat(part)]


def repeated(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Return the sets of frames that share one position."""
    places: dict[object, list[Frame]] = defaultdict(list)
    for frame in frames:
        places[place(frame)].append(frame)
    return [same for same in places.values() if len(same) > 1]


def kind(frame: Frame) -> tuple[object, ...]:
    """Everything in which two slices of one volume agree."""
    spacing = tuple(round(s, 4) for s in frame.pixel_spacing or ())
    echo = None if frame.echo_ms is None else echo_key(frame.echo_ms)
    return frame.image_type, frame.component, frame.echo_number, echo, frame.rows, frame.columns, spacing


def echo_numbers(frames: Sequence[Frame | SeriesHeader]) -> dict[float, int]:
    """Return echo time -> echo number; the order of times where the numbers of the header do not tell them apart."""
    said: dict[float, set[int | None]] = defaultdict(set)
    for frame in frames:
        if frame.echo_ms is not None:
            said[echo_key(frame.echo_ms)].add(frame.echo_number)
    numbers = [min(found) for found in said.values() if None not in found and len(found) == 1]  # type: ignore[type-var]
    if len(set(numbers)) == len(said):
        return {time: next(iter(found)) or 0 for time, found in said.items()}
    return {time: n for n, time in enumerate(sorted(said), 1)}


def echo_key(echo_ms: float) -> float:
    """Return an echo time as far as it tells echoes apart."""
    return round(echo_ms, 3)


def _direction(frame: Frame, known: list[FloatArray]) -> int:
    """Number the direction of a frame among those met so far; -1 without one."""
    if frame.orientation is None:
        return -1
    cosines = np.array(frame.orientation)
    for i, other in enumerate(known):
        if np.abs(cosines - other).max() < SAME_DIRECTION:
            return i
    known.append(cosines)
    return len(known) - 1


def place(frame: Frame) -> object:
    """Return the position to 0.01 mm; a frame without position is at a place of its own."""
    if frame.position is None:
        return frame.path, frame.index
    return tuple(round(p, 2) for p in frame.position)


def _by_repeat(frames: list[Frame]) -> list[list[Frame]]:
    """Part frames that repeat positions by the first header value, or pair of values, that tells the repeats apart."""
    repeats = max(Counter(place(f) for f in frames).values())
    if repeats == 1:
        return [frames]
    names = [name for name, _ in frames[0].split]
    for keys in [(n,) for n in names] + [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]:
        parts: dict[tuple[str, ...], list[Frame]] = defaultdict(list)
        for frame in frames:
            values = dict(frame.split)
            parts[tuple(values[k] for k in keys)].append(frame)
        # As many parts as repeats, none a stray slice: the time of each slice must not pass for a repeat.
        sizes = [len(part) for part in parts.values()]
        if len(parts) == repeats and 2 * min(sizes) >= max(sizes) and not any(map(repeated, parts.values())):
            return list(parts.values())
    return [frames]
