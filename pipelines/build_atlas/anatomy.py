"""Axes, compartments and landmarks of a mean bone, found from its shape and its cartilage footprint."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mriseg.atlas.carry import JOINT_END
from mriseg.atlas.fit import Fit, Target
from mriseg.atlas.model import LATERAL, MEDIAL
from mriseg.measure.footprint import components
from mriseg.surfaces import Surface, adjacency
from mriseg.types import Array, Bone, FloatArray

SHAFT_FROM_MM = {Bone.FEMUR: 48.0, Bone.TIBIA: 30.0}
POSTERIOR_PART = 0.3
NOTCH_HALF_WIDTH_MM, NOTCH_DEPTH_MM = 3.0, 2.5


def shaft_axis(bone: Bone, goals: Sequence[Target], fits: Sequence[Fit]) -> FloatArray:
    """Mean direction of the shaft, upwards, in the frame of the atlas; the image axis where there is no shaft."""
    axes = [axis for goal, fit in zip(goals, fits, strict=True) if (axis := _one_axis(bone, goal, fit)) is not None]
    return _unit(np.mean(axes, axis=0)) if axes else np.array([0.0, 0.0, 1.0])


def _one_axis(bone: Bone, goal: Target, fit: Fit) -> FloatArray | None:
    """Line through the middles of cross-sections of one shaft, turned into the frame of the atlas."""
    if bone not in SHAFT_FROM_MM:
        return None
    height = goal.vertices_mm[:, 2] * JOINT_END[bone]
    levels = np.arange(SHAFT_FROM_MM[bone], np.ptp(height) - 4.0, 3.0)
    if len(levels) < 4:
        return None
    cuts = [goal.vertices_mm[np.abs(height - (height.max() - level)) < 2.0] for level in levels]
    middles = np.array([0.5 * (cut.min(axis=0) + cut.max(axis=0)) for cut in cuts])
    _, _, directions = np.linalg.svd(middles - middles.mean(axis=0))
    upward = directions[0] * np.sign(directions[0][2])
    return np.asarray((fit.similarity[:3, :3] / fit.scale).T @ upward)


def frame(bone: Bone, surface: Surface, footprint: Array, shaft: FloatArray) -> tuple[FloatArray, Array, Array]:
    """Axes (3, 3; rows lateral, anterior, superior), compartment (V,) and notch (V,) bool of a mean right bone."""
    vertices = surface.vertices_mm
    notch = np.zeros(len(vertices), dtype=bool)
    if bone is Bone.PATELLA:
        axes = np.eye(3)
        return axes, np.where(vertices[:, 0] > _ridge(vertices, footprint), LATERAL, MEDIAL), notch
    if bone is Bone.TIBIA:
        parts = components(footprint, adjacency(surface))
        axes = _axes(vertices[parts == 1].mean(axis=0) - vertices[parts == 2].mean(axis=0), shaft)
        middle = _gap(vertices[footprint] @ axes[0])
        return axes, np.where(vertices @ axes[0] > middle, LATERAL, MEDIAL), notch
    axes = _axes(np.array([1.0, 0.0, 0.0]), shaft)
    for _ in range(2):
        along = vertices @ axes[1]
        low, high = along[footprint].min(), along[footprint].max()
        behind = footprint & (along < low + POSTERIOR_PART * (high - low))
        across = vertices @ axes[0]
        middle = _gap(across[behind])
        apart = vertices[behind & (across > middle)].mean(axis=0) - vertices[behind & (across < middle)].mean(axis=0)
        axes = _axes(apart, shaft)
    across, along = vertices @ axes[0], vertices @ axes[1]
    middle = _gap(across[behind])
    central = footprint & (np.abs(across - middle) < NOTCH_HALF_WIDTH_MM)
    notch = central & (along < np.sort(along[central])[:5].mean() + NOTCH_DEPTH_MM)
    return axes, np.where(across > middle, LATERAL, MEDIAL), notch


def _axes(across: FloatArray, superior: FloatArray) -> FloatArray:
    """Right-handed axes: lateral (image right) along ``across`` at right angles to ``superior``."""
    across = across * np.sign(across[0])
    lateral = _unit(across - (across @ superior) * superior)
    return np.array([lateral, np.cross(superior, lateral), superior])


def _gap(values: FloatArray) -> float:
    """Middle of the widest gap between sorted ``values`` (N,)."""
    ordered = np.sort(values)
    widest = int(np.argmax(np.diff(ordered)))
    return float(0.5 * (ordered[widest] + ordered[widest + 1]))


def _ridge(vertices: FloatArray, footprint: Array) -> FloatArray:
    """Position x (V,) of the patellar ridge at the height of each vertex: line through the most posterior points."""
    points = vertices[footprint]
    levels = np.arange(points[:, 2].min() + 4.0, points[:, 2].max() - 4.0, 1.5)
    slices = [points[np.abs(points[:, 2] - level) < 1.5] for level in levels]
    tops = np.array([cut[np.argsort(cut[:, 1])[:3]].mean(axis=0) for cut in slices])
    return np.asarray(np.polyval(np.polyfit(tops[:, 2], tops[:, 0], 1), vertices[:, 2]))


def _unit(vector: FloatArray) -> FloatArray:
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float64)
