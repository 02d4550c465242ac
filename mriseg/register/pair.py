"""Two visits in, one rigid transform per bone out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from mriseg.errors import RegistrationError
from mriseg.register.assess import Thresholds, assess
from mriseg.register.band import BandSettings, make_band
from mriseg.register.figures import figures_of, mirrored_fits_better, residual_mm
from mriseg.register.pose import find_pose
from mriseg.register.refine import RefineSettings, refine, state
from mriseg.register.sampling import Field
from mriseg.register.surface import Pair, overlap
from mriseg.register.visit import VisitSurfaces, field_of, visit_surfaces
from mriseg.register.whole import register_whole
from mriseg.types import Bone, BoneRegistration, LabelMap, Registration, RigidTransform, Verdict, Volume

FEWEST_POINTS = 200  # of a surface, about 3 cm2: less holds no rotation


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterSettings:
    """Everything that can be set; the defaults are those of all published figures.

    Parameters
    ----------
    smoothing_mm : float
        Of label maps, at least; thick slices raise it to 0.6 of the larger spacing, alike for both visits.
    spacing_mm : float
        Between surface points.
    sigmas_mm : tuple of float
        Of the images, from coarse to fine.
    """

    smoothing_mm: float = 0.7
    spacing_mm: float = 1.2
    sigmas_mm: tuple[float, ...] = (1.0, 0.5)
    band: BandSettings = field(default_factory=BandSettings)
    refine: RefineSettings = field(default_factory=RefineSettings)
    thresholds: Thresholds = field(default_factory=Thresholds)


def register(
    baseline: Volume | None,
    followup: Volume | None,
    *,
    baseline_labels: LabelMap | None,
    followup_labels: LabelMap | None,
    settings: RegisterSettings | None = None,
) -> Registration:
    """Align every bone that both visits show.

    With images and label maps the surfaces give the pose and intensities refine it. With label maps alone the surfaces
    decide. With images alone the whole knee is aligned as one block, the same transform for every bone, and the verdict
    is ``coarse``.

    Parameters
    ----------
    baseline, followup : Volume or None
        Images of both visits in the knee's own RAS space; both or none.
    baseline_labels, followup_labels : LabelMap or None
        Label maps of both visits, not necessarily on the grid of the image; both or none.
    settings : RegisterSettings, optional

    Returns
    -------
    Registration
        Bones that one of the visits does not show are absent. Swapping the visits gives exactly the inverse: the
        arithmetic runs in an order that the content decides.

    Raises
    ------
    RegistrationError
        Where there is nothing to align: no pair of images or label maps, or no bone that both visits show.
    """
    chosen = settings or RegisterSettings()
    one, two = (baseline, baseline_labels), (followup, followup_labels)
    if _digest(*one) > _digest(*two):
        swapped = _register(*two, *one, chosen)
        return Registration(bones={bone: _inverse(result) for bone, result in swapped.bones.items()})
    return _register(*one, *two, chosen)


def _register(
    baseline: Volume | None,
    baseline_labels: LabelMap | None,
    followup: Volume | None,
    followup_labels: LabelMap | None,
    settings: RegisterSettings,
) -> Registration:
    if baseline_labels is None or followup_labels is None:
        if baseline is None or followup is None:
            raise RegistrationError("Nothing to register: give two images, two label maps, or both.")
        return register_whole(baseline, followup, settings.thresholds)
    coarsest = max(float(m.grid.spacing_mm.max()) for m in (baseline_labels, followup_labels))
    smoothing = max(settings.smoothing_mm, 0.6 * coarsest)
    with_images = baseline is not None and followup is not None
    a, b = (
        visit_surfaces(v if with_images else None, m, smoothing_mm=smoothing, spacing_mm=settings.spacing_mm)
        for v, m in ((baseline, baseline_labels), (followup, followup_labels))
    )
    bones: dict[Bone, BoneRegistration] = {}
    for bone in Bone:
        if len(a.clouds[bone].points_mm) and len(b.clouds[bone].points_mm):
            bones[bone] = register_bone(bone, a, b, bones, settings)
    if not bones:
        raise RegistrationError("No bone is in both label maps; expected femur (1), tibia (3) or patella (5) in each.")
    return Registration(bones=doubt_together(bones))


def doubt_together(bones: Mapping[Bone, BoneRegistration]) -> dict[Bone, BoneRegistration]:
    """Fail every bone where two or more do not fit: one knee cannot belong to two patients.

    A bone that the field of view hardly shows says nothing about the others.
    """
    failed = [b for b, result in bones.items() if result.verdict is Verdict.FAILED and np.isfinite(result.residual_mm)]
    if len(failed) < 2:
        return dict(bones)
    reason = f"{' and '.join(failed)} failed: this may be another knee"
    return {
        bone: result if bone in failed else replace(result, verdict=Verdict.FAILED, reasons=(*result.reasons, reason))
        for bone, result in bones.items()
    }


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
    transform, images, band = posed, None, None
    review_mm, failed_mm = settings.thresholds.residual_mm(bone)
    fits = residual_mm(pair, posed) <= failed_mm
    for sigma in settings.sigmas_mm if fits else ():
        images = _images(bone, a, b, sigma)
        if images is None:
            break
        band = make_band(pair, transform, (a.obstacles(bone), b.obstacles(bone)), settings.band)
        transform = refine(pair, images, band, transform, settings.refine)
    final = state(pair, images, band, transform, settings.refine)
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


def _images(bone: Bone, a: VisitSurfaces, b: VisitSurfaces, sigma_mm: float) -> tuple[Field, Field] | None:
    """Images of both visits around the bone under a Gaussian of ``sigma_mm``; None without images."""
    one, two = a.image_of(bone), b.image_of(bone)
    if one is None or two is None:
        return None
    return field_of(one, sigma_mm=sigma_mm), field_of(two, sigma_mm=sigma_mm)


def _failed(reason: str) -> BoneRegistration:
    return BoneRegistration(transform=RigidTransform.identity(), verdict=Verdict.FAILED, reasons=(reason,))


def _digest(volume: Volume | None, labels: LabelMap | None) -> bytes:
    """Digest of the content of a visit, to put two visits in an order that does not depend on which came first."""
    digest = hashlib.blake2b()
    for image in (labels, volume):
        if image is not None:
            digest.update(image.grid.affine.tobytes())
            digest.update(np.ascontiguousarray(image.data).tobytes())
    return digest.digest()


def _inverse(result: BoneRegistration) -> BoneRegistration:
    return replace(result, transform=result.transform.inverse())
