"""Run a network over a whole image, block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import TypeVar

import nibabel as nib
import numpy as np
import onnxruntime as ort

from mriseg.errors import SegmentationError
from mriseg.segment.network import Network
from mriseg.segment.resample import F32
from mriseg.types import Bone, Label

OVERLAP = 0.5
Progress = Callable[[float], None]
Found = TypeVar("Found")


def open_session(model: bytes, name: str, threads: int) -> ort.InferenceSession:
    """Make an onnxruntime session of the network ``name`` on the CPU in f32; ``threads`` 0 takes every core."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.enable_cpu_mem_arena = False
    try:
        return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise SegmentationError(f"Network {name}: onnxruntime cannot load it ({error}).") from error


def predict(image: F32, network: Network, *, threads: int = 0, progress: Progress | None = None) -> F32:
    """Fraction of each label in each voxel.

    Parameters
    ----------
    image : array, (I, J, K)
        On the network's spacing, in the right-knee frame, any intensity unit.
    network : Network
    threads : int
        Threads of onnxruntime; 0 for all.
    progress : callable, optional
        Called with the share done, 0 to 1.

    Returns
    -------
    array, (7, I, J, K)
        Fractions of background and the six labels; they sum to 1.
    """
    session = open_session(network.model, network.spec.name, threads)
    report = progress or silent
    if not network.spec.mirrored:
        return look(image, session, network, report)
    first = look(image, session, network, lambda share: report(share / 2))
    # Moved by a voxel as well, since a network that works on pairs of voxels sees other pairs then.
    moved = np.pad(image[::-1], [(1, 0)] * 3, mode="edge")
    second = look(moved, session, network, lambda share: report(0.5 + share / 2))
    return np.asarray((first + second[:, 1:, 1:, 1:][:, ::-1]) / 2, dtype=np.float32)


def silent(share: float) -> None:
    """Report nothing."""


def look(image: F32, session: ort.InferenceSession, network: Network, progress: Progress) -> F32:
    """Fractions (7, I, J, K) of one image from overlapping blocks, each weighted by :func:`window_weight`."""
    name = session.get_inputs()[0].name
    image = nib.orientations.apply_orientation(image, network.spec.turn)
    if network.spec.normalise == "image":
        image = standardised(image)
    padded, offset = pad_to_window(image, network.spec.window)
    starts = [block_starts(n, w) for n, w in zip(padded.shape, network.spec.window, strict=True)]
    blocks = list(product(*starts))
    weight = window_weight(network.spec.window)
    total = np.zeros((len(Label) + 1, *padded.shape), np.float32)
    norm = np.zeros(padded.shape, np.float32)
    for done, corner in enumerate(blocks):
        where = tuple(slice(a, a + w) for a, w in zip(corner, network.spec.window, strict=True))
        share = predict_block(session, name, padded[where], network)
        total[(slice(None), *where)] += share * weight
        norm[where] += weight
        progress((done + 1) / len(blocks))
    inner = tuple(slice(o, o + n) for o, n in zip(offset, image.shape, strict=True))
    total /= norm
    return turned_back(total[(slice(None), *inner)], network)


def turned_back(fractions: F32, network: Network) -> F32:
    """Bring fractions (7, ...) from the axes of a network to right, front and up."""
    back = nib.orientations.ornt_transform(network.spec.turn, [[0, 1], [1, 1], [2, 1]])
    return np.stack([nib.orientations.apply_orientation(f, back) for f in fractions])


def predict_block(session: ort.InferenceSession, name: str, block: F32, network: Network) -> F32:
    """Fractions (7, I, J, K) of one block; a block without any contrast is background."""
    result = np.zeros((len(Label) + 1, *block.shape), np.float32)
    spread = float(block.std())
    if spread < 1e-6:
        result[0] = 1
        return result
    shown = (block - block.mean()) / spread if network.spec.normalise == "block" else block
    logits = session.run(None, {name: np.ascontiguousarray(shown, dtype=np.float32)[None, None]})[0][0]
    if logits.shape[1:] != block.shape or len(logits) <= max(network.spec.labels):
        raise SegmentationError(
            f"Network {network.spec.name}: gave the shape {logits.shape} for a block of {block.shape}; expected "
            f"one channel a label of its specification ({sorted(network.spec.labels)}) of the block's shape."
        )
    share = softmax(logits)
    for channel in range(len(share)):
        result[network.spec.labels.get(channel, 0)] += share[channel]
    return result


def standardised(image: F32) -> F32:
    """Zero mean and unit SD; an image (I, J, K) without contrast becomes zero."""
    return np.asarray((image - image.mean()) / max(float(image.std()), 1e-6), dtype=np.float32)


def of_each_bone(look: Callable[[Bone], Found | None], threads: int) -> Iterator[tuple[Bone, Found]]:
    """Bones of which ``look`` finds something, and what; as many at once as ``threads``, 0 for all."""
    with ThreadPoolExecutor(threads or None) as pool:
        for bone, found in zip(Bone, pool.map(look, Bone), strict=True):
            if found is not None:
                yield bone, found


def softmax(logits: F32) -> F32:
    """Fractions (C, I, J, K) that sum to 1 along the first axis, in the memory of ``logits``."""
    logits -= logits.max(axis=0)
    np.exp(logits, out=logits)
    logits /= logits.sum(axis=0)
    return logits


def pad_to_window(image: F32, window: tuple[int, int, int]) -> tuple[F32, tuple[int, ...]]:
    """Pad an image (I, J, K) with its minimum so that it holds one window; also the offset of the image in it."""
    missing = [max(0, w - n) for n, w in zip(image.shape, window, strict=True)]
    offset = tuple(m // 2 for m in missing)
    sides = [(o, m - o) for o, m in zip(offset, missing, strict=True)]
    return np.pad(image, sides, constant_values=float(image.min())), offset


def block_starts(n: int, window: int) -> list[int]:
    """First voxels of evenly spread blocks of ``window`` along ``n`` voxels that overlap by at least a share."""
    steps = int(np.ceil((n - window) / (window * (1 - OVERLAP)))) if n > window else 0
    return [round(i * (n - window) / max(steps, 1)) for i in range(steps + 1)]


def window_weight(window: tuple[int, int, int]) -> F32:
    """Weight (I, J, K) of a block: a Gaussian with an SD of a sixth of its width, since its rim lacks context."""
    lines = [np.exp(-0.5 * ((np.arange(w) - (w - 1) / 2) / (w / 6)) ** 2) for w in window]
    return np.asarray(lines[0][:, None, None] * lines[1][:, None] * lines[2] + 1e-3, dtype=np.float32)
