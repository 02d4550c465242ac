"""What the header of an image says about its size and place is believed only where a knee image can be so.

A damaged or foreign header can ask for any amount of memory; every reader asks here before it makes an array.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from mriseg.errors import GeometryError
from mriseg.types import FloatArray, Grid


@dataclass(frozen=True, slots=True, kw_only=True)
class Believable:
    """What a header may say.

    Parameters
    ----------
    edge_mm : tuple of float, (2,)
        Shortest and longest edge of a voxel: ex-vivo scans at 9.4 T have 0.04 mm, localisers slices of 10 mm.
    field_mm : float
        Longest side of the image; the bore of a scanner images half a metre.
    distance_mm : float
        Farthest that a corner lies from the isocentre.
    values : int
        Most voxels times values a voxel; the largest clinical knee volumes hold 0.1e9.
    packing : int
        Most bytes that one byte of a packed file unpacks to: 1032 is the limit of deflate.
    """

    edge_mm: tuple[float, float] = (0.02, 20.0)
    field_mm: float = 1000.0
    distance_mm: float = 5000.0
    values: int = 1 << 30
    packing: int = 1032


LIMITS = Believable()


def believed_grid(
    name: str, shape: Sequence[int], affine: FloatArray, *, unit: str = "mm", limits: Believable = LIMITS
) -> Grid:
    """Return the grid of a header where a knee image can have it.

    Parameters
    ----------
    name : str
        File name for error messages.
    shape : sequence of int, (3,)
    affine : array, (4, 4)
        Voxel index ijk -> RAS+ mm.
    unit : str
        Unit that the header names, for error messages; ``affine`` is in mm already.

    Raises
    ------
    GeometryError
        Where an axis is empty, or edge, length or place cannot be those of a knee image.
    """
    try:
        grid = Grid(shape=(int(shape[0]), int(shape[1]), int(shape[2])), affine=affine)
    except GeometryError as error:
        raise GeometryError(f"{name}: {error}") from error
    low, high = limits.edge_mm
    edge, field = grid.spacing_mm, grid.spacing_mm * grid.shape
    by = f"by its header (unit: {unit})"
    if edge.min() < low or edge.max() > high:
        raise GeometryError(
            f"{name}: a voxel measures {_times(edge)} mm {by}, expected {low:g} to {high:g} mm along each axis. "
            "The unit or the spacing in the header is wrong: save the file anew, in mm."
        )
    if field.max() > limits.field_mm:
        raise GeometryError(
            f"{name}: the image spans {_times(field)} mm {by}, expected at most {limits.field_mm:g} mm. "
            "The unit or the size in the header is wrong: save the file anew, in mm."
        )
    if np.linalg.norm(affine[:3, 3]) > limits.distance_mm:
        raise GeometryError(
            f"{name}: the first voxel lies {np.linalg.norm(affine[:3, 3]) / 1000:.3g} m from the origin {by}, expected "
            f"at most {limits.distance_mm / 1000:g} m. The unit or the place in the header is wrong."
        )
    return grid


def refuse_oversized(
    name: str,
    shape: Sequence[int],
    value_bytes: int,
    file_bytes: int,
    *,
    packed: bool,
    limits: Believable = LIMITS,
) -> None:
    """Raise where a header asks for more values than an image has, or than its file can hold.

    Parameters
    ----------
    shape : sequence of int
        Number of voxels along each axis, and of values a voxel.
    value_bytes, file_bytes : int
        Bytes of one value, and of the whole file.
    packed : bool
        Whether the values are compressed.

    Raises
    ------
    GeometryError
        Before any memory is taken.
    """
    values = prod(int(n) for n in shape)
    size = " x ".join(str(int(n)) for n in shape)
    if min(shape, default=0) < 1 or values > limits.values:
        raise GeometryError(
            f"{name}: its header says {size} voxels, expected three positive sizes and at most {limits.values} voxels. "
            "The header is damaged: save or convert the file again."
        )
    room = file_bytes * (limits.packing if packed else 1)
    if values * value_bytes > room:
        raise GeometryError(
            f"{name}: truncated: its header says {size} voxels, {values * value_bytes} bytes, and a file of "
            f"{file_bytes} bytes cannot hold them. Save or convert the file again."
        )


def _times(lengths_mm: FloatArray) -> str:
    return " x ".join(f"{value:.3g}" for value in lengths_mm)
