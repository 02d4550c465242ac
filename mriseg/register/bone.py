"""One bone of two visits: from surfaces to pose, from pose to images, from images to a verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from mriseg.register.assess import assess
from mriseg.register.band import make_band
from mriseg.register.figures import figures_of, mirrored_fits_better, residual_mm
from mriseg.register.pose import find_pose
from mriseg.register.refine import State, refine, state
from mriseg.register.sampling import smooth
from mriseg.register.settings import RegisterSettings
from mriseg.register.surface import Pair, overlap
from mriseg.register.visit import VisitSurfaces
from mriseg.types import Bone, BoneRegistration, RigidTransform, Verdict

FEWEST_POINTS = 200  # of a surface, about 3 cm2: less holds no rotation


def register_bone(
    bone: Bone,
    a: VisitSurfaces,
    b: VisitSurfaces,
    before: Mapping[Bone, BoneRegistration],
    settings: RegisterSettings,
) -> BoneRegistration:
    """Align one bone of two visits; the transforms of the bones aligned ``before`` are starts for this one."""
    hints = tuple(result.transform for result in before.values() if result.verdict is not Verdict.FAILED)
    clouds = (a.clouds[bone], b.clouds[bone])
    fewest = min(len(c.points_mm) for c in clouds)
    if fewest < FEWEST_POINTS:
        return _failed(f"the field of view shows too little of the {bone} ({fewest} surface points)")
    pair = Pair.of(*clouds)
    posed = find_pose(pair, hints)
    if overlap(pair, posed) < settings.thresholds.failed_overlap:
        return _failed(f"the two fields of view hardly share any surface of the {bone}")
    review_mm, failed_mm = settings.thresholds.residual_mm(bone)
    if residual_mm(pair, posed) > failed_mm:
        transform, final = posed, state(pair, None, None, posed, settings.refine)
    else:
        transform, final = _refined(bone, pair, (a, b), posed, settings)
    figures = figures_of(pair, transform, posed, final, (a.labels.grid, b.labels.grid))
    if figures["residual_mm"] > review_mm and not before:  # the first bone speaks for the side of the knee
        figures["mirror_fits_better"] = float(mirrored_fits_better(pair, figures["residual_mm"], failed_mm))
    verdict, reasons = assess(figures, bone, settings.thresholds)
    return BoneRegistration(
        transform=transform,
        verdict=verdict,
        reasons=reasons,
        similarity=final.similarity,
        residual_mm=figures.pop("residual_mm"),
        figures=figures,
    )


def _refined(
    bone: Bone,
    pair: Pair,
    visits: tuple[VisitSurfaces, VisitSurfaces],
    posed: RigidTransform,
    settings: RegisterSettings,
) -> tuple[RigidTransform, State]:
    """Go from the pose of the surfaces to that of the images, coarse to fine; without images the pose stays.

    Images that show nothing of the bone, or nothing that can be compared, have the similarity 0.
    """
    a, b = visits
    if a.volume is None or b.volume is None:
        return posed, state(pair, None, None, posed, settings.refine)
    parts = [part for part in (a.image_of(bone), b.image_of(bone)) if part is not None]
    transform, images, band = posed, None, None
    for sigma in settings.sigmas_mm if len(parts) == 2 else ():
        one, two = (smooth(part.data, part.grid, sigma_mm=sigma) for part in parts)
        images = (one, two)
        band = make_band(pair, transform, (a.obstacles(bone), b.obstacles(bone)), settings.band)
        transform = refine(pair, images, band, transform, settings.refine)
    final = state(pair, images, band, transform, settings.refine)
    return transform, final if np.isfinite(final.similarity) else replace(final, similarity=0.0)


def _failed(reason: str) -> BoneRegistration:
    return BoneRegistration(transform=RigidTransform.identity(), verdict=Verdict.FAILED, reasons=(reason,))
