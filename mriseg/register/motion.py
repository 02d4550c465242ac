"""Small rigid motions in half-way space.

``T`` maps baseline to follow-up and ``H`` with ``H after H = T`` maps baseline to half-way space and half-way space to
follow-up. A small motion ``d`` of half-way space moves both visits by the same amount in opposite directions,
``T' = H exp(2 d) H``, so that swapping the visits turns ``T`` into its inverse and ``d`` into ``-d`` and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from mriseg.geometry import halfway
from mriseg.types import FloatArray, RigidTransform


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NormalEquations:
    """Sum over residuals of a linear least-squares step.

    Parameters
    ----------
    matrix : array, (6, 6)
        Weighted sum of J^T J; parameters are rotation (radians) about a stated centre, then translation (mm).
    vector : array, (6,)
        Weighted sum of J^T r.
    """

    matrix: FloatArray
    vector: FloatArray

    def __add__(self, other: NormalEquations) -> NormalEquations:
        """Both sums together."""
        return NormalEquations(matrix=self.matrix + other.matrix, vector=self.vector + other.vector)

    def scaled(self, factor: float) -> NormalEquations:
        """Return the sum with every weight multiplied by ``factor``."""
        return NormalEquations(matrix=self.matrix * factor, vector=self.vector * factor)

    def solve(self) -> FloatArray:
        """Step (6,) that lowers the residuals most; directions that nothing constrains stay unmoved."""
        return np.asarray(-np.linalg.pinv(self.matrix, rcond=1e-10, hermitian=True) @ self.vector, dtype=np.float64)


def normal_equations(jacobian: FloatArray, residual: FloatArray, weight: FloatArray) -> NormalEquations:
    """Sum ``weight`` (N,) times J^T J and J^T r for ``jacobian`` (N, 6) and ``residual`` (N,).

    einsum without BLAS adds in one fixed order, so that the result does not depend on the number of threads.
    """
    weighted = jacobian * weight[:, None]
    return NormalEquations(
        matrix=np.einsum("ni,nj->ij", weighted, jacobian), vector=np.einsum("ni,n->i", weighted, residual)
    )


def lever(points_mm: FloatArray, directions: FloatArray, centre_mm: FloatArray) -> FloatArray:
    """Derivative (N, 6) of ``directions . motion(points)`` by rotation about ``centre_mm`` and translation."""
    return np.concatenate([np.cross(points_mm - centre_mm, directions), directions], axis=1)


def small_motion(step: FloatArray, centre_mm: FloatArray) -> FloatArray:
    """Matrix (4, 4) of the rotation ``step[:3]`` about ``centre_mm`` followed by the translation ``step[3:]``."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(step[:3]).as_matrix()
    matrix[:3, 3] = centre_mm + step[3:] - matrix[:3, :3] @ centre_mm
    return matrix


def advance(transform: RigidTransform, step: FloatArray, centre_mm: FloatArray) -> RigidTransform:
    """Move both visits by ``step`` (6,) in half-way space, in opposite directions."""
    half = halfway(transform).matrix
    motion = small_motion(step, centre_mm)
    return rigid(half @ motion @ motion @ half)


def rigid(matrix: FloatArray) -> RigidTransform:
    """Closest rigid transform to ``matrix`` (4, 4), which removes the rounding of a long product."""
    u, _, vt = np.linalg.svd(matrix[:3, :3])
    clean = matrix.copy()
    clean[:3, :3] = u @ vt
    return RigidTransform(matrix=clean)


def displacement_mm(step: FloatArray, points_mm: FloatArray, centre_mm: FloatArray) -> float:
    """Root mean square motion of ``points_mm`` (N, 3) under a small ``step`` (6,); 0 for no points."""
    if not len(points_mm):
        return 0.0
    moved = np.cross(step[:3], points_mm - centre_mm) + step[3:]
    return float(np.sqrt((moved**2).sum(axis=1).mean()))
