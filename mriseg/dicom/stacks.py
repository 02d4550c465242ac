"""Frames of one candidate volume -> a regular stack with its grid, or a refusal that names the slices.

Slices are ordered by position along the slice normal, never by instance number: scanners number them in the order of
acquisition. Their distance comes from positions, never from SliceThickness.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from nibabel.orientations import inv_ornt_aff, io_orientation

from mriseg.dicom.records import Frame, Plane
from mriseg.dicom.regularity import check_even, check_numbers, check_repeats, check_shear, names
from mriseg.errors import DicomError
from mriseg.geometry import RAS_LPS
from mriseg.types import FloatArray, Grid

PARALLEL = 2e-4  # largest difference of direction cosines within a stack: 0.04 mm over 200 mm
ORTHONORMAL = 2e-3
MAX_VOXELS = 1 << 29  # 2 GiB as float32
OBLIQUE = float(np.cos(np.radians(30.0)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """Frames of one volume in the order of their position along the slice normal.

    ``grid`` has its axes closest to right, anterior, superior: no rotation of such a grid comes near 180 degrees, where
    the quaternion of a NIfTI header loses all precision. ``orientation`` (3, 2) maps the axes columns, rows, slices to
    those of the grid, as nibabel's orientations do. ``placed`` is False where the header has no position: the grid is
    then made up, and nothing may be measured on it.
    """

    frames: tuple[Frame, ...]
    grid: Grid
    orientation: FloatArray
    plane: Plane
    placed: bool
    notes: tuple[str, ...]

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between columns, between rows and between slices."""
        columns, rows, slices = self.grid.spacing_mm[self.orientation[:, 0].astype(int)].tolist()
        return columns, rows, slices


def build(frames: Sequence[Frame], in_series: Collection[int] = ()) -> Stack:
    """Order frames along their normal and lay a grid through them.

    ``in_series`` holds all instance numbers of the series: those of other volumes explain gaps in the numbers.

    Raises
    ------
    DicomError
        Where positions are missing, repeated, unevenly spaced or sheared, or directions differ; slices are named.
    """
    damaged = [f for f in frames if f.damage]
    if damaged:
        what = f"{damaged[0].label} is" if len(damaged) == 1 else f"{len(damaged)} images ({names(damaged)}) are"
        raise DicomError(f"{what} {damaged[0].damage}.")
    first = frames[0]
    if first.rows * first.columns * len(frames) > MAX_VOXELS:
        raise DicomError(
            f"the stack claims {first.columns} x {first.rows} x {len(frames)} voxels, more than any MR image."
        )
    if "MOSAIC" in first.image_type:
        raise DicomError("a Siemens mosaic: many slices in one image. Export it as single slices or as enhanced MR.")
    if len({f.reference_uid for f in frames}) > 1:
        other = [f for f in frames if f.reference_uid != first.reference_uid]
        raise DicomError(f"{names(other)} lie in another frame of reference than {first.label}.")
    if any(f.position is None or f.orientation is None for f in frames):
        return _unplaced(frames)
    axes = _axes(frames)
    positions = np.array([f.position for f in frames])
    along = positions @ axes[2]
    order = np.argsort(along, kind="stable")
    ordered = [frames[i] for i in order]
    positions, along = positions[order], along[order]
    check_repeats(ordered)
    check_even(ordered, along)
    check_shear(positions, axes, along)
    spacing = _slice_spacing(ordered, along)
    rows_mm, columns_mm = _pixel_spacing(ordered)
    affine = np.eye(4)
    affine[:3, 0] = axes[0] * columns_mm
    affine[:3, 1] = axes[1] * rows_mm
    affine[:3, 2] = axes[2] * spacing
    affine[:3, 3] = positions[0]
    notes = check_numbers(ordered, spacing, in_series)
    return _stack(ordered, RAS_LPS @ affine, plane=_plane(axes[2]), placed=True, notes=notes)


def _stack(frames: Sequence[Frame], affine: FloatArray, *, plane: Plane, placed: bool, notes: Sequence[str]) -> Stack:
    """Turn the grid ``affine`` (4, 4) of columns, rows, slices -> RAS mm to canonical axes."""
    shape = np.array([frames[0].columns, frames[0].rows, len(frames)])
    orientation = np.asarray(io_orientation(affine), dtype=np.float64)
    turned = np.empty(3, dtype=int)
    turned[orientation[:, 0].astype(int)] = shape
    grid = Grid(shape=tuple(turned.tolist()), affine=affine @ inv_ornt_aff(orientation, shape))
    return Stack(
        frames=tuple(frames), grid=grid, orientation=orientation, plane=plane, placed=placed, notes=tuple(notes)
    )


def _axes(frames: Sequence[Frame]) -> FloatArray:
    """Orthonormal directions of columns index, row index and slices, LPS, as rows of (3, 3)."""
    cosines = np.array([f.orientation for f in frames])
    off = np.abs(cosines - np.median(cosines, axis=0)).max(axis=1)
    if off.max() > PARALLEL:
        raise DicomError(f"slices are not parallel: {names(frames, off > PARALLEL)} differ in direction.")
    x, y = cosines.mean(axis=0).reshape(2, 3)
    lengths = float(np.linalg.norm(x)), float(np.linalg.norm(y))
    if max(abs(lengths[0] - 1), abs(lengths[1] - 1), abs(float(x @ y))) > ORTHONORMAL:
        raise DicomError("the image directions in the header are not at right angles or not of length 1.")
    x = x / lengths[0]
    y = y - x * (x @ y)
    y /= np.linalg.norm(y)
    return np.array([x, y, np.cross(x, y)])


def _pixel_spacing(frames: Sequence[Frame]) -> tuple[float, float]:
    """Distance between rows and between columns."""
    spacing = frames[0].pixel_spacing
    if spacing is None:
        raise DicomError("PixelSpacing is missing or not two positive numbers.")
    return spacing


def _slice_spacing(frames: Sequence[Frame], along: FloatArray) -> float:
    """Distance between slices; of a single slice what the header says, there is nothing else."""
    if len(frames) > 1:
        return float(along[-1] - along[0]) / (len(frames) - 1)
    for value in (frames[0].between_mm, frames[0].thickness_mm):
        if value is not None and value > 0:
            return value
    raise DicomError("a single slice without SliceThickness: its voxel size is unknown.")


def _plane(normal: FloatArray) -> Plane:
    closest = int(np.abs(normal).argmax())
    if abs(normal[closest]) < OBLIQUE:
        return Plane.OBLIQUE
    return (Plane.SAGITTAL, Plane.CORONAL, Plane.AXIAL)[closest]


def _unplaced(frames: Sequence[Frame]) -> Stack:
    """Stack the frames of one file that has no positions in file order, around the origin, as NIfTI readers do."""
    if len({f.path for f in frames}) > 1:
        lost = [f for f in frames if f.position is None or f.orientation is None]
        raise DicomError(f"position or direction is missing in {names(lost)}.")
    ordered = sorted(frames, key=lambda f: f.index)
    first = ordered[0]
    rows_mm, columns_mm = first.pixel_spacing or (1.0, 1.0)
    spacing = np.array([-columns_mm, rows_mm, abs(first.between_mm or first.thickness_mm or 1.0) or 1.0])
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = -spacing * (np.array([first.columns, first.rows, len(ordered)]) - 1) / 2
    note = "the header has no position: orientation and origin are made up, nothing may be measured"
    return _stack(ordered, affine, plane=Plane.UNKNOWN, placed=False, notes=(note,))
