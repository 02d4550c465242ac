"""Thickness that this knee would have without disease, and bone that rises into the cartilage bed."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist

from mriseg.measure.tuned import NormParameters
from mriseg.types import Array, FloatArray

DEFAULTS = NormParameters()


def expected_thickness(
    vertices_mm: FloatArray,
    norm_mm: FloatArray,
    thickness_mm: FloatArray,
    covered: Array,
    area_mm2: FloatArray,
    *,
    parameters: NormParameters = DEFAULTS,
) -> FloatArray:
    """Thickness (V,) in mm that this knee would have without disease.

    The normative thickness of the atlas times a factor of this knee, times a factor that varies smoothly over the
    surface; both come from the sound cartilage alone, so that a lesion does not make its place look thin by nature.
    Where little sound cartilage is near, the factor of the knee stands alone.
    """
    p = parameters
    factor = scale_to_knee(norm_mm, thickness_mm, covered, area_mm2, parameters=p)
    usable = np.flatnonzero(covered & (norm_mm > p.least_mm) & np.isfinite(thickness_mm))
    if usable.size == 0:
        return np.asarray(factor * norm_mm, dtype=np.float64)
    nodes = usable[:: max(1, len(usable) // p.nodes)]
    weight = float(area_mm2[usable].sum()) / len(nodes)
    ratio = thickness_mm[nodes] / (factor * norm_mm[nodes])
    kernel = np.exp(-0.5 * (cdist(vertices_mm[nodes], vertices_mm[nodes]) / p.local_mm) ** 2)
    local = np.ones(len(nodes))
    for _ in range(p.rounds):
        sound = ((ratio > p.sound_low * local) & (ratio < p.sound_high * local)).astype(float)
        local = (kernel @ (sound * ratio) * weight + p.prior_mm2) / (kernel @ sound * weight + p.prior_mm2)
        local = np.clip(local, p.local_low, p.local_high)
    distance, near = KDTree(vertices_mm[nodes]).query(vertices_mm, k=min(p.neighbours, len(nodes)), workers=2)
    share = 1.0 / (np.reshape(distance, (len(vertices_mm), -1)) ** 2 + 1.0)
    smooth = (share * local[near].reshape(share.shape)).sum(axis=1) / share.sum(axis=1)
    return np.asarray(factor * norm_mm * smooth, dtype=np.float64)


def scale_to_knee(
    norm_mm: FloatArray,
    thickness_mm: FloatArray,
    covered: Array,
    area_mm2: FloatArray,
    *,
    parameters: NormParameters = DEFAULTS,
) -> float:
    """Factor from the normative to this knee's thickness by its sound cartilage; 1 where there is too little.

    A weighted median of the ratio over covered vertices, repeated over those that it calls sound.
    """
    p = parameters
    use = covered & np.isfinite(norm_mm) & (norm_mm > p.least_mm) & np.isfinite(thickness_mm)
    if area_mm2[use].sum() < p.least_mm2:
        return 1.0
    ratio, weight = thickness_mm[use] / norm_mm[use], area_mm2[use]
    factor = _median(ratio, weight)
    for _ in range(p.rounds):
        sound = (ratio > p.sound_low * factor) & (ratio < p.sound_high * factor)
        if not sound.any():
            break
        factor = _median(ratio[sound], weight[sound])
    return factor


def _median(values: FloatArray, weight: FloatArray) -> float:
    order = np.argsort(values, kind="stable")
    rank = np.cumsum(weight[order])
    return float(values[order][np.searchsorted(rank, 0.5 * rank[-1])])


def rise(
    vertices_mm: FloatArray, normals: FloatArray, graph: sparse.csr_array, *, steps: int = DEFAULTS.rise_steps
) -> FloatArray:
    """Height in mm of every vertex (V,) over the bone as it would be without bumps a few millimetres wide.

    The surface is smoothed over about 4 mm; an internal osteophyte stands out of it, a pit lies below.
    """
    links = graph.copy()
    links.data = np.ones_like(links.data)
    degree = np.maximum(np.asarray(links.sum(axis=1)).ravel(), 1.0)
    smooth = vertices_mm
    for _ in range(steps):
        smooth = 0.5 * smooth + 0.5 * (links @ smooth) / degree[:, None]
    return np.asarray(np.einsum("ij,ij->i", vertices_mm - smooth, normals), dtype=np.float64)
