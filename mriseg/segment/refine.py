"""Refine what a network found, with a second network that is shown evidence instead of a contrast.

A network that has to work in any contrast learns slowly where a boundary lies. The evidence of
:mod:`mriseg.segment.sharpen` says what the intensities of this image speak for, voxel by voxel, and means the same in
every contrast; what is left to learn is how knees are shaped (docs/decisions/0009).
"""

from __future__ import annotations

import numpy as np

from mriseg.errors import SegmentationError
from mriseg.segment.inference import open_session, softmax, standardised
from mriseg.segment.network import Network
from mriseg.segment.resample import F32
from mriseg.segment.sharpen import evidence

MULTIPLE = 8  # fine voxels: the network halves its grid three times


def refine(image: F32, fractions: F32, network: Network, *, threads: int = 0) -> F32:
    """Fractions on voxels of half the width, by the refiner of ``network``.

    Parameters
    ----------
    image : array, (2 I, 2 J, 2 K)
        In the right-knee frame, any intensity unit.
    fractions : array, (7, I, J, K)
        What the first network found on voxels twice as wide, over the same field of view; they sum to 1.
    network : Network
        One with a refiner.
    threads : int
        Threads of onnxruntime; 0 for all.

    Returns
    -------
    array, (7, 2 I, 2 J, 2 K)
        Fractions that sum to 1.

    Raises
    ------
    SegmentationError
        Where the network has no refiner, or onnxruntime cannot load it.
    """
    if network.refiner is None:
        raise SegmentationError(f"Network {network.spec.name}: has no refiner.")
    session = open_session(network.refiner, network.spec.name, threads)
    shown = {
        "image": grown(standardised(image)[None], MULTIPLE),
        "evidence": grown(evidence(image, fractions), MULTIPLE),
        "fractions": grown(fractions, MULTIPLE // 2),
    }
    logits = session.run(None, {name: values[None] for name, values in shown.items()})[0][0]
    i, j, k = image.shape
    return softmax(logits[:, :i, :j, :k])


def grown(values: F32, multiple: int) -> F32:
    """Repeat the last voxels of (C, I, J, K) until I, J and K are multiples of ``multiple``."""
    missing = [(0, 0), *((0, -n % multiple) for n in values.shape[1:])]
    return np.pad(values, missing, mode="edge")
