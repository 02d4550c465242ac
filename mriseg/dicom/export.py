"""Volumes found in DICOM -> NIfTI files with sidecars, each compared with the DICOM headers after writing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from mriseg.dicom.filenames import shown
from mriseg.dicom.records import Frame, Refusal, RefusalKind
from mriseg.dicom.sidecar import sidecar
from mriseg.dicom.volumes import FoundVolume
from mriseg.errors import DicomError, MrisegError
from mriseg.files import write_json
from mriseg.geometry import RAS_LPS, apply_affine
from mriseg.nifti import read_grid, write_volume
from mriseg.types import FloatArray, Grid

GRID_MM = 1e-4  # what float32 in the NIfTI header may lose
HEADER_MM = 0.1  # what rounded decimals in DICOM headers may lose over a stack


def write_checked(found: FoundVolume, path: Path, *, allow_unplaced: bool = False) -> None:
    """Write a volume as NIfTI, read its grid again and compare it with the DICOM headers before it counts.

    Raises
    ------
    DicomError
        Where pixels cannot be read, or the written file does not lie where the headers say; then no file is left.
    """
    write_volume(path, found.read(allow_unplaced=allow_unplaced))
    try:
        _check_written(found, read_grid(path))
    except MrisegError:
        path.unlink()
        raise


def export(found: FoundVolume, folder: Path) -> Path:
    """Write ``NAME.nii.gz`` and ``NAME.json`` into ``folder``; return the path of the image.

    A volume without position is written too, and its sidecar says so.

    Raises
    ------
    DicomError
        As :func:`write_checked`.
    """
    path = folder / f"{found.name}.nii.gz"
    write_checked(found, path, allow_unplaced=True)
    write_json(folder / f"{found.name}.json", sidecar(found))
    return path


def export_all(
    volumes: Sequence[FoundVolume], folder: Path, progress: Callable[[FoundVolume], None] = lambda _: None
) -> tuple[list[Path], list[Refusal]]:
    """Write volumes one after the other; a volume that fails becomes a :class:`Refusal` and stops nothing."""
    written, refused = [], []
    for found in volumes:
        try:
            written.append(export(found, folder))
            progress(found)
        except MrisegError as error:
            files = tuple(shown(p.name) for p in found.files)
            refused.append(
                Refusal(
                    name=found.name,
                    reason=str(error).removeprefix(f"{found.name}: "),
                    kind=RefusalKind.UNREADABLE,
                    files=files,
                )
            )
    return written, refused


def _check_written(found: FoundVolume, grid: Grid) -> None:
    """Compare a written grid with the one in memory and with the corners that single headers give."""
    if not grid.same_as(found.stack.grid, tolerance_mm=GRID_MM):
        raise DicomError(f"{found.name}: the written file has another grid than the DICOM series.")
    if not found.placed:
        return
    first, last = found.stack.frames[0], found.stack.frames[-1]
    expected = np.concatenate([_corners_mm(first), _corners_mm(last)])
    voxels = apply_affine(np.asarray(np.linalg.inv(grid.affine), dtype=np.float64), expected)
    ends = np.array(grid.shape, dtype=float) - 1
    # Each DICOM corner must be a corner of the grid, and each corner of the grid must be met.
    nearest = np.where(voxels > ends / 2, ends, 0.0)
    off = float(np.abs(apply_affine(grid.affine, nearest) - expected).max())
    if off > HEADER_MM or len(np.unique(nearest, axis=0)) != np.prod([2 if n > 1 else 1 for n in grid.shape]):
        raise DicomError(f"{found.name}: a corner of the written image lies {off:.2f} mm off its DICOM position.")


def _corners_mm(frame: Frame) -> FloatArray:
    """Corners of one image, RAS mm, (4, 3), straight from its header."""
    position, cosines, spacing = (np.array(v) for v in (frame.position, frame.orientation, frame.pixel_spacing))
    right, down = cosines[:3] * spacing[1] * (frame.columns - 1), cosines[3:] * spacing[0] * (frame.rows - 1)
    corners = np.array([position, position + down, position + right, position + right + down])
    return np.asarray(corners @ RAS_LPS[:3, :3], dtype=np.float64)
