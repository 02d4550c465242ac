"""The figures that a registration is judged by."""

from __future__ import annotations

import numpy as np

from mriseg.geometry import MIRROR, halfway, rotation_deg
from mriseg.register.cloud import Cloud
from mriseg.register.motion import jackknife_mm, rms
from mriseg.register.pose import find_pose
from mriseg.register.refine import State
from mriseg.register.surface import FACING, Matches, Pair, match, overlap
from mriseg.types import FloatArray, Grid, RigidTransform

CLEARLY = 0.8  # the mirrored bone has to fit this much better before the side is doubted


def figures_of(
    pair: Pair, transform: RigidTransform, posed: RigidTransform, final: State, grids: tuple[Grid, Grid]
) -> dict[str, float]:
    """Figures of one bone by name; lengths in mm, angles in degrees, shares from 0 to 1.

    ``posed`` is the transform that the surfaces alone gave; ``final`` the state of the images and surfaces under
    ``transform``; ``grids`` those of the label maps.
    """
    matches = match(pair, transform)
    gaps = gaps_mm(matches)
    half = halfway(transform)
    centre = final.centre_mm[None]
    figures = {
        "residual_mm": float(gaps.mean()),
        "residual_p95_mm": float(np.percentile(gaps, 95)),
        "overlap": overlap(pair, transform),
        "spread_mm": jackknife_mm(final.residuals, matches.middle_mm, final.centre_mm),
        "rotation_deg": rotation_deg(transform),
        "translation_mm": rms(half.apply(centre) - half.inverse().apply(centre)),
        "coarsest_spacing_mm": max(float(grid.spacing_mm.max()) for grid in grids),
    }
    if np.isfinite(final.similarity):
        moved = transform.apply(pair.baseline.points_mm) - posed.apply(pair.baseline.points_mm)
        figures |= {"similarity": final.similarity, "image_shift_mm": rms(moved)}
    return figures


def gaps_mm(matches: Matches) -> FloatArray:
    """Distance (N,) from each point to the other surface; to the nearest point where the surfaces face apart."""
    facing = matches.facing > FACING
    return np.asarray(np.where(facing, np.abs(matches.gap_mm), matches.distance_mm), dtype=np.float64)


def residual_mm(pair: Pair, transform: RigidTransform) -> float:
    """Mean distance between the surfaces both ways, mm; infinite where nothing is shared."""
    gaps = gaps_mm(match(pair, transform))
    return float(gaps.mean()) if len(gaps) else float("inf")


def mirrored_fits_better(pair: Pair, own_mm: float, limit_mm: float) -> bool:
    """Whether the mirror image of the follow-up bone fits, and clearly better than the ``own_mm`` of the bone itself.

    A knee of somebody else fits neither way: the mirror image has to lie within ``limit_mm``.
    """
    other = pair.followup
    grid = Grid(shape=other.grid.shape, affine=MIRROR @ other.grid.affine)
    mirror = MIRROR[:3, :3]
    mirrored = Pair.of(
        pair.baseline, Cloud(points_mm=other.points_mm @ mirror, normals=other.normals @ mirror, grid=grid)
    )
    return residual_mm(mirrored, find_pose(mirrored)) < min(CLEARLY * own_mm, limit_mm)
