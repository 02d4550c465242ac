"""Symmetric alignment of two bone surfaces: both visits are matched to each other, in half-way space."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree

from mriseg.geometry import halfway
from mriseg.register.cloud import Cloud
from mriseg.register.motion import Residuals, advance, lever, moved_mm, rms
from mriseg.register.sampling import inside
from mriseg.types import FloatArray, RigidTransform

TUKEY = 4.685  # 95 % efficiency under Gaussian noise (Huber and Ronchetti 2009, doi:10.1002/9780470434697)
FACING = 0.5  # cosine between the normals of partners that may lie on the same piece of surface
FEWEST = 20  # matches that can hold six parameters


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pair:
    """Surfaces of one bone at both visits, with their search trees and the points that look for a partner."""

    baseline: Cloud
    followup: Cloud
    baseline_tree: KDTree
    followup_tree: KDTree
    baseline_asks: npt.NDArray[np.intp]
    followup_asks: npt.NDArray[np.intp]

    @classmethod
    def of(cls, baseline: Cloud, followup: Cloud) -> Pair:
        """Build the search trees of two surfaces that are not empty."""
        return cls(
            baseline=baseline,
            followup=followup,
            baseline_tree=KDTree(baseline.points_mm),
            followup_tree=KDTree(followup.points_mm),
            baseline_asks=np.arange(len(baseline.points_mm)),
            followup_asks=np.arange(len(followup.points_mm)),
        )

    def sparse(self, count: int) -> Pair:
        """The same surfaces, of which only about ``count`` points each look for a partner."""
        return replace(
            self,
            baseline_asks=spread(len(self.baseline.points_mm), count),
            followup_asks=spread(len(self.followup.points_mm), count),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Matches:
    """Matched points of both visits in half-way space.

    ``middle_mm`` (N, 3) lies between the partners, ``normals`` (N, 3) is the mean of their normals, ``gap_mm`` (N,) the
    signed distance from follow-up to baseline along it, ``distance_mm`` (N,) the distance of the partners, and
    ``facing`` (N,) the cosine between their normals.
    """

    middle_mm: FloatArray
    normals: FloatArray
    gap_mm: FloatArray
    distance_mm: FloatArray
    facing: FloatArray


def match(pair: Pair, transform: RigidTransform, *, margin_mm: float = 3.0) -> Matches:
    """Match every point to the nearest of the other visit, both ways, where both fields of view show the place."""
    asking = transform.apply(pair.baseline.points_mm[pair.baseline_asks])
    seen = inside(pair.followup.grid, asking, margin_mm=margin_mm)
    p_asks, q_told = pair.baseline_asks[seen], pair.followup_tree.query(asking[seen])[1]
    asking = transform.inverse().apply(pair.followup.points_mm[pair.followup_asks])
    seen = inside(pair.baseline.grid, asking, margin_mm=margin_mm)
    q_asks, p_told = pair.followup_asks[seen], pair.baseline_tree.query(asking[seen])[1]
    p = np.concatenate([p_asks, p_told])
    q = np.concatenate([q_told, q_asks])
    half = halfway(transform)
    back = half.inverse()
    u = half.apply(pair.baseline.points_mm[p])
    v = back.apply(pair.followup.points_mm[q])
    nu = pair.baseline.normals[p] @ half.matrix[:3, :3].T
    nv = pair.followup.normals[q] @ back.matrix[:3, :3].T
    mean = nu + nv
    mean /= np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-9)
    return Matches(
        middle_mm=0.5 * (u + v),
        normals=mean,
        gap_mm=((u - v) * mean).sum(axis=1),
        distance_mm=np.linalg.norm(u - v, axis=1),
        facing=(nu * nv).sum(axis=1),
    )


def surface_residuals(matches: Matches, weight: FloatArray, centre_mm: FloatArray) -> Residuals:
    """Gaps as residuals; a step of half-way space acts on both visits, hence the factor 2."""
    return Residuals(
        points_mm=matches.middle_mm,
        value=matches.gap_mm,
        jacobian=2.0 * lever(matches.middle_mm, matches.normals, centre_mm),
        weight=weight,
    )


def robust_weight(gap_mm: FloatArray, *, floor_mm: float) -> FloatArray:
    """Tukey weight (N,) of each gap: a place where bone grew or was cut counts nothing."""
    scale = max(1.4826 * float(np.median(np.abs(gap_mm))), floor_mm) if len(gap_mm) else floor_mm
    return np.asarray(np.maximum(1.0 - (gap_mm / (TUKEY * scale)) ** 2, 0.0) ** 2, dtype=np.float64)


def match_weight(matches: Matches, *, floor_mm: float) -> FloatArray:
    """Weight (N,) of each match: robust in the gap, nothing where the partners are far or face apart."""
    near = matches.distance_mm < 3.0 * max(float(np.median(matches.distance_mm)), 1.0)
    weight = robust_weight(matches.gap_mm, floor_mm=floor_mm)
    return np.asarray(np.where(near & (matches.facing > FACING), weight, 0.0), dtype=np.float64)


def descend(
    pair: Pair, transform: RigidTransform, *, floor_mm: float, iterations: int, tolerance_mm: float = 1e-4
) -> RigidTransform:
    """Match and step until the surface moves less than ``tolerance_mm``."""
    for _ in range(iterations):
        matches = match(pair, transform)
        if len(matches.gap_mm) < FEWEST:
            return transform
        centre = matches.middle_mm.mean(axis=0)
        residuals = surface_residuals(matches, match_weight(matches, floor_mm=floor_mm), centre)
        if np.count_nonzero(residuals.weight) < FEWEST:
            return transform
        step = residuals.step()
        transform = advance(transform, step, centre)
        if rms(moved_mm(step, matches.middle_mm, centre)) < tolerance_mm:
            break
    return transform


def trimmed_gap_mm(pair: Pair, transform: RigidTransform, *, share: float = 0.8) -> float:
    """Mean of the smallest ``share`` of the partner distances; infinite where the fields of view hardly overlap."""
    distance = np.sort(match(pair, transform).distance_mm)
    if len(distance) < max(FEWEST, 0.3 * (len(pair.baseline_asks) + len(pair.followup_asks))):
        return float("inf")
    return float(distance[: int(share * len(distance))].mean())


def overlap(pair: Pair, transform: RigidTransform) -> float:
    """Share of both surfaces, 0 to 1, that the field of view of the other visit shows."""
    asked = len(pair.baseline_asks) + len(pair.followup_asks)
    return len(match(pair, transform).gap_mm) / max(asked, 1)


def spread(total: int, count: int) -> npt.NDArray[np.intp]:
    """Index of at most ``count`` of ``total`` points, evenly spread."""
    return np.arange(0, total, max(1, -(-total // count)), dtype=np.intp)
