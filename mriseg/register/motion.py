"""Small rigid motions in half-way space, and the least-squares step that finds them.

``T`` maps baseline to follow-up and ``H`` with ``H after H = T`` maps baseline to half-way space and half-way space to
follow-up. A small motion ``d`` of half-way space moves both visits by the same amount in opposite directions,
``T' = H exp(2 d) H``, so that swapping the visits turns ``T`` into its inverse and ``d`` into ``-d`` and nothing else
(Reuter et al. 2012, doi:10.1016/j.neuroimage.2012.02.084).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from mriseg.geometry import halfway, nearest_rigid
from mriseg.types import FloatArray, RigidTransform


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Residuals:
    """Weighted residuals of one state of the alignment, linear in a small step.

    Parameters
    ----------
    points_mm : array, (N, 3)
        Where each residual was taken, in half-way space.
    value : array, (N,)
    jacobian : array, (N, 6)
        Derivative of ``value`` by rotation (radians) about a common centre, then translation (mm).
    weight : array, (N,)
    """

    points_mm: FloatArray
    value: FloatArray
    jacobian: FloatArray
    weight: FloatArray

    def __add__(self, other: Residuals) -> Residuals:
        """Residuals of both, for the same centre."""
        return Residuals(
            points_mm=np.concatenate([self.points_mm, other.points_mm]),
            value=np.concatenate([self.value, other.value]),
            jacobian=np.concatenate([self.jacobian, other.jacobian]),
            weight=np.concatenate([self.weight, other.weight]),
        )

    def equations(self, chosen: npt.NDArray[np.bool_] | slice = slice(None)) -> tuple[FloatArray, FloatArray]:
        """Sums of weighted J^T J (6, 6) and J^T r (6,) over the ``chosen`` residuals.

        einsum without BLAS adds in one fixed order, so that the result does not depend on the number of threads.
        """
        jacobian = self.jacobian[chosen]
        weighted = jacobian * self.weight[chosen, None]
        return np.einsum("ni,nj->ij", weighted, jacobian), np.einsum("ni,n->i", weighted, self.value[chosen])

    def step(self) -> FloatArray:
        """Step (6,) that lowers the residuals most; directions that nothing constrains stay unmoved."""
        return solve(*self.equations())


def solve(matrix: FloatArray, vector: FloatArray) -> FloatArray:
    """Solve normal equations (6, 6) and (6,) for a step (6,)."""
    return np.asarray(-np.linalg.pinv(matrix, rcond=1e-10, hermitian=True) @ vector, dtype=np.float64)


def lever(points_mm: FloatArray, directions: FloatArray, centre_mm: FloatArray) -> FloatArray:
    """Derivative (N, 6) of ``directions . motion(points)`` by rotation about ``centre_mm`` and translation."""
    return np.concatenate([np.cross(points_mm - centre_mm, directions), directions], axis=1)


def advance(transform: RigidTransform, step: FloatArray, centre_mm: FloatArray) -> RigidTransform:
    """Move both visits by ``step`` (6,) about ``centre_mm`` in half-way space, in opposite directions."""
    half = halfway(transform).matrix
    motion = np.eye(4)
    motion[:3, :3] = Rotation.from_rotvec(step[:3]).as_matrix()
    # Half of the shift before and half after the turn: the opposite step is then the exact inverse.
    motion[:3, 3] = centre_mm + 0.5 * step[3:] - motion[:3, :3] @ (centre_mm - 0.5 * step[3:])
    return nearest_rigid(half @ motion @ motion @ half)


def moved_mm(step: FloatArray, points_mm: FloatArray, centre_mm: FloatArray) -> FloatArray:
    """Displacement (N, 3) of ``points_mm`` (N, 3) under a small ``step`` (6,)."""
    return np.asarray(np.cross(step[:3], points_mm - centre_mm) + step[3:], dtype=np.float64)


def rms(vectors: FloatArray) -> float:
    """Root mean square length of ``vectors`` (N, 3); 0 for none."""
    return float(np.sqrt((vectors**2).sum(axis=1).mean())) if len(vectors) else 0.0


def jackknife_mm(residuals: Residuals, points_mm: FloatArray, centre_mm: FloatArray) -> float:
    """Standard error of the alignment at ``points_mm`` (N, 3), by leaving out each octant of the bone in turn.

    One linear step without the octant stands for a run without it; parts of a bone that ask for another motion
    (growth, a bad segmentation, an artefact) show as spread.

    References
    ----------
    Efron and Stein 1981, doi:10.1214/aos/1176345462.
    """
    octant = ((residuals.points_mm > centre_mm) @ np.array([4, 2, 1])).astype(np.int64)
    parts = [residuals.equations(octant == k) for k in range(8)]
    whole = (sum(p[0] for p in parts), sum(p[1] for p in parts))
    moves = np.stack([moved_mm(solve(whole[0] - m, whole[1] - v), points_mm, centre_mm) for m, v in parts])
    spread = moves - moves.mean(axis=0)
    return float(np.sqrt(7.0 / 8.0 * (spread**2).sum(axis=(0, 2)).mean()))
