"""From the pose of the surfaces to the transform that intensities and surfaces agree on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mriseg.register.band import Band
from mriseg.register.correlation import agreement
from mriseg.register.motion import Residuals, advance, moved_mm, rms
from mriseg.register.sampling import Field
from mriseg.register.surface import Pair, match, match_weight, surface_residuals
from mriseg.types import FloatArray, RigidTransform


@dataclass(frozen=True, slots=True, kw_only=True)
class RefineSettings:
    """How intensities and surfaces are weighed against each other.

    Parameters
    ----------
    surface_weight : float
        Weight of all surface matches together against all samples of the band together, each measured in its own
        variance: label maps that agree well count more than those that do not. Chosen by measured error in
        benchmarks/registration.py.
    gap_floor_mm : float
        Gaps below it count as equal: label maps are drawn in voxels.
    tolerance_mm : float
        The search ends when the bone moves less.
    iterations : int
        Steps at most.
    matches : int
        Surface points a visit that take part.
    """

    surface_weight: float = 0.1
    gap_floor_mm: float = 0.1
    tolerance_mm: float = 5e-4
    iterations: int = 20
    matches: int = 6000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class State:
    """Alignment of one bone at one moment: its ``residuals`` about ``centre_mm`` (3,) and the similarity of images."""

    residuals: Residuals
    centre_mm: FloatArray
    similarity: float


def state(
    pair: Pair, images: tuple[Field, Field] | None, band: Band | None, transform: RigidTransform, s: RefineSettings
) -> State:
    """Residuals of the surfaces and, where there are images, of the intensities, each in units of its own variance."""
    matches = match(pair, transform)
    centre = matches.middle_mm.mean(axis=0)
    weight = match_weight(matches, floor_mm=s.gap_floor_mm)
    variance = float((weight * matches.gap_mm**2).sum() / max(weight.sum(), 1e-12))
    weight /= max(variance, s.gap_floor_mm**2)
    similarity = float("nan")
    residuals = surface_residuals(matches, weight, centre)
    if images is not None and band is not None and len(band.points_mm):
        compared = agreement(images, band, transform, centre)
        share = s.surface_weight * len(compared.residuals.value) / max(len(matches.gap_mm), 1)
        residuals = surface_residuals(matches, weight * share, centre) + compared.residuals
        similarity = compared.similarity
    return State(residuals=residuals, centre_mm=np.asarray(centre, dtype=np.float64), similarity=similarity)


def refine(
    pair: Pair, images: tuple[Field, Field], band: Band, transform: RigidTransform, settings: RefineSettings
) -> RigidTransform:
    """Raise the local correlation of ``images`` over the ``band``, held by the surfaces."""
    sparse = pair.sparse(settings.matches)
    for _ in range(settings.iterations):
        now = state(sparse, images, band, transform, settings)
        step = now.residuals.step()
        transform = advance(transform, step, now.centre_mm)
        if rms(moved_mm(step, now.residuals.points_mm, now.centre_mm)) < settings.tolerance_mm:
            break
    return transform
