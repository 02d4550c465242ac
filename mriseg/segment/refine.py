"""Refine what a network found, with a second network that is shown evidence instead of a contrast.

A network that has to work in any contrast learns slowly where a boundary lies. The evidence of
:mod:`mriseg.segment.sharpen` says what the intensities of this image speak for, voxel by voxel, and means the same in
every contrast; what is left to learn is how knees are shaped (docs/decisions/0009).
"""

from __future__ import annotations

import numpy as np

from mriseg.errors import SegmentationError
from mriseg.segment.inference import open_session, softmax, standardised
from mriseg.segment.labelling import box_around
from mriseg.segment.network import Network
from mriseg.segment.resample import F32
from mriseg.segment.sharpen import evidence

MULTIPLE = 8  # fine voxels: the network halves its grid three times
MARGIN = 4  # coarse voxels about what the first network found
FAINT = 0.25  # fraction of any label that counts as found


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
        Fractions that sum to 1; background alone more than 5 mm away from all that the first network found.

    Raises
    ------
    SegmentationError
        Where the network has no refiner, or onnxruntime cannot load it.
    """
    if network.refiner is None:
        raise SegmentationError(f"Network {network.spec.name}: has no refiner.")
    refined = np.zeros((len(fractions), *image.shape), np.float32)
    refined[0] = 1
    box = box_around(fractions[1:].max(axis=0) > FAINT, margin=MARGIN)
    if box is None:
        return refined
    fine = (slice(None), *(slice(2 * side.start, 2 * side.stop) for side in box))
    coarse = fractions[(slice(None), *box)]
    part = np.ascontiguousarray(image[fine[1:]])
    session = open_session(network.refiner, network.spec.name, threads)
    shown = {
        "image": grown(standardised(part)[None], MULTIPLE),
        "evidence": grown(evidence(part, coarse), MULTIPLE),
        "fractions": grown(coarse, MULTIPLE // 2),
    }
    logits = session.run(None, {name: values[None] for name, values in shown.items()})[0][0]
    i, j, k = part.shape
    refined[fine] = softmax(logits[:, :i, :j, :k])
    return refined


def grown(values: F32, multiple: int) -> F32:
    """Repeat the last voxels of (C, I, J, K) until I, J and K are multiples of ``multiple``."""
    missing = [(0, 0), *((0, -n % multiple) for n in values.shape[1:])]
    return np.pad(values, missing, mode="edge")
