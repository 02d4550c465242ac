"""Between the grid of an image and the grid of a network, one axis after the other, without loss of position."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mriseg.types import FloatArray

F32 = npt.NDArray[np.float32]
Matrices = tuple[F32, F32, F32]


def tent_matrix(n_in: int, n_out: int, step: float, start: float) -> F32:
    """Weights (n_out, n_in) that read positions ``start + step * n`` of a line of ``n_in`` samples.

    Linear interpolation; where the step is longer than a sample the tent widens with it, so that nothing between two
    positions is skipped. Positions beyond the ends read the end.
    """
    at = np.clip(start + step * np.arange(n_out), 0, n_in - 1)
    reach = max(1.0, step)
    weights = np.clip(1 - np.abs(at[:, None] - np.arange(n_in)[None]) / reach, 0, None)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)


def there_and_back(
    shape: tuple[int, int, int], spacing_mm: FloatArray, target_mm: FloatArray
) -> tuple[Matrices, Matrices]:
    """Matrices of the three axes from a grid of ``shape`` and ``spacing_mm`` to ``target_mm``, and back again.

    Both grids share their centre, so that mirroring an image mirrors the result.
    """
    there, back = [], []
    for n, old, new in zip(shape, spacing_mm, target_mm, strict=True):
        m = max(1, int(np.ceil(n * old / new - 1e-6)))
        start = (n - 1) / 2 - (m - 1) / 2 * new / old
        there.append(tent_matrix(n, m, new / old, start))
        back.append(tent_matrix(m, n, old / new, -start * old / new))
    return (there[0], there[1], there[2]), (back[0], back[1], back[2])


def apply_axes(data: F32, matrices: Matrices) -> F32:
    """Apply one matrix an axis to ``data`` (I, J, K), the axis that shrinks most first."""
    order = sorted(range(3), key=lambda axis: matrices[axis].shape[0] / matrices[axis].shape[1])
    for axis in order:
        data = np.moveaxis(np.tensordot(matrices[axis], data, axes=(1, axis)), 0, axis)
    return np.ascontiguousarray(data, dtype=np.float32)
