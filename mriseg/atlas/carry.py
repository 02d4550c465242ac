"""Carry the atlas onto one knee by the shape of its bones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from mriseg.atlas.fit import Fit, fit, fit_similarity, target
from mriseg.atlas.model import LATERAL, MEDIAL, BoneAtlas
from mriseg.atlas.parameters import AtlasParameters
from mriseg.geometry import apply_affine
from mriseg.surfaces import Surface, vertex_normals
from mriseg.types import Array, Bone, FloatArray, IntArray, Verdict

DEFAULTS = AtlasParameters()
JOINT_END = {Bone.FEMUR: -1.0, Bone.TIBIA: 1.0, Bone.PATELLA: 0.0}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Carried:
    """The atlas laid onto one bone.

    Parameters
    ----------
    atlas : BoneAtlas
    fit : Fit
    residual_mm : float
        Mean distance between the fitted atlas and the bone where cartilage is expected.
    bend_mm : float
        Mean displacement of the atlas there beyond the similarity fit: what its shape had to give.
    seen : float
        Part of the expected cartilage area whose bone is in the field of view, 0 to 1.
    verdict : Verdict
    reasons : tuple of str
        Why the verdict is not good.
    """

    atlas: BoneAtlas
    fit: Fit
    residual_mm: float
    bend_mm: float
    seen: float
    verdict: Verdict
    reasons: tuple[str, ...]

    @property
    def axes(self) -> FloatArray:
        """Rows: unit vectors to lateral, anterior and superior (along the shaft) of this bone, (3, 3)."""
        rotation = self.fit.similarity[:3, :3] / self.fit.scale
        return np.asarray(self.atlas.axes @ rotation.T, dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RigidLay:
    """The atlas laid onto one bone by size and place alone.

    Parameters
    ----------
    vertices_mm : array, (V, 3)
        Atlas vertices after the fit, RAS mm of the bone.
    residual_mm : float
        Root mean square distance to the bone where cartilage is expected. It runs along the normals of the bone, so
        that the size of its triangles does not count, and ends at 6 mm a vertex.
    """

    vertices_mm: FloatArray
    residual_mm: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OnSurface:
    """Atlas values at each of V vertices of a bone surface; see :class:`BoneAtlas`."""

    coverage: FloatArray
    footprint: FloatArray
    thickness_mm: FloatArray
    compartment: IntArray


def carry(atlas: BoneAtlas, bone: Bone, surface: Surface, parameters: AtlasParameters = DEFAULTS) -> Carried:
    """Fit the atlas of ``bone`` to a (coarse) surface of it, in the right-knee frame."""
    goal = target(surface)
    weight = np.where(atlas.coverage > parameters.trusted, 1.0, parameters.shaft_weight)
    start = _start(atlas, bone, surface, parameters)
    laid = fit(atlas.surface, goal, start, weight=weight, parameters=parameters.fit)
    return _judge(atlas, bone, laid, parameters)


def lay_rigid(atlas: BoneAtlas, bone: Bone, surface: Surface, parameters: AtlasParameters = DEFAULTS) -> RigidLay:
    """Lay the atlas onto a (coarse) surface of a bone by a similarity alone, and say how far off it stays."""
    goal = target(surface)
    matrix = fit_similarity(
        atlas.surface,
        goal,
        _start(atlas, bone, surface, parameters),
        weight=np.ones(len(atlas.coverage)),
        steps=parameters.fit.side_steps,
        stride=parameters.fit.side_stride,
        parameters=parameters.fit,
    )
    points, cap = apply_affine(matrix, atlas.surface.vertices_mm), parameters.side_cap_mm
    apart, near = map(np.asarray, goal.tree.query(points))
    along = np.abs(np.einsum("ij,ij->i", points - goal.vertices_mm[near], goal.normals[near]))
    off = np.where(apart < cap, np.minimum(along, cap), cap)
    expected = atlas.coverage > parameters.side_coverage
    return RigidLay(vertices_mm=points, residual_mm=float(np.sqrt(np.mean(off[expected] ** 2))))


def _start(atlas: BoneAtlas, bone: Bone, surface: Surface, parameters: AtlasParameters) -> FloatArray:
    """Shift (4, 4) of the atlas to the place of a bone."""
    start = np.eye(4)
    depth = parameters.joint_depth_mm
    start[:3, 3] = anchor(bone, surface.vertices_mm, depth) - anchor(bone, atlas.surface.vertices_mm, depth)
    return start


def values_at(
    carried: Carried, vertices_mm: FloatArray, normals: FloatArray, parameters: AtlasParameters = DEFAULTS
) -> OnSurface:
    """Look the atlas up at ``vertices_mm`` (V, 3) with outward ``normals``: weighted mean of near, facing vertices."""
    atlas = carried.atlas
    near, weight = _facing(carried.fit.vertices_mm, atlas, vertices_mm, normals, parameters)
    broad, share = _facing(carried.fit.broad_mm, atlas, vertices_mm, normals, parameters)
    sound = np.isfinite(atlas.thickness_mm)
    return OnSurface(
        coverage=_mean(atlas.coverage[near], weight),
        footprint=_mean(atlas.footprint[broad], share),
        thickness_mm=_mean(np.where(sound, atlas.thickness_mm, 0.0)[near], weight * (sound[near] + 1e-9)),
        compartment=np.where(_mean(atlas.compartment[near], weight) > 0.5 * (MEDIAL + LATERAL), LATERAL, MEDIAL).astype(
            np.int64
        ),
    )


def _facing(
    fitted_mm: FloatArray,
    atlas: BoneAtlas,
    vertices_mm: FloatArray,
    normals: FloatArray,
    parameters: AtlasParameters,
) -> tuple[IntArray, FloatArray]:
    """Nearest atlas vertices (V, K), laid at ``fitted_mm``, of each point, weights that drop with distance and turn."""
    facing = vertex_normals(Surface(vertices_mm=fitted_mm, faces=atlas.surface.faces))
    distance, near = map(np.asarray, KDTree(fitted_mm).query(vertices_mm, k=parameters.neighbours, workers=2))
    alike = np.einsum("ijk,ik->ij", facing[near], normals)
    return near, np.clip(alike, 1e-3, None) / (distance**2 + parameters.near_mm**2)


def _mean(values: Array, weight: FloatArray) -> FloatArray:
    return np.asarray((values * weight).sum(axis=1) / weight.sum(axis=1), dtype=np.float64)


def anchor(bone: Bone, vertices_mm: FloatArray, depth_mm: float = DEFAULTS.joint_depth_mm) -> FloatArray:
    """Point that two bones have in common before any fit: middle of the joint end, (3,)."""
    end = JOINT_END[bone]
    if not end:
        return np.asarray(0.5 * (vertices_mm.min(axis=0) + vertices_mm.max(axis=0)))
    height = vertices_mm[:, 2] * end
    near = vertices_mm[height > height.max() - depth_mm]
    middle = 0.5 * (near.min(axis=0) + near.max(axis=0))
    middle[2] = height.max() * end
    return np.asarray(middle, dtype=np.float64)


def _judge(atlas: BoneAtlas, bone: Bone, result: Fit, limits: AtlasParameters) -> Carried:
    expected = atlas.coverage >= limits.judged
    distance = result.distance_mm[expected]
    seen = float(np.isfinite(distance).mean())
    residual = float(np.nanmean(distance)) if seen > 0 else float("inf")
    plain = apply_affine(result.similarity, atlas.surface.vertices_mm)
    bend = float(np.linalg.norm(result.vertices_mm - plain, axis=1)[expected].mean())
    reasons = []
    if residual > limits.good_residual_mm:
        reasons.append(f"the atlas lies {residual:.2f} mm off the {bone} (expected under {limits.good_residual_mm} mm)")
    if bend > limits.good_bend_mm:
        reasons.append(f"the {bone} differs from the atlas by {bend:.1f} mm (expected under {limits.good_bend_mm} mm)")
    if seen < limits.least_seen:
        reasons.append(f"only {100 * seen:.0f} % of the joint surface of the {bone} is in the image")
    failed = residual > limits.failed_residual_mm or bend > limits.failed_bend_mm or seen < limits.least_seen
    verdict = Verdict.FAILED if failed else Verdict.NEEDS_REVIEW if reasons else Verdict.GOOD
    return Carried(
        atlas=atlas,
        fit=result,
        residual_mm=residual,
        bend_mm=bend,
        seen=seen,
        verdict=verdict,
        reasons=tuple(reasons),
    )
