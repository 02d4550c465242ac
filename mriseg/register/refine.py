"""From the pose of the surfaces to the transform that intensities and surfaces agree on."""

from __future__ import annotations

from dataclasses import dataclass

from mriseg.register.band import Band, BandSettings, Obstacles, make_band
from mriseg.register.correlation import agreement
from mriseg.register.motion import NormalEquations, advance, displacement_mm
from mriseg.register.sampling import Field
from mriseg.register.surface import Matches, Pair, match, match_weight, surface_equations
from mriseg.types import FloatArray, RigidTransform


@dataclass(frozen=True, slots=True, kw_only=True)
class RefineSettings:
    """How intensities and surfaces are weighed; every figure measured in benchmarks/registration.py.

    Parameters
    ----------
    surface_weight : float
        Weight of one surface match, in samples of the band, when its gap is of the usual size.
    gap_floor_mm : float
        Gaps below it count as equal: label maps are drawn in voxels.
    tolerance_mm : float
        The search ends when the surface moves less.
    iterations : int
        Steps at most.
    """

    surface_weight: float = 1.0
    gap_floor_mm: float = 0.1
    tolerance_mm: float = 2e-4
    iterations: int = 25


def refine(
    pair: Pair,
    images: tuple[Field, Field],
    obstacles: tuple[Obstacles, Obstacles],
    transform: RigidTransform,
    *,
    band_settings: BandSettings,
    settings: RefineSettings,
) -> RigidTransform:
    """Raise the local correlation of ``images`` over the band, held by the surfaces."""
    band = make_band(pair, transform, obstacles, band_settings)
    for _ in range(settings.iterations):
        matches = match(pair, transform)
        centre = matches.middle_mm.mean(axis=0)
        equations = joint_equations(matches, images, band, transform, centre_mm=centre, settings=settings)
        step = equations.solve()
        transform = advance(transform, step, centre)
        if displacement_mm(step, matches.middle_mm, centre) < settings.tolerance_mm:
            break
    return transform


def joint_equations(
    matches: Matches,
    images: tuple[Field, Field],
    band: Band,
    transform: RigidTransform,
    *,
    centre_mm: FloatArray,
    settings: RefineSettings,
) -> NormalEquations:
    """Normal equations of surfaces and intensities, each in units of its own variance."""
    weight = match_weight(matches, floor_mm=settings.gap_floor_mm)
    variance = float((weight * matches.gap_mm**2).sum() / max(weight.sum(), 1e-12))
    scale = settings.surface_weight / max(variance, settings.gap_floor_mm**2)
    surface = surface_equations(matches, weight * scale, centre_mm)
    return surface + agreement(images, band, transform, centre_mm).equations
