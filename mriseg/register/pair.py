"""Two visits in, one rigid transform per bone out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from mriseg.errors import RegistrationError
from mriseg.register.bone import register_bone
from mriseg.register.settings import RegisterSettings
from mriseg.register.visit import visit_surfaces
from mriseg.register.whole import register_whole
from mriseg.types import Bone, BoneRegistration, LabelMap, Registration, Verdict, Volume


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
