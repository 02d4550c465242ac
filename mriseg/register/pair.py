"""Two visits in, one rigid transform per bone out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from mriseg.errors import RegistrationError
from mriseg.geometry import crop
from mriseg.register.assess import assess
from mriseg.register.band import BandSettings, Obstacles
from mriseg.register.cloud import Cloud, bone_cloud, cartilage_points
from mriseg.register.pose import find_pose
from mriseg.register.refine import RefineSettings, refine
from mriseg.register.sampling import Field, smooth, to_voxels
from mriseg.register.surface import Pair, match
from mriseg.types import Bone, BoneRegistration, FloatArray, LabelMap, Registration, RigidTransform, Volume

SMOOTHING_MM = 0.7
SPACING_MM = 1.2
SIGMAS_MM = (1.0, 0.5)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Visit:
    volume: Volume | None
    labels: LabelMap
    clouds: dict[Bone, Cloud]
    cartilage_mm: FloatArray


def register(
    baseline: Volume | None,
    followup: Volume | None,
    *,
    baseline_labels: LabelMap | None,
    followup_labels: LabelMap | None,
) -> Registration:
    """Align every bone that both label maps show."""
    if baseline_labels is None or followup_labels is None:
        raise RegistrationError("whole image: not yet")
    if _digest(baseline, baseline_labels) > _digest(followup, followup_labels):
        swapped = _register(followup, baseline, followup_labels, baseline_labels)
        return Registration(bones={bone: _inverse(result) for bone, result in swapped.bones.items()})
    return _register(baseline, followup, baseline_labels, followup_labels)


def _register(
    baseline: Volume | None, followup: Volume | None, baseline_labels: LabelMap, followup_labels: LabelMap
) -> Registration:
    smoothing = SMOOTHING_MM
    a = _prepare(baseline, baseline_labels, smoothing)
    b = _prepare(followup, followup_labels, smoothing)
    bones: dict[Bone, BoneRegistration] = {}
    for bone in Bone:
        if not len(a.clouds[bone].points_mm) or not len(b.clouds[bone].points_mm):
            continue
        hints = tuple(r.transform for r in bones.values())
        bones[bone] = _register_bone(bone, a, b, hints)
    if not bones:
        raise RegistrationError("no bone is in both label maps")
    return Registration(bones=bones)


def _prepare(volume: Volume | None, labels: LabelMap, smoothing_mm: float) -> _Visit:
    return _Visit(
        volume=volume,
        labels=labels,
        clouds={b: bone_cloud(labels, b, smoothing_mm=smoothing_mm, spacing_mm=SPACING_MM) for b in Bone},
        cartilage_mm=cartilage_points(labels, spacing_mm=1.0),
    )


def _register_bone(bone: Bone, a: _Visit, b: _Visit, hints: tuple[RigidTransform, ...]) -> BoneRegistration:
    pair = Pair.of(a.clouds[bone], b.clouds[bone])
    transform = find_pose(pair, hints)
    if a.volume is not None and b.volume is not None:
        obstacles = (_obstacles(bone, a), _obstacles(bone, b))
        parts = (_part(a.volume, a.clouds[bone]), _part(b.volume, b.clouds[bone]))
        for sigma in SIGMAS_MM:
            images = (_field(parts[0], sigma), _field(parts[1], sigma))
            transform = refine(
                pair, images, obstacles, transform, band_settings=BandSettings(), settings=RefineSettings()
            )
    residual = float(np.abs(match(pair, transform).gap_mm).mean())
    verdict, reasons = assess({"residual_mm": residual})
    return BoneRegistration(transform=transform, verdict=verdict, reasons=reasons, residual_mm=residual)


def _obstacles(bone: Bone, visit: _Visit) -> Obstacles:
    others = [visit.clouds[other].points_mm for other in Bone if other is not bone]
    return Obstacles.of(visit.cartilage_mm, np.concatenate(others))


def _part(volume: Volume, cloud: Cloud, margin_mm: float = 8.0) -> Volume:
    ijk = to_voxels(volume.grid, cloud.points_mm)
    margin = margin_mm / volume.grid.spacing_mm
    return crop(volume, np.floor(ijk.min(axis=0) - margin), np.ceil(ijk.max(axis=0) + margin))


def _field(volume: Volume, sigma_mm: float) -> Field:
    return smooth(volume.data, volume.grid, sigma_mm=sigma_mm)


def _digest(volume: Volume | None, labels: LabelMap) -> bytes:
    digest = hashlib.blake2b()
    for image in (labels, volume):
        if image is not None:
            digest.update(image.grid.affine.tobytes())
            digest.update(image.data.tobytes())
    return digest.digest()


def _inverse(result: BoneRegistration) -> BoneRegistration:
    return BoneRegistration(
        transform=result.transform.inverse(),
        verdict=result.verdict,
        reasons=result.reasons,
        similarity=result.similarity,
        residual_mm=result.residual_mm,
        figures=result.figures,
    )
