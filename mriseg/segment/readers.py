"""Label maps that a person drew or corrected: checked against the image before anything is measured on them."""

from __future__ import annotations

import numpy as np

from mriseg.errors import GeometryError, SegmentationError
from mriseg.geometry import placed
from mriseg.types import Bone, Grid, LabelMap

CARTILAGE = tuple(bone.cartilage for bone in Bone)


def adopt_mask(label_map: LabelMap, grid: Grid, *, name: str = "mask") -> LabelMap:
    """Lay a reader's mask on its image, and check that it holds something to measure.

    Axes in another order or direction are turned and a part of the image is padded; nothing is resampled.

    Parameters
    ----------
    label_map : LabelMap
        The mask as it was read.
    grid : Grid
        Grid of the image that the mask was drawn on.
    name : str
        File name for error messages.

    Returns
    -------
    LabelMap
        The voxels of the mask on ``grid`` itself, so that later steps see one affine only.

    Raises
    ------
    SegmentationError
        Where the mask does not lie on the voxels of the image, is empty, or holds no cartilage.
    """
    if not label_map.data.any():
        raise SegmentationError(f"{name}: the mask is empty; expected bones and cartilage. Remove the file or draw it.")
    if not label_map.mask(*CARTILAGE).any():
        raise SegmentationError(
            f"{name}: the mask holds the labels {np.unique(label_map.data)[1:].tolist()} and no cartilage "
            f"({', '.join(f'{c.value} {c.name.lower()}' for c in CARTILAGE)}). Map its values in [segment.labels] "
            "of study.toml."
        )
    try:
        return placed(label_map, grid)
    except GeometryError as error:
        raise SegmentationError(
            f"{name}: {_apart(label_map.grid, grid)}: {error} (mask origin {_origin(label_map.grid)}, image origin "
            f"{_origin(grid)} RAS mm). Draw the mask on the image that mriseg converted, or resample it to that image."
        ) from error


def _apart(one: Grid, other: Grid) -> str:
    """Say how a mask differs from its image."""
    if one.shape == other.shape:
        return f"the mask lies up to {corner_distance_mm(one, other):.3g} mm beside its image"
    return f"the mask has shape {one.shape}, its image {other.shape}, and it does not lie on its voxels"


def corner_distance_mm(one: Grid, other: Grid) -> float:
    """Largest distance in mm between the same corner voxel of two grids of equal shape."""
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in one.shape], indexing="ij")).reshape(3, -1)
    delta = one.affine - other.affine
    return float(np.linalg.norm(delta[:3, :3] @ corners + delta[:3, 3:], axis=0).max())


def _origin(grid: Grid) -> str:
    return "(" + ", ".join(f"{value:.2f}" for value in grid.affine[:3, 3]) + ")"
