"""The signal of cartilage in one image: one compact distribution a knee, that no crater can widen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import median

import edt
import numpy as np
from scipy import ndimage

from mriseg.segment.labelling import LABELS, MASK, box_around
from mriseg.segment.resample import F32
from mriseg.types import Bone, FloatArray

Box = tuple[slice, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalParameters:
    """How the signal of cartilage is learnt (docs/decisions/0019).

    Parameters
    ----------
    blur_mm : float
        SD of the smoothing that takes the edge off noise; a voxel of DESS in plane is 0.36 mm.
    core_mm : float
        As deep inside a cartilage lie the voxels that are learnt from, so that few of them are part something else.
    depth_mm : float
        Depth above the bone beyond which the signal does not change with depth.
    trim : float
        Spreads beyond which a voxel is an outlier (fluid in a crater, a lesion) and not learnt from.
    rounds : int
        Times that outliers are looked for.
    least : int
        Voxels that are needed.
    narrowest : float
        Smallest spread, as a share of the contrast to cortex: simulated images may have none.
    """

    blur_mm: float = 0.2
    core_mm: float = 0.5
    depth_mm: float = 4.0
    trim: float = 3.0
    rounds: int = 6
    least: int = 500
    narrowest: float = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """Signal of cartilage in one image, in its units.

    Parameters
    ----------
    base : float
        Level at the corner voxel (0, 0, 0) on the bone.
    slope_per_mm : tuple of float, (3,)
        How it changes along the axes of the image, as with the sensitivity of a coil.
    depth_per_mm : float
        How it changes with the depth above the bone, up to ``depth_mm``.
    depth_mm : float
    spread : float
        Robust SD about the level after smoothing.
    cortex : float
        Level of the dark cortex below it.
    blur_mm : float
        Smoothing that ``spread`` belongs to.
    """

    base: float
    slope_per_mm: tuple[float, float, float]
    depth_per_mm: float
    depth_mm: float
    spread: float
    cortex: float
    blur_mm: float

    def level(self, box: Box, depth_mm: F32, spacing_mm: FloatArray) -> F32:
        """Level in a ``box`` of the image, (I, J, K); ``depth_mm`` (I, J, K) is the height above the bone."""
        result = np.minimum(depth_mm, np.float32(self.depth_mm)) * np.float32(self.depth_per_mm)
        for axis, side in enumerate(box):
            line = np.arange(side.start, side.stop, dtype=np.float32) * np.float32(
                spacing_mm[axis] * self.slope_per_mm[axis]
            )
            result += line.reshape([-1 if a == axis else 1 for a in range(3)])
        return np.asarray(result + np.float32(self.base), dtype=np.float32)

    @property
    def contrast(self) -> float:
        """Difference from cortex at the corner voxel; negative where cartilage is darker."""
        return self.base - self.cortex


def cartilage_signal(
    labels: LABELS, image: F32, spacing_mm: FloatArray, parameters: SignalParameters | None = None
) -> Signal | None:
    """Learn the signal of cartilage from all cartilages of an image.

    Parameters
    ----------
    labels : array, (I, J, K)
        Values of :class:`~mriseg.types.Label`; up to a third of the cartilage may be something else.
    image : array, (I, J, K)
        Any intensity unit.
    spacing_mm : array, (3,)
        Voxel size.
    parameters : SignalParameters, optional

    Returns
    -------
    Signal or None
        None where there is too little cartilage, no bone beside it, or no contrast.
    """
    rule = parameters or SignalParameters()
    places, values, rims = [], [], []
    for bone in Bone:
        box = box_around(labels == bone.cartilage, margin=4)
        if box is None:
            continue
        part, smooth = labels[box], smoothed(image[box], spacing_mm, rule.blur_mm)
        own = part == bone.label
        depth = height_mm(own, spacing_mm)
        core = edt.edt(part == bone.cartilage, anisotropy=tuple(spacing_mm.tolist())) > rule.core_mm
        at = np.argwhere(core)
        corner = np.array([side.start for side in box])
        places.append(np.c_[(at + corner) * spacing_mm, np.minimum(depth[core], rule.depth_mm)])
        values.append(smooth[core])
        rims.append(smooth[own & (ndimage.binary_dilation(part == bone.cartilage, iterations=2))])
    if sum(map(len, values)) < rule.least or not sum(map(len, rims)):
        return None
    coefficients, spread = trimmed_fit(np.concatenate(places), np.concatenate(values), rule)
    cortex = float(np.percentile(np.concatenate(rims), 10))
    middle = float(np.median(np.concatenate(values)))
    spread = max(spread, rule.narrowest * abs(middle - cortex))
    if spread <= 0:
        return None
    base, i, j, k, depth_per_mm = coefficients.tolist()
    return Signal(
        base=base,
        slope_per_mm=(i, j, k),
        depth_per_mm=depth_per_mm,
        depth_mm=rule.depth_mm,
        spread=spread,
        cortex=cortex,
        blur_mm=rule.blur_mm,
    )


def pooled(signals: list[Signal]) -> list[Signal]:
    """Signals of several images of one knee with one spread, in units of each image's own contrast.

    Visits of a knee are then judged alike, whatever the order that they come in; levels stay each image's own. Without
    a signal, or where one has no contrast, they are returned as they are.
    """
    shares = [signal.spread / abs(signal.contrast) for signal in signals if signal.contrast]
    if not shares or len(shares) < len(signals):
        return signals
    share = median(shares)
    return [replace(signal, spread=share * abs(signal.contrast)) for signal in signals]


def trimmed_fit(places: FloatArray, values: F32, rule: SignalParameters) -> tuple[FloatArray, float]:
    """Coefficients (5,) of level, place and depth, and the spread about them, without outliers.

    ``places`` (N, 4) holds three coordinates in mm and the depth; the fit starts at the median of ``values`` (N,), so
    that outliers may be a third of them.
    """
    middle = places.mean(axis=0)
    terms = np.c_[np.ones(len(places)), places - middle]
    residual = values - np.median(values)
    for _ in range(rule.rounds):
        kept = np.abs(residual) <= rule.trim * max(robust_sd(residual), 1e-9)
        fitted, *_ = np.linalg.lstsq(terms[kept], values[kept].astype(np.float64), rcond=None)
        residual = values - terms @ fitted
    fitted[0] -= fitted[1:] @ middle
    return fitted, robust_sd(residual)


def robust_sd(values: FloatArray | F32) -> float:
    """SD of most of ``values`` (N,), from their median absolute deviation."""
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


def smoothed(image: F32, spacing_mm: FloatArray, blur_mm: float) -> F32:
    """Image (I, J, K) smoothed by a Gaussian with an SD of ``blur_mm``."""
    return np.asarray(ndimage.gaussian_filter(image, blur_mm / spacing_mm, truncate=2.5), dtype=np.float32)


def height_mm(bone: MASK, spacing_mm: FloatArray) -> F32:
    """Distance (I, J, K) in mm from a bone."""
    return np.asarray(edt.edt(~bone, anisotropy=tuple(spacing_mm.tolist())), dtype=np.float32)
