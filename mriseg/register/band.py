"""Where intensities may speak: the bone and its cortical edge, without cartilage and joint space.

Cartilage is what the trial measures. If it took part in the alignment, its loss would move the bone and hide itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree

from mriseg.geometry import halfway
from mriseg.register.cloud import Cloud, cubes
from mriseg.register.surface import Pair, spread
from mriseg.types import FloatArray, RigidTransform


@dataclass(frozen=True, slots=True, kw_only=True)
class BandSettings:
    """Shape of the band, in mm along the outward normal of the bone.

    Parameters
    ----------
    depth_mm : float
        Inward: cortical bone is 1 to 2 mm thick, and trabecular texture below it helps.
    outside_mm : float
        Outward: the far side of the cortical edge, less than any soft tissue moves against the bone.
    step_mm : float
        Between the samples of one profile.
    cartilage_mm : float
        Kept free around cartilage of either visit: half a slice of label error plus the reach of the smoothing.
    joint_mm : float
        Outside of the bone, kept free around the other bones: the joint space.
    profiles : int
        Profiles a visit at most; more cost time and change the result by less than 0.005 mm.
    patch_mm : float
        Size of the patches within which intensities are compared; coil bias is flat over it.
    """

    depth_mm: float = 4.0
    outside_mm: float = 1.5
    step_mm: float = 0.75
    cartilage_mm: float = 2.0
    joint_mm: float = 5.0
    profiles: int = 5000
    patch_mm: float = 12.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Obstacles:
    """What the band keeps away from at one visit: search trees of all cartilage and of the other bones, if any."""

    cartilage: KDTree | None
    bones: KDTree | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Band:
    """Sample points in half-way space: ``points_mm`` (N, 3) and the ``patch`` (N,) each belongs to, from 0."""

    points_mm: FloatArray
    patch: npt.NDArray[np.int64]


def make_band(
    pair: Pair, transform: RigidTransform, obstacles: tuple[Obstacles, Obstacles], settings: BandSettings
) -> Band:
    """Profiles across the bone's edge at the surface points of both visits, in half-way space.

    ``obstacles`` are those of baseline and follow-up; a sample that either forbids is left out.
    """
    half = halfway(transform)
    back = half.inverse()
    offsets = np.arange(-settings.depth_mm, settings.outside_mm + 1e-9, settings.step_mm)
    points, outward = [], []
    for whole, to_middle in ((pair.baseline, half), (pair.followup, back)):
        cloud = whole.subset(spread(len(whole.points_mm), settings.profiles))
        points.append(_profiles(cloud, to_middle, offsets))
        outward.append(np.tile(offsets > 0, len(cloud.points_mm)))
    middle, outside = np.concatenate(points), np.concatenate(outward)
    allowed = _allowed(back.apply(middle), outside, obstacles[0], settings)
    allowed &= _allowed(half.apply(middle), outside, obstacles[1], settings)
    middle = middle[allowed]
    return Band(points_mm=middle, patch=patches(middle, settings.patch_mm))


def _profiles(cloud: Cloud, to_middle: RigidTransform, offsets: FloatArray) -> FloatArray:
    points = to_middle.apply(cloud.points_mm)
    normals = cloud.normals @ to_middle.matrix[:3, :3].T
    return np.asarray((points[:, None] + offsets[None, :, None] * normals[:, None]).reshape(-1, 3), dtype=np.float64)


def _allowed(
    points_mm: FloatArray, outside: npt.NDArray[np.bool_], obstacles: Obstacles, settings: BandSettings
) -> npt.NDArray[np.bool_]:
    allowed = np.ones(len(points_mm), dtype=bool)
    if obstacles.cartilage is not None:
        reach = settings.cartilage_mm
        allowed &= ~np.isfinite(obstacles.cartilage.query(points_mm, distance_upper_bound=reach)[0])
    if obstacles.bones is not None:
        reach = settings.joint_mm
        near = np.isfinite(obstacles.bones.query(points_mm[outside], distance_upper_bound=reach)[0])
        allowed[np.flatnonzero(outside)[near]] = False
    return allowed


def patches(points_mm: FloatArray, size_mm: float) -> npt.NDArray[np.int64]:
    """Number of the cube of ``size_mm`` that each point lies in, counted from 0 without gaps."""
    if not len(points_mm):
        return np.empty(0, dtype=np.int64)
    return np.asarray(np.unique(cubes(points_mm - points_mm.mean(axis=0), size_mm), return_inverse=True)[1])
