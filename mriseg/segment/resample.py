"""Between the grid of an image and the grid of a network, one axis after the other, without loss of position."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mriseg.types import FloatArray

F32 = npt.NDArray[np.float32]
Matrices = tuple[F32, F32, F32]


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """Where the samples of one axis lie on another grid: between ``low`` and ``low + 1``, at ``share`` of the way."""

    low: npt.NDArray[np.int64]
    share: F32


Lines = tuple[Line, Line, Line]


def centred_positions(n: int, spacing_mm: float, n_other: int, spacing_other_mm: float) -> FloatArray:
    """Positions (n,) of one axis in voxels of another grid, when both share their centre."""
    offset_mm = (np.arange(n) - (n - 1) / 2) * spacing_mm
    return np.asarray(offset_mm / spacing_other_mm + (n_other - 1) / 2, dtype=np.float64)


def line_between(n: int, spacing_mm: float, n_other: int, spacing_other_mm: float) -> Line:
    """Place the samples of one axis between those of another grid with the same centre; beyond its ends, at the end."""
    at = np.clip(centred_positions(n, spacing_mm, n_other, spacing_other_mm), 0, n_other - 1)
    low = np.clip(np.floor(at).astype(np.int64), 0, max(n_other - 2, 0))
    return Line(low, (at - low).astype(np.float32))


def size_on(shape: tuple[int, int, int], spacing_mm: FloatArray, target_mm: FloatArray) -> tuple[int, int, int]:
    """Voxels of ``target_mm`` (3,) that cover a grid of ``shape`` and ``spacing_mm`` (3,)."""
    i, j, k = (int(n) for n in np.maximum(1, np.ceil(np.array(shape) * spacing_mm / target_mm - 1e-6)))
    return i, j, k


def tent_matrix(positions: FloatArray, n_in: int) -> F32:
    """Weights (len(positions), n_in) that read a line of ``n_in`` samples at ``positions`` (N,), in samples.

    Linear interpolation; where positions are more than a sample apart the tent widens with them, so that nothing
    between two positions is skipped. Positions beyond the ends read the end.
    """
    reach = max(1.0, float(positions[1] - positions[0])) if len(positions) > 1 else 1.0
    at = np.clip(positions, 0, n_in - 1)
    weights = np.clip(1 - np.abs(at[:, None] - np.arange(n_in)[None]) / reach, 0, None)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)


def there_and_back(
    shape: tuple[int, int, int], spacing_mm: FloatArray, target_mm: FloatArray, *, parts: int = 1
) -> tuple[Matrices, Lines]:
    """Weights from a grid of ``shape`` and ``spacing_mm`` to ``target_mm``, and positions for the way back.

    Both grids share their centre, so that mirroring an image mirrors the result. Each voxel of the target grid is cut
    in ``parts`` along each axis.
    """
    there, back = [], []
    size = parts * np.array(size_on(shape, spacing_mm, target_mm))
    for n, old, m, new in zip(shape, spacing_mm, size, target_mm / parts, strict=True):
        there.append(tent_matrix(centred_positions(m, new, n, old), n))
        back.append(line_between(n, old, m, new))
    return (there[0], there[1], there[2]), (back[0], back[1], back[2])


def apply_axes(data: F32, matrices: Matrices) -> F32:
    """Apply one matrix an axis to ``data`` (I, J, K), the axis that shrinks most first."""
    order = sorted(range(3), key=lambda axis: matrices[axis].shape[0] / matrices[axis].shape[1])
    for axis in order:
        data = np.moveaxis(np.tensordot(matrices[axis], data, axes=(1, axis)), 0, axis)
    return np.ascontiguousarray(data, dtype=np.float32)


def interpolate(data: F32, lines: Lines) -> F32:
    """Read ``data`` (i, j, k) at the positions of ``lines`` by linear interpolation, shape (I, J, K)."""
    for axis in range(3):  # this order takes a third of the time of the other
        line = lines[axis]
        share = line.share.reshape([-1 if a == axis else 1 for a in range(3)])
        high = np.minimum(line.low + 1, data.shape[axis] - 1)
        upper = data.take(high, axis)
        data = data.take(line.low, axis)
        upper -= data
        upper *= share
        data += upper
    return data


def part_of(lines: Lines, box: tuple[slice, ...]) -> tuple[tuple[slice, ...], Lines]:
    """Samples whose neighbours lie in ``box`` of the other grid, and their positions within the box."""
    where, inner = [], []
    for line, side in zip(lines, box, strict=True):
        first, last = np.searchsorted(line.low, [side.start, side.stop - 1])
        last = len(line.low) if side.stop - 1 > line.low[-1] else int(last)
        where.append(slice(int(first), int(last)))
        inner.append(Line(line.low[first:last] - side.start, line.share[first:last]))
    return tuple(where), (inner[0], inner[1], inner[2])
