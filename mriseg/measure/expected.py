"""Thickness that this knee would have without disease, and bone that rises into the cartilage bed."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist

from mriseg.types import Array, FloatArray

SOUND = (0.75, 1.5)  # of what is expected: thinner is taken for loss, thicker for an error or swelling
ROUNDS = 5
LOCAL_MM = 12.0  # over which this knee's own thickness may differ from the scaled norm
LOCAL_RANGE = (0.75, 1.3)
PRIOR_MM2 = 60.0  # weight of the knee's overall factor against sound cartilage nearby
NODES = 900
RISE_SMOOTHING_STEPS = 60


def expected_thickness(
    vertices_mm: FloatArray, norm_mm: FloatArray, thickness_mm: FloatArray, covered: Array, area_mm2: FloatArray
) -> FloatArray:
    """Thickness (V,) in mm that this knee would have without disease.

    The normative thickness of the atlas times a factor of this knee, times a factor that varies smoothly over the
    surface; both come from the sound cartilage alone, so that a lesion does not make its place look thin by nature.
    Where little sound cartilage is near, the factor of the knee stands alone.
    """
    factor = scale_to_knee(norm_mm, thickness_mm, covered, area_mm2)
    usable = np.flatnonzero(covered & (norm_mm > 0.5) & np.isfinite(thickness_mm))
    if usable.size == 0:
        return np.asarray(factor * norm_mm, dtype=np.float64)
    nodes = usable[:: max(1, len(usable) // NODES)]
    weight = float(area_mm2[usable].sum()) / len(nodes)
    ratio = thickness_mm[nodes] / (factor * norm_mm[nodes])
    kernel = np.exp(-0.5 * (cdist(vertices_mm[nodes], vertices_mm[nodes]) / LOCAL_MM) ** 2)
    local = np.ones(len(nodes))
    for _ in range(ROUNDS):
        sound = ((ratio > SOUND[0] * local) & (ratio < SOUND[1] * local)).astype(float)
        local = (kernel @ (sound * ratio) * weight + PRIOR_MM2) / (kernel @ sound * weight + PRIOR_MM2)
        local = np.clip(local, *LOCAL_RANGE)
    distance, near = KDTree(vertices_mm[nodes]).query(vertices_mm, k=min(6, len(nodes)), workers=2)
    share = 1.0 / (np.reshape(distance, (len(vertices_mm), -1)) ** 2 + 1.0)
    smooth = (share * local[near].reshape(share.shape)).sum(axis=1) / share.sum(axis=1)
    return np.asarray(factor * norm_mm * smooth, dtype=np.float64)


def scale_to_knee(norm_mm: FloatArray, thickness_mm: FloatArray, covered: Array, area_mm2: FloatArray) -> float:
    """Factor from the normative to this knee's thickness by its sound cartilage; 1 where there is too little.

    A weighted median of the ratio over covered vertices, repeated over those that it calls sound.
    """
    use = covered & np.isfinite(norm_mm) & (norm_mm > 0.5) & np.isfinite(thickness_mm)
    if area_mm2[use].sum() < 50.0:
        return 1.0
    ratio, weight = thickness_mm[use] / norm_mm[use], area_mm2[use]
    factor = _median(ratio, weight)
    for _ in range(ROUNDS):
        sound = (ratio > SOUND[0] * factor) & (ratio < SOUND[1] * factor)
        if not sound.any():
            break
        factor = _median(ratio[sound], weight[sound])
    return factor


def _median(values: FloatArray, weight: FloatArray) -> float:
    order = np.argsort(values, kind="stable")
    rank = np.cumsum(weight[order])
    return float(values[order][np.searchsorted(rank, 0.5 * rank[-1])])


def rise(vertices_mm: FloatArray, normals: FloatArray, graph: sparse.csr_array) -> FloatArray:
    """Height in mm of every vertex (V,) over the bone as it would be without bumps a few millimetres wide.

    The surface is smoothed over about 4 mm; an internal osteophyte stands out of it, a pit lies below.
    """
    links = graph.copy()
    links.data = np.ones_like(links.data)
    degree = np.maximum(np.asarray(links.sum(axis=1)).ravel(), 1.0)
    smooth = vertices_mm
    for _ in range(RISE_SMOOTHING_STEPS):
        smooth = 0.5 * smooth + 0.5 * (links @ smooth) / degree[:, None]
    return np.asarray(np.einsum("ij,ij->i", vertices_mm - smooth, normals), dtype=np.float64)
