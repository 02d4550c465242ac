"""Label maps that a person drew or corrected: checked against the image before anything is measured on them."""

from __future__ import annotations

import numpy as np

from mriseg.errors import SegmentationError
from mriseg.types import Bone, Grid, LabelMap

CARTILAGE = tuple(bone.cartilage for bone in Bone)


def adopt_mask(label_map: LabelMap, grid: Grid, *, name: str = "mask", tolerance_mm: float = 1e-3) -> LabelMap:
    """Check that a reader's mask belongs to an image and holds something to measure.

    Parameters
    ----------
    label_map : LabelMap
        The mask as it was read.
    grid : Grid
        Grid of the image that the mask was drawn on.
    name : str
        File name for error messages.
    tolerance_mm : float
        Largest distance in mm between the same voxel of mask and image.

    Returns
    -------
    LabelMap
        The voxels of the mask on ``grid`` itself, so that later steps see one affine only.

    Raises
    ------
    SegmentationError
        Where shape or position differ, or where the mask is empty or holds no cartilage.
    """
    if label_map.grid.shape != grid.shape:
        raise SegmentationError(
            f"{name}: the mask has shape {label_map.grid.shape}, its image {grid.shape}. "
            "Draw the mask on the image that mriseg converted, or resample it to that image."
        )
    if not label_map.grid.same_as(grid, tolerance_mm=tolerance_mm):
        raise SegmentationError(
            f"{name}: the mask lies up to {corner_distance_mm(label_map.grid, grid):.3g} mm beside its image, expected "
            f"<= {tolerance_mm:g} mm (mask origin {_origin(label_map.grid)}, image origin {_origin(grid)} RAS mm). "
            "Save the mask with the geometry of the converted image."
        )
    if not label_map.data.any():
        raise SegmentationError(f"{name}: the mask is empty; expected bones and cartilage. Remove the file or draw it.")
    if not label_map.mask(*CARTILAGE).any():
        raise SegmentationError(
            f"{name}: the mask holds the labels {np.unique(label_map.data)[1:].tolist()} and no cartilage "
            f"({', '.join(f'{c.value} {c.name.lower()}' for c in CARTILAGE)}). Map its values in [segment.labels] "
            "of study.toml."
        )
    return LabelMap(data=label_map.data, grid=grid)


def corner_distance_mm(one: Grid, other: Grid) -> float:
    """Largest distance in mm between the same corner voxel of two grids of equal shape."""
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in one.shape], indexing="ij")).reshape(3, -1)
    delta = one.affine - other.affine
    return float(np.linalg.norm(delta[:3, :3] @ corners + delta[:3, 3:], axis=0).max())


def _origin(grid: Grid) -> str:
    return "(" + ", ".join(f"{value:.2f}" for value in grid.affine[:3, 3]) + ")"
