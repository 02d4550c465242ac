"""Without label maps: the whole knee as one block, coarser and marked as such."""

from __future__ import annotations

from itertools import product

import numpy as np
from scipy.spatial.transform import Rotation

from mriseg.geometry import apply_affine, halfway, nearest_rigid, rotation_deg
from mriseg.register.assess import Thresholds
from mriseg.register.band import Band, patches
from mriseg.register.correlation import agreement
from mriseg.register.motion import advance, jackknife_mm, moved_mm, rms
from mriseg.register.sampling import Field, inside, smooth
from mriseg.types import Bone, BoneRegistration, FloatArray, Registration, RigidTransform, Verdict, Volume

PATCH_MM = 25.0
REACH_MM = 75.0  # from the centre of the knee: what a knee coil sees
LEAST_SHARED = 0.3  # of the lattice; less is no overlap of two knees


def register_whole(baseline: Volume, followup: Volume, limits: Thresholds) -> Registration:
    """Align two images by local correlation from a grid of starts; the same transform for every bone."""
    transform = _search(baseline, followup)
    for sigma, spacing in ((2.0, 4.0), (1.0, 2.5)):
        fields = _fields(baseline, followup, sigma)
        transform = _climb(fields, transform, spacing_mm=spacing, iterations=20)
    return Registration(bones=dict.fromkeys(Bone, _judged(fields, transform, limits)))


def _judged(fields: tuple[Field, Field], transform: RigidTransform, limits: Thresholds) -> BoneRegistration:
    """Figures and verdict: coarse at best, failed where the images share too little or do not agree."""
    band, shared = _lattice(fields, transform, 2.5)
    if shared < LEAST_SHARED:
        reason = f"the two images share only {shared:.0%} of what they show (limit {LEAST_SHARED:.0%})"
        return BoneRegistration(transform=transform, verdict=Verdict.FAILED, reasons=(reason,))
    centre = np.asarray(band.points_mm.mean(axis=0), dtype=np.float64)
    final = agreement(fields, band, transform, centre)
    figures = {
        "overlap": shared,
        "spread_mm": jackknife_mm(final.residuals, band.points_mm, centre),
        "rotation_deg": rotation_deg(transform),
    }
    verdict, reason = Verdict.COARSE, "no label maps: the whole knee was aligned as one block, bones not one by one"
    if not final.similarity >= limits.whole_similarity:
        verdict = Verdict.FAILED
        reason = f"the images do not agree (correlation {final.similarity:.2f}, limit {limits.whole_similarity:g})"
    return BoneRegistration(
        transform=transform, verdict=verdict, reasons=(reason,), similarity=final.similarity, figures=figures
    )


def _search(baseline: Volume, followup: Volume) -> RigidTransform:
    """Best of a grid of rotations about the centres of intensity, and of no motion, at low resolution."""
    fields = _fields(baseline, followup, 5.0)
    a, b = _centre(baseline), _centre(followup)
    starts = [RigidTransform.identity()]
    for turn in product((-20.0, 0.0, 20.0), repeat=3):
        matrix = np.eye(4)
        matrix[:3, :3] = Rotation.from_rotvec(turn, degrees=True).as_matrix()
        matrix[:3, 3] = b - matrix[:3, :3] @ a
        starts.append(nearest_rigid(matrix))
    ends = [_climb(fields, start, spacing_mm=8.0, iterations=12) for start in starts]
    return max(ends, key=lambda end: _score(fields, end))


def _climb(
    fields: tuple[Field, Field], transform: RigidTransform, *, spacing_mm: float, iterations: int
) -> RigidTransform:
    band, shared = _lattice(fields, transform, spacing_mm)
    if shared < LEAST_SHARED:
        return transform
    centre = np.asarray(band.points_mm.mean(axis=0), dtype=np.float64)
    for _ in range(iterations):
        step = agreement(fields, band, transform, centre).residuals.step()
        step *= min(1.0, 5.0 / max(rms(moved_mm(step, band.points_mm, centre)), 1e-9))
        transform = advance(transform, step, centre)
        if rms(moved_mm(step, band.points_mm, centre)) < 1e-3 * spacing_mm:
            break
    return transform


def _score(fields: tuple[Field, Field], transform: RigidTransform) -> float:
    band, shared = _lattice(fields, transform, 8.0)
    if shared < LEAST_SHARED:
        return -1.0
    similarity = agreement(fields, band, transform, np.zeros(3)).similarity
    return similarity if np.isfinite(similarity) else -1.0


def _lattice(fields: tuple[Field, Field], transform: RigidTransform, spacing_mm: float) -> tuple[Band, float]:
    """Lattice of half-way space that both images show, and its share of what the smaller of them shows."""
    half = halfway(transform)
    to_middle = (half, half.inverse())
    centre = np.mean([t.apply(_middle(f)) for f, t in zip(fields, to_middle, strict=True)], axis=0)
    axis = np.arange(-REACH_MM, REACH_MM + spacing_mm, spacing_mm)
    points = centre + np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    seen = [inside(f.grid, t.inverse().apply(points)) for f, t in zip(fields, to_middle, strict=True)]
    both = seen[0] & seen[1]
    share = float(both.sum() / max(min(s.sum() for s in seen), 1))
    return Band(points_mm=points[both], patch=patches(points[both], PATCH_MM)), share


def _middle(field: Field) -> FloatArray:
    return apply_affine(field.grid.affine, (np.array([field.grid.shape]) - 1) / 2.0)


def _centre(volume: Volume) -> FloatArray:
    """Centre of intensity, RAS mm (3,)."""
    data = np.asarray(volume.data[::2, ::2, ::2], dtype=np.float64)
    data = np.maximum(data - np.median(data), 0.0)
    total = max(float(data.sum()), 1e-12)
    index = [
        2.0 * float((data.sum(axis=tuple({0, 1, 2} - {k})) * np.arange(data.shape[k])).sum()) / total for k in range(3)
    ]
    return apply_affine(volume.grid.affine, np.array(index))


def _fields(baseline: Volume, followup: Volume, sigma_mm: float) -> tuple[Field, Field]:
    one, two = (smooth(v.data, v.grid, sigma_mm=sigma_mm) for v in (baseline, followup))
    return one, two
