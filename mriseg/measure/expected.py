"""Thickness that this knee would have without disease, and bone that rises into the cartilage bed."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from mriseg.types import Array, FloatArray

SOUND = (0.7, 1.5)  # of the scaled norm: thinner is taken for loss, thicker for an error or swelling
ROUNDS = 6
RISE_SMOOTHING_STEPS = 60


def scale_to_knee(norm_mm: FloatArray, thickness_mm: FloatArray, covered: Array, area_mm2: FloatArray) -> float:
    """Factor from the normative to this knee's thickness by its sound cartilage; 1 where there is too little.

    A weighted median of the ratio over covered vertices, repeated over those that it calls sound, so that a large
    lesion does not make the knee look thin everywhere.
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
