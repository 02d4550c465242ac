"""Frames of one candidate volume -> a regular stack with its grid, or a refusal that names the slices.

Slices are ordered by position along the slice normal, never by instance number: scanners number them in the order of
acquisition. Their distance comes from positions, never from SliceThickness.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from nibabel.orientations import inv_ornt_aff, io_orientation

from mriseg.dicom.grouping import repeated
from mriseg.dicom.records import Frame, Plane
from mriseg.errors import DicomError
from mriseg.geometry import RAS_LPS
from mriseg.types import FloatArray, Grid

PARALLEL = 2e-4  # largest difference of direction cosines within a stack: 0.04 mm over 200 mm
ORTHONORMAL = 2e-3
UNEVEN = 0.02  # largest distance from the regular position, as a part of the spacing
SHEAR_MM = 0.05  # sideways drift over the whole stack; decimals in headers make up to 0.01
FAR_MM = 30.0
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


def build(frames: Sequence[Frame]) -> Stack:
    """Order frames along their normal and lay a grid through them.

    Raises
    ------
    DicomError
        Where positions are missing, repeated, unevenly spaced or sheared, or directions differ; slices are named.
    """
    damaged = next((f for f in frames if f.damage), None)
    if damaged:
        raise DicomError(f"{damaged.label} is {damaged.damage}.")
    first = frames[0]
    if first.rows * first.columns * len(frames) > MAX_VOXELS:
        raise DicomError(
            f"the stack claims {first.columns} x {first.rows} x {len(frames)} voxels, more than any MR image."
        )
    if "MOSAIC" in first.image_type:
        raise DicomError("a Siemens mosaic: many slices in one image. Export it as single slices or as enhanced MR.")
    if any(f.position is None or f.orientation is None for f in frames):
        return _unplaced(frames)
    axes = _axes(frames)
    positions = np.array([f.position for f in frames])
    along = positions @ axes[2]
    order = np.argsort(along, kind="stable")
    ordered = [frames[i] for i in order]
    positions, along = positions[order], along[order]
    _check_repeats(ordered)
    _check_even(ordered, along)
    _check_shear(positions, axes, along)
    spacing = _slice_spacing(ordered, along)
    rows_mm, columns_mm = _pixel_spacing(ordered)
    affine = np.eye(4)
    affine[:3, 0] = axes[0] * columns_mm
    affine[:3, 1] = axes[1] * rows_mm
    affine[:3, 2] = axes[2] * spacing
    affine[:3, 3] = positions[0]
    return _stack(ordered, RAS_LPS @ affine, plane=_plane(axes[2]), placed=True, notes=_notes(ordered, spacing))


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
        raise DicomError(f"slices are not parallel: {_names(frames, off > PARALLEL)} differ in direction.")
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


def _check_repeats(frames: Sequence[Frame]) -> None:
    same = repeated(frames)
    if same:
        raise DicomError(
            f"{len(same)} positions hold several images that no header value tells apart: "
            f"{_names([f for part in same for f in part])}."
        )


def _check_even(frames: Sequence[Frame], along: FloatArray) -> None:
    if len(frames) < 3:
        return
    steps = np.diff(along)
    usual = float(np.median(steps))
    regular = along[0] + np.arange(len(along)) * (along[-1] - along[0]) / (len(along) - 1)
    if np.abs(along - regular).max() <= max(UNEVEN * usual, 2e-3):
        return
    wide = steps > usual * 1.5
    if wide.any():
        pairs = ", ".join(
            f"{frames[i].label} and {frames[i + 1].label} ({steps[i]:.2f} mm)" for i in np.flatnonzero(wide)[:5]
        )
        hint = " Two separate stacks, perhaps two knees." if steps.max() > max(FAR_MM, 5 * usual) else ""
        raise DicomError(f"slices are missing: the usual distance is {usual:.2f} mm, but between {pairs}.{hint}")
    worst = int(np.abs(along - regular).argmax())
    raise DicomError(
        f"slices are unevenly spaced: distances from {steps.min():.3f} to {steps.max():.3f} mm, "
        f"worst at {frames[worst].label}."
    )


def _check_shear(positions: FloatArray, axes: FloatArray, along: FloatArray) -> None:
    sideways = (positions - positions[0]) @ axes[:2].T
    drift = float(np.abs(sideways).max())
    if drift > SHEAR_MM:
        angle = np.degrees(np.arctan2(drift, max(along[-1] - along[0], 1e-9)))
        raise DicomError(
            f"the stack is sheared: slices shift sideways by up to {drift:.2f} mm ({angle:.1f} degrees). "
            "Expected slices stacked along their normal."
        )


def _slice_spacing(frames: Sequence[Frame], along: FloatArray) -> float:
    """Distance between slices; of a single slice what the header says, there is nothing else."""
    if len(frames) > 1:
        return float(along[-1] - along[0]) / (len(frames) - 1)
    for value in (frames[0].between_mm, frames[0].thickness_mm):
        if value is not None and value > 0:
            return value
    raise DicomError("a single slice without SliceThickness: its voxel size is unknown.")


def _notes(frames: Sequence[Frame], spacing: float) -> list[str]:
    """What a reader should know about a stack that is regular all the same."""
    notes = []
    if len(frames) == 1:
        notes.append("a single slice; its thickness is taken from the header")
    between = frames[0].between_mm
    if len(frames) > 1 and between and abs(abs(between) - spacing) > UNEVEN * spacing:
        ratio = spacing / abs(between)
        if ratio > 1.5 and abs(ratio - round(ratio)) < 0.02 and _strides(frames) > 1:
            raise DicomError(
                f"slices are missing: they lie {spacing:.2f} mm apart, the header says {abs(between):.2f} mm, "
                "and their numbers have gaps."
            )
        notes.append(f"slices lie {spacing:.3f} mm apart, the header says {abs(between):.3f} mm")
    return notes


def _strides(frames: Sequence[Frame]) -> int:
    """Smallest step between instance numbers of neighbours; 1 where unknown."""
    numbers = [f.instance for f in frames]
    if None in numbers:
        return 1
    return int(np.abs(np.diff(np.array(numbers, dtype=float))).min())


def _plane(normal: FloatArray) -> Plane:
    closest = int(np.abs(normal).argmax())
    if abs(normal[closest]) < OBLIQUE:
        return Plane.OBLIQUE
    return (Plane.SAGITTAL, Plane.CORONAL, Plane.AXIAL)[closest]


def _unplaced(frames: Sequence[Frame]) -> Stack:
    """Stack the frames of one file that has no positions in file order, around the origin, as NIfTI readers do."""
    if len({f.path for f in frames}) > 1:
        lost = [f for f in frames if f.position is None or f.orientation is None]
        raise DicomError(f"position or direction is missing in {_names(lost)}.")
    ordered = sorted(frames, key=lambda f: f.index)
    first = ordered[0]
    rows_mm, columns_mm = first.pixel_spacing or (1.0, 1.0)
    spacing = np.array([-columns_mm, rows_mm, abs(first.between_mm or first.thickness_mm or 1.0) or 1.0])
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = -spacing * (np.array([first.columns, first.rows, len(ordered)]) - 1) / 2
    note = "the header has no position: orientation and origin are made up, nothing may be measured"
    return _stack(ordered, affine, plane=Plane.UNKNOWN, placed=False, notes=(note,))


def _names(frames: Sequence[Frame], which: object = None) -> str:
    """Name up to six slices."""
    labels = [f.label for f in frames]
    if which is not None:
        labels = [label for label, on in zip(labels, np.asarray(which), strict=True) if on]
    more = f" and {len(labels) - 6} more" if len(labels) > 6 else ""
    return ", ".join(labels[:6]) + more
