"""Sharpen what a network found with the intensities of the very image that it was shown.

About the cartilages, Bayes' rule weighs the fractions of the network with how often each label has the intensity of a
voxel in this image. How often is learnt from the image itself, by expectation and maximisation, so that no sequence has
to be known (Wells et al. 1996, doi:10.1109/42.511747; Van Leemput et al. 1999, doi:10.1109/42.811270).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from mriseg.segment.labelling import MASK
from mriseg.segment.resample import F32, interpolate, line_between
from mriseg.types import Bone, FloatArray

BINS = 24
STEPS = 5
TRUST = 0.75  # power of the likelihood: neighbours agree, so that voxels know less than they seem to
LEAST = 0.01  # a label that the network excludes stays possible
FILM = 0.15  # fraction of cartilage about which a region is made
REACH = 3  # voxels of the network's grid that it reaches around
BLUR = 0.7  # voxels; SD of the surroundings whose intensity counts beside that of a voxel
SAMPLE = 400_000  # voxels are enough to learn the intensities from
Codes = npt.NDArray[np.int64]


def sharpen(image: F32, fractions: F32) -> F32:
    """Fractions on voxels of half the width that agree with the image about the cartilages.

    Parameters
    ----------
    image : array, (2 I, 2 J, 2 K)
        Any intensity unit; one without contrast leaves the fractions as they are.
    fractions : array, (7, I, J, K)
        What the network found on voxels twice as wide, over the same field of view: background, then the labels in the
        order of :class:`~mriseg.types.Label`; they sum to 1. Where no cartilage is, they are interpolated only.

    Returns
    -------
    array, (7, 2 I, 2 J, 2 K)
        Fractions that sum to 1.
    """
    result = weighed(image, doubled(fractions), map(twice, cartilages(fractions)))
    for share in result:
        ndimage.gaussian_filter(share, 0.6, output=share, truncate=2)
    return result


def evidence(image: F32, fractions: F32) -> F32:
    """What :func:`sharpen` finds, before it is smoothed, and the same about the edges of the bones.

    It is what a second network is shown (:mod:`mriseg.segment.refine`); shapes as for :func:`sharpen`.
    """
    about = list(cartilages(fractions))
    return weighed(image, doubled(fractions), map(twice, [*about, edges(fractions, about)]))


def weighed(image: F32, fractions: F32, regions: Iterable[MASK], blur: float | FloatArray = BLUR) -> F32:
    """Weigh fractions with the intensities of the image, in place, within each region apart.

    Parameters
    ----------
    image : array, (I, J, K)
        Any intensity unit.
    fractions : array, (C, I, J, K)
        Prior fractions, contiguous; they sum to 1. Changed.
    regions : masks, (I, J, K)
        Each has intensities of its own.
    blur : float or three of them
        SD, in voxels, of the surroundings whose intensity counts beside that of the voxel.

    Returns
    -------
    array, (C, I, J, K)
        ``fractions``.
    """
    flat = fractions.reshape(len(fractions), -1)
    around = ndimage.gaussian_filter(image, blur, truncate=2)
    for region in regions:
        where = np.flatnonzero(region)
        if where.size:
            flat[:, where] = weigh(flat[:, where], image.ravel()[where], around.ravel()[where])
    return fractions


def weigh(prior: F32, values: F32, around: F32, trust: float = TRUST) -> F32:
    """Fractions (C, N) of voxels from prior fractions (C, N), their intensities (N,) and those around them (N,).

    ``trust`` is the power of the likelihood.
    """
    codes = BINS * binned(values) + binned(around)
    prior = np.maximum(prior, LEAST)
    return posterior(prior, likelihood(prior, codes, trust), codes, trust)


def cartilages(fractions: F32) -> Iterator[MASK]:
    """Masks (I, J, K) about each cartilage, none where another is.

    Each has intensities of its own, since what lies about a patella is not what lies about a tibia.
    """
    free = np.ones(fractions.shape[1:], dtype=np.bool_)
    for bone in reversed(Bone):
        region = free & ndimage.binary_dilation(fractions[bone.cartilage] > FILM, iterations=REACH)
        free &= ~region
        yield region


def edges(fractions: F32, but: Iterable[MASK]) -> MASK:
    """Mask (I, J, K) about the surfaces of the bones, without the masks ``but``."""
    bones = sum(fractions[bone.label] for bone in Bone)
    region = ndimage.binary_dilation((bones > 0.15) & (bones < 0.85), iterations=2)
    return np.asarray(region & ~np.logical_or.reduce([*but]), dtype=np.bool_)


def twice(region: MASK) -> MASK:
    """Repeat each voxel of (I, J, K) along each axis."""
    return region.repeat(2, axis=0).repeat(2, axis=1).repeat(2, axis=2)


def doubled(fractions: F32) -> F32:
    """Interpolate (C, I, J, K) to (C, 2 I, 2 J, 2 K)."""
    i, j, k = (line_between(2 * n, 0.5, n, 1.0) for n in fractions.shape[1:])
    return np.stack([interpolate(share, (i, j, k)) for share in fractions])


def binned(values: F32) -> Codes:
    """Number of the bin (N,) of each value (N,), evenly from the first to the last but half a percent."""
    low, high = np.percentile(values, [1, 99.5])
    bins: Codes = np.clip(((values - low) / max(float(high - low), 1e-9) * BINS).astype(np.int64), 0, BINS - 1)
    return bins


def likelihood(prior: F32, codes: Codes, trust: float) -> F32:
    """How often each label has each bin, (C, BINS^2), learnt from prior fractions (C, N) and bins (N,)."""
    step = max(1, codes.size // SAMPLE)
    prior, codes = prior[:, ::step], codes[::step]
    table = tabulated(prior, codes)
    for _ in range(STEPS - 1):
        table = tabulated(posterior(prior, table, codes, trust), codes)
    return table


def tabulated(share: F32, codes: Codes) -> F32:
    """Histogram (C, BINS^2) of the bins (N,) of each label, which has fractions (C, N)."""
    return np.stack([histogram(weights, codes) for weights in share])


def histogram(weights: F32, codes: Codes) -> F32:
    """Smoothed and normalised histogram (BINS^2,) of bins (N,) with weights (N,)."""
    counts = np.bincount(codes, weights=weights, minlength=BINS**2).reshape(BINS, BINS)
    smooth = ndimage.gaussian_filter(counts, 1.0).ravel()
    return np.asarray(smooth / max(float(smooth.sum()), 1e-9) + 1e-6, dtype=np.float32)


def posterior(prior: F32, table: F32, codes: Codes, trust: float) -> F32:
    """Fractions (C, N) by Bayes' rule from prior fractions (C, N), likelihoods (C, BINS^2) and bins (N,)."""
    share: F32 = prior * (table**trust)[:, codes]
    share /= share.sum(axis=0)
    return share
