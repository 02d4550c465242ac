"""Fit a template surface to the surface of a bone: similarity first, then ever finer smooth displacements.

Only the bone is looked at, never the cartilage. A pair of points counts only where the two surfaces face the same way
and where the bone does not end at the border of the field of view, so a bone that is cut still fits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from mriseg.atlas.parameters import FitParameters
from mriseg.geometry import apply_affine, similarity_of
from mriseg.surfaces import Surface, border_vertices, vertex_normals
from mriseg.types import Array, FloatArray, IntArray

DEFAULTS = FitParameters()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Target:
    """A bone surface prepared for fitting: points, outward normals, and whether a point lies on an open border."""

    vertices_mm: FloatArray
    normals: FloatArray
    border: Array
    tree: KDTree


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fit:
    """A template laid onto one bone.

    Parameters
    ----------
    vertices_mm : array, (V, 3)
        Template vertices after the fit, RAS mm of the bone.
    broad_mm : array, (V, 3)
        The same after size, place and the broadest bending alone, which osteophytes at the margin do not pull along.
    similarity : array, (4, 4)
        Similarity part of the fit: template mm -> bone mm.
    distance_mm : array, (V,)
        Distance of each vertex to the bone; NaN where the bone is not in the field of view.
    """

    vertices_mm: FloatArray
    broad_mm: FloatArray
    similarity: FloatArray
    distance_mm: FloatArray

    @property
    def scale(self) -> float:
        """Size of this bone relative to the template."""
        return float(np.cbrt(np.linalg.det(self.similarity[:3, :3])))


def target(surface: Surface) -> Target:
    """Prepare a bone surface as the target of fits."""
    normals = vertex_normals(surface)
    tree = KDTree(surface.vertices_mm)
    return Target(vertices_mm=surface.vertices_mm, normals=normals, border=border_vertices(surface), tree=tree)


def fit_similarity(
    template: Surface,
    bone: Target,
    start: FloatArray,
    *,
    weight: FloatArray,
    steps: int | None = None,
    stride: int = 1,
    parameters: FitParameters = DEFAULTS,
) -> FloatArray:
    """Similarity transform (4, 4) that lays ``template`` onto ``bone``, by trimmed closest points from ``start``.

    Closest points are taken both ways: one way alone lets the template shrink. ``weight`` (V,) is the trust in each
    template vertex, ``steps`` the most that are made; every ``stride``-th vertex is used. Stops early when nothing
    moves by ``still_mm``.
    """
    matrix = start.copy()
    vertices, weight = template.vertices_mm[::stride], weight[::stride]
    normals, open_end = vertex_normals(template)[::stride], border_vertices(template)[::stride]
    bone_points, bone_normals = bone.vertices_mm[:: 2 * stride], bone.normals[:: 2 * stride]
    previous = np.full_like(vertices, np.inf)
    p = parameters
    for _ in range(p.similarity_steps if steps is None else steps):
        points = apply_affine(matrix, vertices)
        if np.abs(points - previous).max() < p.still_mm:
            break
        previous = points
        turned = normals @ (matrix[:3, :3] / np.cbrt(np.linalg.det(matrix[:3, :3]))).T
        foot, trust, _ = _pairs(points, turned, bone, p)
        moving = Target(vertices_mm=points, normals=turned, border=open_end, tree=KDTree(points))
        near, back = _back_pairs(bone_points, bone_normals, moving, p)
        matrix = similarity_of(
            np.vstack([vertices, vertices[near]]),
            np.vstack([foot, bone_points]),
            np.concatenate([trust * weight, back * weight[near] * len(points) / len(bone_points)]),
            scales=(p.least_scale, p.most_scale),
        )
    return matrix


def _back_pairs(
    points: FloatArray, normals: FloatArray, moving: Target, p: FitParameters
) -> tuple[IntArray, FloatArray]:
    """Template vertex closest to each bone point, and a trust that drops what lies beyond the template."""
    distance, near = map(np.asarray, moving.tree.query(points))
    usable = ~moving.border[near] & (np.einsum("ij,ij->i", moving.normals[near], normals) > p.facing)
    return near, _trust(distance, usable, p)


def _trust(distance: FloatArray, usable: Array, p: FitParameters) -> FloatArray:
    """Trust (N,) of 0 to 1 in pairs at ``distance`` (N,), which falls off beyond a multiple of the usual one."""
    usual = p.spread_factor * float(np.median(distance[usable])) + p.spread_summand_mm if usable.any() else 1.0
    return np.where(usable, 1.0 / (1.0 + (distance / (p.trust_reach * usual)) ** 4), 0.0)


def fit(
    template: Surface, bone: Target, start: FloatArray, *, weight: FloatArray, parameters: FitParameters = DEFAULTS
) -> Fit:
    """Lay ``template`` onto ``bone``: similarity from ``start`` (4, 4), then displacements smooth over ever less."""
    p = parameters
    similarity = fit_similarity(template, bone, start, weight=weight, parameters=p)
    points = apply_affine(similarity, template.vertices_mm)
    reference = points.copy()
    source = np.arange(0, len(points), p.stride)
    squared = _squared_distances(reference, reference[source])
    stages = []
    for smoothing in p.smoothing_mm:
        kernel = np.exp(squared / np.float32(-2.0 * smoothing**2))
        for _ in range(p.steps):
            normals = vertex_normals(Surface(vertices_mm=points, faces=template.faces))
            foot, trust, facing = _pairs(points, normals, bone, p)
            along = np.einsum("ij,ij->i", foot - points, facing)
            pull = (trust * along)[:, None] * facing
            smooth = kernel @ np.column_stack([pull, trust])[source].astype(np.float32)
            points = points + smooth[:, :3] / (smooth[:, 3:] + 1e-3)
        stages.append(points)
    normals = vertex_normals(Surface(vertices_mm=points, faces=template.faces))
    foot, trust, facing = _pairs(points, normals, bone, p)
    distance = np.abs(np.einsum("ij,ij->i", foot - points, facing))
    return Fit(
        vertices_mm=points,
        broad_mm=stages[0],
        similarity=similarity,
        distance_mm=np.where(trust > 0, distance, np.nan),
    )


def _pairs(
    points: FloatArray, normals: FloatArray, bone: Target, p: FitParameters
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Closest facing point of the bone, a trust of 0 to 1 (0 at open borders and for outliers), its normal."""
    _, near = bone.tree.query(points)
    foot, facing = bone.vertices_mm[near], bone.normals[near]
    distance = np.linalg.norm(foot - points, axis=1)
    usable = ~bone.border[near] & (np.einsum("ij,ij->i", facing, normals) > p.facing)
    return foot, _trust(distance, usable, p), facing


def _squared_distances(points: FloatArray, sources: FloatArray) -> Array:
    a, b = ((p - points.mean(axis=0)).astype(np.float32) for p in (points, sources))
    return np.asarray((a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1)[None, :] - 2.0 * a @ b.T)
