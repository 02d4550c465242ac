"""Frames -> one float32 array, decoded by threads straight into its place."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.pixels.utils import iter_pixels

from mriseg.dicom.codestreams import check_codestreams
from mriseg.dicom.filenames import shown
from mriseg.dicom.records import Frame
from mriseg.dicom.sources import open_dicom, quiet
from mriseg.dicom.stacks import Stack
from mriseg.errors import DicomError

Pixels = npt.NDArray[Any]


def read_pixels(stack: Stack, copies: Sequence[tuple[Frame, Frame]] = ()) -> npt.NDArray[np.float32]:
    """Decode a stack into the axes of its grid, rescaled to real values.

    Philips images come out on the scanner's own scale, which is the same for all images of a series, as dcm2niix
    writes them: (pixel x RescaleSlope + RescaleIntercept) / (RescaleSlope x ScaleSlope) [1]_.

    Parameters
    ----------
    stack : Stack
    copies : sequence of (Frame, Frame)
        Pairs whose pixels must agree.

    Returns
    -------
    array, (I, J, K), float32
        Of the shape of ``stack.grid``.

    Raises
    ------
    DicomError
        Where a file cannot be decoded, or a copy differs; the file is named.

    References
    ----------
    .. [1] Chenevert et al., *Translational Oncology* 2014;7:65-71, doi:10.1593/tlo.13811.
    """
    data = np.empty(stack.grid.shape, dtype=np.float32)
    slices = as_slices(data, stack)
    files: dict[Path, list[tuple[int, Frame]]] = defaultdict(list)
    for k, frame in enumerate(stack.frames):
        files[frame.path].append((k, frame))

    def fill(wanted: list[tuple[int, Frame]]) -> None:
        wanted = sorted(wanted, key=lambda pair: pair[1].index)
        for (k, frame), pixels in zip(wanted, _decode([f for _, f in wanted]), strict=True):
            _rescale(frame, pixels, slices[k])

    with quiet(), ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        list(pool.map(fill, files.values()))
        for kept, copy in copies:
            if not np.array_equal(next(_decode([kept])), next(_decode([copy]))):
                raise DicomError(f"{kept.label} and {copy.label} carry one identifier but hold different pixels.")
    if not np.isfinite(data).all():
        raise DicomError("rescaled pixels are not finite: RescaleSlope or RescaleIntercept is damaged.")
    return data


def as_slices(data: Pixels, stack: Stack) -> Pixels:
    """View an array on the grid of a stack as (slices, rows, columns): what is written to it is written in place."""
    axes, flips = stack.orientation[:, 0].astype(int), stack.orientation[:, 1].astype(int)
    view = data.transpose(axes)[tuple(slice(None, None, flip) for flip in flips)]
    return view.transpose(2, 1, 0)


def _rescale(frame: Frame, pixels: Pixels, out: Pixels) -> None:
    """Write real values of one frame into ``out``."""
    if pixels.shape != out.shape:
        raise DicomError(f"{frame.label}: decoded to {pixels.shape} pixels, the header says {out.shape}.")
    slope, intercept = frame.slope, frame.intercept
    if frame.philips_slope:
        slope, intercept = 1.0 / frame.philips_slope, intercept / (slope * frame.philips_slope)
    if slope == 1.0 and intercept == 0.0:
        out[...] = pixels
    else:
        with np.errstate(over="ignore", invalid="ignore"):
            out[...] = pixels * slope + intercept


def _stored(pixels: Pixels, bits: int) -> Pixels:
    """Return pixels as they were meant: the sign is carried up, and values beyond the stored bits are refused."""
    unused = pixels.dtype.itemsize * 8 - bits
    if not unused or pixels.dtype.kind == "f":
        return pixels
    if pixels.dtype.kind == "i":
        signed: Pixels = (pixels << unused) >> unused
        return signed
    if pixels.max(initial=0) >> bits:
        raise DicomError(f"pixel values up to {pixels.max()} need more than the {bits} bits that the header names.")
    return pixels


def _decode(frames: Sequence[Frame]) -> Iterator[Pixels]:
    """Yield stored pixel values (rows, columns) of frames of one file, in ascending order of frame number."""
    first = frames[0]
    try:
        with open_dicom(first.path) as file:
            if first.raw is None:
                check_codestreams(file, first)
                with nullcontext(file) if not first.syntax else open_dicom(first.path, syntax=first.syntax) as truly:
                    yield from iter_pixels(truly, indices=[max(f.index, 0) for f in frames], raw=True)
                return
            for frame in frames:
                offset, dtype, stored = frame.raw or first.raw
                size = frame.rows * frame.columns * np.dtype(dtype).itemsize
                file.seek(offset)
                pixels = np.frombuffer(file.read(size), dtype=dtype).reshape(frame.rows, frame.columns)
                yield _stored(pixels, stored)
    except DicomError as error:
        raise DicomError(f"{shown(first.path.name)}: {error}") from error
    except Exception as error:  # decoders raise many types on damaged data
        raise DicomError(f"{shown(first.path.name)}: the pixels cannot be decoded ({type(error).__name__}).") from error
