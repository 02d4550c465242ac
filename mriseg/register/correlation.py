"""Local correlation of two images at points of half-way space, as residuals of a least-squares step.

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
from mriseg.register.motion import Residuals, lever
from mriseg.register.sampling import Field, inside, sample
from mriseg.types import FloatArray, RigidTransform

FEWEST = 30  # samples that a patch needs to speak


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Agreement:
    """How two images agree over a band, and how to improve it.

    ``residuals`` have unit variance a sample; ``similarity`` is the mean absolute correlation of the patches, weighted
    by their contrast, NaN where nothing can be compared.
    """

    residuals: Residuals
    similarity: float


def agreement(images: tuple[Field, Field], band: Band, transform: RigidTransform, centre_mm: FloatArray) -> Agreement:
    """Compare baseline and follow-up ``images`` over ``band`` under ``transform``."""
    half = halfway(transform)
    back = half.inverse()
    p, q = back.apply(band.points_mm), half.apply(band.points_mm)
    seen = inside(images[0].grid, p) & inside(images[1].grid, q)
    points = band.points_mm[seen]
    patches = _Patches.of(band.patch[seen])
    a, grad_a = sample(images[0], p[seen])
    b, grad_b = sample(images[1], q[seen])
    a, b = patches.centred(a), patches.centred(b)
    s, t = np.sqrt(patches.mean(a * a)), np.sqrt(patches.mean(b * b))
    contrast = np.where((patches.count >= FEWEST) & (s > 1e-6) & (t > 1e-6), s * t, 0.0)
    correlation = np.divide(patches.mean(a * b), contrast, out=np.zeros_like(contrast), where=contrast > 0)
    gain = np.sqrt(np.divide(t, s, out=np.ones_like(s), where=contrast > 0))
    gain_a, gain_b = gain[patches.index], (np.where(correlation < 0, -1.0, 1.0) / gain)[patches.index]
    value = gain_a * a - gain_b * b
    weight = (correlation**2)[patches.index]
    # A step carries the point towards baseline in one image and towards follow-up in the other.
    direction = -gain_a[:, None] * (grad_a @ back.matrix[:3, :3]) - gain_b[:, None] * (grad_b @ half.matrix[:3, :3])
    jacobian = patches.centred_columns(lever(points, direction, centre_mm))
    variance = max(float((weight * value**2).sum() / max(weight.sum(), 1e-12)), 1e-12)
    residuals = Residuals(points_mm=points, value=value, jacobian=jacobian, weight=weight / variance)
    energy = patches.count * contrast
    similarity = float((energy * np.abs(correlation)).sum() / energy.sum()) if energy.any() else float("nan")
    return Agreement(residuals=residuals, similarity=similarity)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Patches:
    """Patch ``index`` (N,) of each sample and ``count`` (P,) of samples a patch."""

    index: npt.NDArray[np.int64]
    count: npt.NDArray[np.int64]

    @classmethod
    def of(cls, index: npt.NDArray[np.int64]) -> _Patches:
        return cls(index=index, count=np.bincount(index).astype(np.int64))

    def mean(self, values: FloatArray) -> FloatArray:
        """Mean (P,) of ``values`` (N,) in each patch; 0 in an empty one."""
        total = np.bincount(self.index, weights=values, minlength=len(self.count))
        return np.asarray(total / np.maximum(self.count, 1), dtype=np.float64)

    def centred(self, values: FloatArray) -> FloatArray:
        """``values`` (N,) less the mean of their patch."""
        return np.asarray(values - self.mean(values)[self.index], dtype=np.float64)

    def centred_columns(self, values: FloatArray) -> FloatArray:
        """Each column of ``values`` (N, C) less the mean of its patch."""
        return np.stack([self.centred(column) for column in values.T], axis=1)
