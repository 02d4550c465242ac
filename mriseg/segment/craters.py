"""Craters: what lies within a cartilage and signals otherwise is none of it.

A network that draws every knee alike fills lesions with cartilage, and histograms that learn from what it drew learn
fluid as cartilage. Here cartilage has one compact distribution a knee: a level that follows the coil and the depth
below the surface, and a spread. What is as even as cartilage but lies outside of that distribution is a pocket of
something else, brighter or darker, whatever the sequence (docs/decisions/0019).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.ndimage import maximum_filter, minimum_filter

from mriseg.segment.anatomy import components
from mriseg.segment.inference import of_each_bone
from mriseg.segment.labelling import LABELS, MASK, box_around
from mriseg.segment.resample import F32
from mriseg.segment.signal import Signal, cartilage_signal, height_mm, smoothed
from mriseg.types import Bone, FloatArray

Found = tuple[tuple[slice, ...], MASK]
SEEN = 1e-4  # weight of a pocket's even voxels below which none of them is near


@dataclass(frozen=True, slots=True, kw_only=True)
class CraterParameters:
    """When something in a cartilage is a crater. Chosen on validation knees as DESS (docs/decisions/0019).

    Parameters
    ----------
    clear : float
        Spreads of cartilage that a voxel and its neighbours differ by at least.
    even : float
        Largest difference from its neighbours, as a share of the difference from cartilage: inside a pocket the signal
        is even, while voxels that are part cartilage and part something else lie on a slope.
    anisotropy : float
        Neighbours are looked at along axes whose voxels are at most so many times longer than the shortest.
    level_mm : float
        SD of the surroundings over which the signal of a pocket is averaged.
    reach_mm : float
        As far a pocket grows from where it is even.
    midway : float
        Share of the way from cartilage to the pocket's signal at which the wall stands: 0.5 for voxels that are part
        one and part the other.
    film_mm, doubtful_mm : float
        A layer between bone and pocket thinner than ``film_mm`` is no cartilage but voxels that are part bone and part
        pocket; up to ``doubtful_mm`` it is only where its signal is that of cartilage.
    least_mm3 : float
        What was emptied has a floor and a lid from this volume on. Less is the edge of the fluid on sound cartilage,
        and where cartilage thins out at its margin nothing may be taken for a floor.
    lid_voxels : int
        Thickness of a layer on top of a pocket that is taken for its edge and not for cartilage.
    """

    clear: float = 4.0
    even: float = 0.6
    anisotropy: float = 1.5
    level_mm: float = 0.6
    reach_mm: float = 1.0
    midway: float = 0.5
    film_mm: float = 0.55
    doubtful_mm: float = 0.95
    least_mm3: float = 4.0
    lid_voxels: int = 2


def empty_craters(
    labels: LABELS,
    image: F32,
    spacing_mm: FloatArray,
    parameters: CraterParameters | None = None,
    *,
    signal: Signal | None = None,
    threads: int = 0,
) -> LABELS:
    """Set cartilage that the image shows to be something else to background.

    Parameters
    ----------
    labels : array, (I, J, K)
        Values of :class:`~mriseg.types.Label`.
    image : array, (I, J, K)
        Any intensity unit.
    spacing_mm : array, (3,)
        Voxel size.
    parameters : CraterParameters, optional
    signal : Signal, optional
        Signal of cartilage in this image; None learns it from the image.
    threads : int
        Bones that are judged at once; 0 for as many as there are.

    Returns
    -------
    array, (I, J, K)
        A copy; the same as ``labels`` where there is too little cartilage to learn its signal from, or no contrast.
    """
    rule, result = parameters or CraterParameters(), labels.copy()
    known = signal or cartilage_signal(labels, image, spacing_mm)
    if known is None:
        return result
    for bone, (box, empty) in of_each_bone(
        lambda bone: emptied(bone, labels, image, spacing_mm, (rule, known)), threads
    ):
        part = result[box]
        part[empty & (part == bone.cartilage)] = 0
    return result


def emptied(
    bone: Bone, labels: LABELS, image: F32, spacing_mm: FloatArray, by: tuple[CraterParameters, Signal]
) -> Found | None:
    """Box of one cartilage, and the mask of what is none of it there; None where there is no crater."""
    rule, signal = by
    box = box_around(labels == bone.cartilage, margin=4)
    if box is None:
        return None
    own, cartilage = labels[box] == bone.label, labels[box] == bone.cartilage
    height = height_mm(own, spacing_mm)
    level = signal.level(box, height, spacing_mm)
    excess = image[box] - level
    near = ndimage.binary_dilation(cartilage, iterations=3) & ((labels[box] == 0) | cartilage)
    brighter = pockets(excess, near, spacing_mm, rule, signal)
    # What is nearer to cortex than to cartilage is left alone: bone shows so as well.
    darker = pockets(
        -excess, near, spacing_mm, rule, signal, most=(level - np.float32(signal.cortex)) * np.float32(0.5)
    )
    pocket = brighter | darker
    if not (pocket & cartilage).any():
        return None
    crater = larger_than(rule.least_mm3, pocket & cartilage, spacing_mm)
    for _ in range(rule.lid_voxels):
        crater |= cartilage & lid(crater, height, spacing_mm)
    layer = height_mm(crater, spacing_mm) + height - float(spacing_mm.min())
    strange = np.abs(excess) > rule.clear * signal.spread
    film = cartilage & ((layer < rule.film_mm) | (strange & (layer < rule.doubtful_mm)))
    return box, pocket | crater | film


def pockets(
    excess: F32,
    near: MASK,
    spacing_mm: FloatArray,
    rule: CraterParameters,
    signal: Signal,
    *,
    most: F32 | float = np.inf,
) -> MASK:
    """Voxels of ``near`` (I, J, K) that belong to something even that signals more than cartilage.

    ``excess`` (I, J, K) is the difference from the level of cartilage, ``most`` what an even voxel may have of it.
    """
    smooth = smoothed(excess, spacing_mm, signal.blur_mm)
    low, high = (pick(smooth, footprint=cross(spacing_mm, rule)) for pick in (minimum_filter, maximum_filter))
    even = near & (low > rule.clear * signal.spread) & (high - low < rule.even * smooth) & (high < most)
    if not even.any():
        return np.zeros_like(near)
    weight = ndimage.gaussian_filter(even.astype(np.float32), rule.level_mm / spacing_mm)
    total = ndimage.gaussian_filter(np.where(even, smooth, np.float32(0)), rule.level_mm / spacing_mm)
    wall = rule.midway * total / np.maximum(weight, SEEN)
    close = (height_mm(even, spacing_mm) <= rule.reach_mm) & (weight > SEEN)
    return np.asarray(even | (near & close & (excess > wall)), dtype=np.bool_)


def larger_than(least_mm3: float, mask: MASK, spacing_mm: FloatArray) -> MASK:
    """Pieces of a mask (I, J, K) of at least ``least_mm3``."""
    pieces, sizes = components(mask)
    large = np.array([0, *sizes]) * float(np.prod(spacing_mm)) >= least_mm3
    large[0] = False
    return np.asarray(large[pieces], dtype=np.bool_)


def lid(pocket: MASK, height: F32, spacing_mm: FloatArray) -> MASK:
    """Voxels (I, J, K) that touch a pocket and lie above all of it that they touch, by their ``height`` above bone."""
    top = maximum_filter(np.where(pocket, height, np.float32(-1)), size=3)
    return np.asarray((top >= 0) & (height > top + spacing_mm.min() / 2), dtype=np.bool_)


def cross(spacing_mm: FloatArray, rule: CraterParameters) -> MASK:
    """A voxel and its neighbours along the axes that are fine enough, (3, 3, 3)."""
    result = np.zeros((3, 3, 3), dtype=np.bool_)
    for axis in np.flatnonzero(spacing_mm <= rule.anisotropy * spacing_mm.min()):
        np.moveaxis(result, axis, 0)[:, 1, 1] = True
    return result
