"""Regions of the articular surface by their anatomical definitions (Eckstein et al. 2006).

Names: doi:10.1016/j.joca.2006.03.005. The compartments come from the atlas; centres, bands and thirds are then drawn on
the tAB of this knee, so that they hold their definition (20 % of tAB, a set part of the way, thirds of area) exactly.
"""

from __future__ import annotations

import numpy as np

from mriseg.atlas import LATERAL, MEDIAL, Carried, OnSurface
from mriseg.measure.parameters import MeasureParameters
from mriseg.measure.tuned import FigureParameters
from mriseg.types import Array, Bone, FloatArray, IntArray, Region

SIDES = {MEDIAL: "M", LATERAL: "L"}
THIRDS = ("ic", "cc", "ec")  # from the notch outwards


def region_codes(
    bone: Bone,
    vertices_mm: FloatArray,
    area_mm2: FloatArray,
    total: Array,
    *,
    carried: Carried,
    values: OnSurface,
    parameters: MeasureParameters,
) -> IntArray:
    """Code of :class:`Region` at each vertex (V,); 0 outside of ``total``."""
    codes = np.zeros(len(vertices_mm), dtype=np.int64)
    local = vertices_mm @ carried.axes.T
    for compartment, letter in SIDES.items():
        part = np.flatnonzero(total & (values.compartment == compartment))
        if part.size == 0:
            continue
        outward = 1.0 if compartment == LATERAL else -1.0
        if bone is Bone.TIBIA:
            codes[part] = _plate(local[part], area_mm2[part], letter, outward, parameters.central_fraction)
        elif bone is Bone.PATELLA:
            codes[part] = Region(f"{letter}P").code
        else:
            notch = carried.fit.vertices_mm[carried.atlas.notch] @ carried.axes.T
            codes[part] = _condyle(
                local[part],
                area_mm2[part],
                letter,
                outward,
                notch=float(notch[:, 1].mean()),
                fraction=0.01 * parameters.band_pct,
                figure=parameters.figure,
            )
    return codes


def _plate(local: FloatArray, area: FloatArray, letter: str, outward: float, fraction: float) -> IntArray:
    """Centre, anterior, posterior, external and internal part of one tibial plate.

    The centre is the similar ellipse about the centroid that holds ``fraction`` of the area; the others are the four
    quadrants about it, in coordinates in which the plate is round.
    """
    flat = local[:, :2]
    centre = area @ flat / area.sum()
    spread = np.sqrt(area @ (flat - centre) ** 2 / area.sum())
    across, along = ((flat - centre) / spread).T
    radius = np.hypot(across, along)
    order = np.argsort(radius, kind="stable")
    inside = np.zeros(len(radius), dtype=bool)
    inside[order[np.cumsum(area[order]) <= fraction * area.sum()]] = True
    side = np.where(across * outward > 0, Region(f"e{letter}T").code, Region(f"i{letter}T").code)
    end = np.where(along > 0, Region(f"a{letter}T").code, Region(f"p{letter}T").code)
    quadrant = np.where(np.abs(along) > np.abs(across), end, side)
    return np.where(inside, Region(f"c{letter}T").code, quadrant).astype(np.int64)


def _condyle(
    local: FloatArray,
    area: FloatArray,
    letter: str,
    outward: float,
    *,
    notch: float,
    fraction: float,
    figure: FigureParameters,
) -> IntArray:
    """Trochlea, weight-bearing band in thirds, and posterior part of one femoral condyle."""
    along, height = local[:, 1], local[:, 2]
    behind = along <= notch
    if not behind.any():
        return np.full(len(local), Region.TRF.code, dtype=np.int64)
    posterior = float(along[behind].min())
    limit = notch - fraction * (notch - posterior)
    # A plane crosses the curved condyle twice; the weight-bearing band is its lower crossing.
    lowest = float(height[behind].min())
    upper = height > lowest + figure.upper_fraction * (notch - posterior)
    band = behind & (along > limit) & ~upper
    codes = np.full(len(local), Region(f"p{letter}F").code, dtype=np.int64)
    codes[~behind] = Region.TRF.code
    index = np.flatnonzero(band)
    thirds = _thirds(outward * local[index, 0], along[index], area[index], figure.bands)
    names = np.array([Region(f"{third}{letter}F").code for third in THIRDS])
    codes[index] = names[thirds]
    return codes


def _thirds(across: FloatArray, along: FloatArray, area: FloatArray, bands: int) -> IntArray:
    """Third (0 inner, 1, 2 outer) of each point by cumulative area across, in ``bands`` slices along the band."""
    result = np.zeros(len(across), dtype=np.int64)
    if len(across) == 0:
        return result
    edges = np.linspace(along.min(), along.max() + 1e-9, bands + 1)
    strip = np.clip(np.searchsorted(edges, along, side="right") - 1, 0, bands - 1)
    for number in range(bands):
        index = np.flatnonzero(strip == number)
        order = index[np.argsort(across[index], kind="stable")]
        part = (np.cumsum(area[order]) - 0.5 * area[order]) / max(float(area[order].sum()), 1e-12)
        result[order] = np.minimum((len(THIRDS) * part).astype(np.int64), len(THIRDS) - 1)
    return result
