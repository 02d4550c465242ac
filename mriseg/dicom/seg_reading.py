"""DICOM SEG -> label map; needs the extra ``seg`` (highdicom)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mriseg.dicom.segments import labels_of, load_highdicom
from mriseg.dicom.sources import quiet
from mriseg.errors import DicomError, GeometryError, MrisegError, SegmentationError
from mriseg.geometry import RAS_LPS, placed
from mriseg.headers import believed_grid, refuse_oversized
from mriseg.types import Grid, Label, LabelMap

BITS = 8  # a binary segment takes one bit a voxel


def read_seg(
    path: Path,
    grid: Grid | None = None,
    labels: Mapping[int, Label] | None = None,
    *,
    declared: Mapping[int | str, int] | None = None,
) -> LabelMap:
    """Read a DICOM SEG object.

    Parameters
    ----------
    path : Path
    grid : Grid, optional
        Where the label map shall lie, as the series does; every voxel of the object must meet one of its voxels. None
        gives the slices that the object holds.
    labels : mapping, optional
        Segment number -> label; other segments are left out. None goes by the codes and names of the segments.
    declared : mapping, optional
        Number or name of a segment -> label or 0, for segments whose codes do not say what they are.

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
            _refuse_too_large(segmentation, path)
            known = labels if labels is not None else labels_of(segmentation, declared or {}, path.name)
            volume = segmentation.get_volume(combine_segments=True, segment_numbers=sorted(known), dtype=np.uint8)
        except MrisegError:
            raise
        except RuntimeError as error:
            raise SegmentationError(f"{path.name}: segments overlap; expected one label a voxel.") from error
        except Exception as error:  # damaged objects raise many types; their text quotes header values
            raise DicomError(f"{path.name}: no readable DICOM SEG ({type(error).__name__}).") from error
    data = np.zeros(volume.array.shape, dtype=np.uint8)
    for number, label in known.items():
        data[volume.array == number] = label
    affine = RAS_LPS @ np.asarray(volume.affine, dtype=np.float64)
    label_map = LabelMap(data=data, grid=believed_grid(path.name, data.shape, affine))
    if grid is None:
        return label_map
    try:
        return placed(label_map, grid)
    except GeometryError as error:
        raise GeometryError(f"{path.name}: the segments do not lie on the voxels of the series: {error}.") from error


def _refuse_too_large(segmentation: Any, path: Path) -> None:
    """Raise where the header asks for more than the file can hold, before frames are unpacked."""
    shape = [int(segmentation.get(key, 0) or 0) for key in ("Rows", "Columns", "NumberOfFrames")]
    refuse_oversized(path.name, shape, 1, path.stat().st_size * BITS, packed=True)
