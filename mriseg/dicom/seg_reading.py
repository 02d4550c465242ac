"""DICOM SEG -> label map; needs the extra ``seg`` (highdicom)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mriseg.dicom.segments import labels_of, load_highdicom
from mriseg.dicom.sources import quiet
from mriseg.errors import DicomError, GeometryError, SegmentationError
from mriseg.geometry import RAS_LPS
from mriseg.types import Array, FloatArray, Grid, Label, LabelMap

ON_GRID = 0.05  # largest distance of a segment's voxel from a voxel of the grid, in voxels


def read_seg(path: Path, grid: Grid | None = None, labels: Mapping[int, Label] | None = None) -> LabelMap:
    """Read a DICOM SEG object.

    Parameters
    ----------
    path : Path
    grid : Grid, optional
        Where the label map shall lie, as the series does; every voxel of the object must meet one of its voxels. None
        gives the slices that the object holds.
    labels : mapping, optional
        Segment number -> label. None goes by the codes and names of the segments.

    Raises
    ------
    SegmentationError
        Where segments overlap, or a segment is no known structure.
    GeometryError
        Where the object does not lie on ``grid``.
    DicomError
        Where the file is no DICOM SEG or highdicom is not installed.
    """
    hd = load_highdicom()
    with quiet():
        try:
            segmentation = hd.seg.segread(path)
            known = labels if labels is not None else labels_of(segmentation)
            volume = segmentation.get_volume(combine_segments=True, segment_numbers=sorted(known), dtype=np.uint8)
        except SegmentationError:
            raise
        except RuntimeError as error:
            raise SegmentationError(f"{path.name}: segments overlap; expected one label a voxel.") from error
        except Exception as error:  # damaged objects raise many types; their text quotes header values
            raise DicomError(f"{path.name}: no readable DICOM SEG ({type(error).__name__}).") from error
    data = np.zeros(volume.array.shape, dtype=np.uint8)
    for number, label in known.items():
        data[volume.array == number] = label
    affine = RAS_LPS @ np.asarray(volume.affine, dtype=np.float64)
    if grid is None:
        return LabelMap(data=data, grid=Grid(shape=data.shape, affine=affine))
    return LabelMap(data=_placed(data, affine, grid, path.name), grid=grid)


def _placed(data: Array, affine: FloatArray, grid: Grid, name: str) -> Array:
    """Put labels on a grid whose voxels they meet, turning axes where needed; nothing is resampled."""
    to_grid = np.linalg.inv(grid.affine) @ affine
    turn = np.rint(to_grid[:3, :3])
    corner = to_grid[:3, 3]
    far = to_grid[:3, :3] @ (np.array(data.shape) - 1) + corner
    ends = np.array([corner, far])
    exact = turn @ (np.array(data.shape) - 1) + np.rint(corner)
    regular = (np.abs(turn).sum(axis=0) == 1).all() and (np.abs(turn).sum(axis=1) == 1).all()
    if not regular or np.abs(ends - [np.rint(corner), exact]).max() > ON_GRID:
        raise GeometryError(f"{name}: the segments do not lie on the voxels of the series; resample them first.")
    low, high = np.rint(ends.min(axis=0)).astype(int), np.rint(ends.max(axis=0)).astype(int)
    if (low < 0).any() or (high >= grid.shape).any():
        raise GeometryError(f"{name}: the segments reach beyond the series.")
    axes = np.abs(turn).argmax(axis=1)
    signs = turn[np.arange(3), axes].astype(int)
    turned = data.transpose(axes)[tuple(slice(None, None, sign) for sign in signs)]
    result = np.zeros(grid.shape, dtype=np.uint8)
    result[tuple(slice(a, b + 1) for a, b in zip(low, high, strict=True))] = turned
    return result
