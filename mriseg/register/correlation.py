"""Local correlation of two images at points of half-way space, and the step that raises it.

In each patch the images are compared up to an offset and a gain, so that a coil's bias field does not count. With
centred ``a``, ``b`` of standard deviation ``s``, ``t`` the residual ``sqrt(t / s) a - sign sqrt(s / t) b`` treats both
images alike; its square sums to ``2 n s t (1 - |correlation|)``: a patch counts as much as it shows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mriseg.geometry import halfway
from mriseg.register.band import Band
from mriseg.register.motion import NormalEquations, lever, normal_equations
from mriseg.register.sampling import Field, inside, sample
from mriseg.types import FloatArray, RigidTransform

FEWEST = 30  # samples that a patch needs to speak


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Agreement:
    """How two images agree over a band, and how to improve it.

    Parameters
    ----------
    equations : NormalEquations
        In units of residual variance: each sample counts as one measurement of unit variance.
    similarity : float
        Mean absolute correlation of the patches, weighted by their samples; NaN without any.
    count : int
        Samples used.
    """

    equations: NormalEquations
    similarity: float
    count: int


def agreement(images: tuple[Field, Field], band: Band, transform: RigidTransform, centre_mm: FloatArray) -> Agreement:
    """Compare baseline and follow-up ``images`` over ``band`` under ``transform``."""
    half = halfway(transform)
    back = half.inverse()
    p, q = back.apply(band.points_mm), half.apply(band.points_mm)
    seen = inside(images[0].grid, p) & inside(images[1].grid, q)
    patch, count = _recount(band.patch, seen)
    a, grad_a = sample(images[0], p[seen])
    b, grad_b = sample(images[1], q[seen])
    points = band.points_mm[seen]
    # A step moves half-way space along +d towards follow-up and -d towards baseline.
    jac_a = -lever(points, grad_a @ back.matrix[:3, :3], centre_mm)
    jac_b = lever(points, grad_b @ half.matrix[:3, :3], centre_mm)
    means = _Means(patch=patch, count=count)
    a, b, jac_a, jac_b = (means.remove(x) for x in (a, b, jac_a, jac_b))
    s, t = (np.sqrt(means.of(x * x)) for x in (a, b))
    correlation = means.of(a * b) / np.maximum(s * t, 1e-12)
    usable = (count >= FEWEST) & (s > 1e-6) & (t > 1e-6)
    gain = np.sqrt(t / np.maximum(s, 1e-12))[patch]
    sign = np.where(correlation < 0, -1.0, 1.0)[patch]
    other = sign / np.maximum(gain, 1e-12)
    residual = gain * a - other * b
    jacobian = gain[:, None] * jac_a - other[:, None] * jac_b
    weight = np.where(usable, correlation**2, 0.0)[patch]
    variance = float((weight * residual**2).sum() / max(weight.sum(), 1e-12))
    equations = normal_equations(jacobian, residual, weight / max(variance, 1e-12))
    share = np.where(usable, count, 0)
    similarity = float((share * np.abs(correlation)).sum() / share.sum()) if share.sum() else float("nan")
    return Agreement(equations=equations, similarity=similarity, count=int(share.sum()))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Means:
    """Means over patches: ``patch`` (N,) of each sample, ``count`` (P,) samples a patch."""

    patch: npt.NDArray[np.int64]
    count: npt.NDArray[np.int64]

    def of(self, values: FloatArray) -> FloatArray:
        """Mean (P,) of ``values`` (N,) in each patch; 0 in an empty one."""
        total = np.bincount(self.patch, weights=values, minlength=len(self.count))
        return np.asarray(total / np.maximum(self.count, 1), dtype=np.float64)

    def remove(self, values: FloatArray) -> FloatArray:
        """Subtract the patch mean from ``values`` (N,) or from each column of (N, C)."""
        if values.ndim == 1:
            return np.asarray(values - self.of(values)[self.patch], dtype=np.float64)
        return np.stack([self.remove(column) for column in values.T], axis=1)


def _recount(
    patch: npt.NDArray[np.int64], seen: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    total = int(patch.max(initial=-1)) + 1
    return patch[seen], np.asarray(np.bincount(patch[seen], minlength=total), dtype=np.int64)
