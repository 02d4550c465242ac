"""Affines, RAS and LPS, the one mirror, and the bridge to SimpleITK.

Inside mriseg every coordinate is RAS+ mm. DICOM and SimpleITK speak LPS+; they convert here and nowhere else. Left
knees are mirrored into the right-knee frame and back here and nowhere else.
"""

from __future__ import annotations

from typing import TypeVar

import nibabel as nib
import numpy as np
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from mriseg.errors import GeometryError
from mriseg.types import Array, FloatArray, Grid, LabelMap, RigidTransform, Side, Volume

RAS_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
MIRROR = np.diag([-1.0, 1.0, 1.0, 1.0])

Image = TypeVar("Image", Volume, LabelMap)


def apply_affine(affine: FloatArray, points: FloatArray) -> FloatArray:
    """Map ``points`` (..., 3) by ``affine`` (4, 4); empty in, empty out."""
    return np.asarray(points @ affine[:3, :3].T + affine[:3, 3], dtype=np.float64)


def reorient(image: Image) -> Image:
    """Order the axes of an image so that i, j, k run closest to right, anterior, superior.

    No voxel is resampled. The world position of every voxel stays the same.
    """
    oriented = nib.as_closest_canonical(nib.Nifti1Image(image.data, image.grid.affine))
    data = np.asarray(oriented.dataobj)
    return type(image)(data=data, grid=Grid(shape=data.shape, affine=oriented.affine))


def to_right_knee(image: Image, side: Side) -> Image:
    """Bring an image into the right-knee frame: left knees are mirrored at the sagittal plane x = 0.

    The result has canonical axis order, so that a left knee and its mirror image, a right knee, become the same array
    on the same grid.
    """
    if side is Side.RIGHT:
        return reorient(image)
    grid = Grid(shape=image.grid.shape, affine=MIRROR @ image.grid.affine)
    return reorient(type(image)(data=image.data, grid=grid))


def mirror_points(points_mm: FloatArray, side: Side) -> FloatArray:
    """Map ``points_mm`` (N, 3) RAS mm between a knee's own space and the right-knee frame; its own inverse."""
    return points_mm if side is Side.RIGHT else points_mm * np.array([-1.0, 1.0, 1.0])


def mirror_transform(transform: RigidTransform, side: Side) -> RigidTransform:
    """Express a motion of a knee in the right-knee frame, or back; its own inverse."""
    if side is Side.RIGHT:
        return transform
    return RigidTransform(matrix=MIRROR @ transform.matrix @ MIRROR)


def halfway(transform: RigidTransform) -> RigidTransform:
    """Return the rigid transform H with H after H equal to ``transform``: the matrix square root on its short arc.

    Rotations of 180 degrees have no unique half and are refused by none of the callers' capture ranges.
    """
    full = Rotation.from_matrix(transform.matrix[:3, :3])
    half = Rotation.from_rotvec(0.5 * full.as_rotvec()).as_matrix()
    matrix = np.eye(4)
    matrix[:3, :3] = half
    matrix[:3, 3] = np.linalg.solve(np.eye(3) + half, transform.matrix[:3, 3])
    return RigidTransform(matrix=matrix)


def nearest_rigid(matrix: FloatArray) -> RigidTransform:
    """Closest rigid transform to ``matrix`` (4, 4), which removes the rounding of a long product."""
    u, _, vt = np.linalg.svd(matrix[:3, :3])
    clean = matrix.copy()
    clean[:3, :3] = u @ vt
    return RigidTransform(matrix=clean)


def similarity_of(
    source: FloatArray,
    goal: FloatArray,
    weight: FloatArray | None = None,
    *,
    scales: tuple[float, float] = (0.0, float("inf")),
) -> FloatArray:
    """Least-squares similarity (4, 4) between paired points (N, 3), source -> goal; alike without a ``weight`` (N,).

    Umeyama 1991, doi:10.1109/34.88573. The scale stays within ``scales``.
    """
    w = None if weight is None else weight / max(float(weight.sum()), 1e-12)
    a, b = (points.mean(axis=0) if w is None else w @ points for points in (source, goal))
    centred = source - a
    u, s, vt = np.linalg.svd((goal - b).T @ (centred if w is None else w[:, None] * centred))
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    rotation = (u * sign) @ vt
    variance = float((centred**2).sum() if w is None else w @ np.sum(centred**2, axis=1))
    scale = float(np.clip(float(s @ sign) / max(variance, 1e-12), *scales))
    matrix = np.eye(4)
    matrix[:3, :3] = scale * rotation
    matrix[:3, 3] = b - scale * rotation @ a
    return matrix


def rotation_deg(transform: RigidTransform) -> float:
    """Angle of the rotation of a transform, in degrees, 0 to 180."""
    return float(np.degrees(Rotation.from_matrix(transform.matrix[:3, :3]).magnitude()))


def box_corners(low: FloatArray, high: FloatArray) -> FloatArray:
    """Eight corners (8, 3) of the box from ``low`` (3,) to ``high`` (3,)."""
    ends = np.stack([np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)], axis=1)
    return np.array(np.meshgrid(*ends, indexing="ij")).reshape(3, -1).T


def grid_corners(grid: Grid) -> FloatArray:
    """Centres (8, 3) of the outermost voxels of a grid, RAS mm."""
    return apply_affine(grid.affine, box_corners(np.zeros(3), np.array(grid.shape) - 1.0))


def in_view(grid: Grid, points_mm: FloatArray) -> Array:
    """Which of ``points_mm`` (N, 3) lie inside the outermost voxel centres of a grid, (N,) bool."""
    index = apply_affine(np.asarray(np.linalg.inv(grid.affine)), points_mm)
    return np.asarray(((index > 0.0) & (index < np.array(grid.shape) - 1.0)).all(axis=1))


def crop(image: Image, low: Array, high: Array) -> Image:
    """Cut the voxel box ``low`` (3,) to ``high`` (3,), exclusive, clipped to the grid; world positions stay."""
    start = np.maximum(np.asarray(low, dtype=int), 0)
    stop = np.minimum(np.asarray(high, dtype=int), image.grid.shape)
    data = image.data[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))]
    affine = image.grid.affine.copy()
    affine[:3, 3] = apply_affine(image.grid.affine, start.astype(float))
    return type(image)(data=data, grid=Grid(shape=data.shape, affine=affine))


def placed(label_map: LabelMap, grid: Grid, *, tolerance: float = 0.05) -> LabelMap:
    """Put a label map on a grid whose voxels it meets: axes are turned, what lies around it is background.

    Nothing is resampled. Background beyond ``grid`` is cut off.

    Parameters
    ----------
    label_map : LabelMap
        On a part of ``grid``, its axes in any order and direction.
    grid : Grid
    tolerance : float
        Largest distance of a voxel centre from one of ``grid``, in voxels.

    Raises
    ------
    GeometryError
        Where voxels lie between those of ``grid``, or labels beyond it.
    """
    to_grid = np.linalg.inv(grid.affine) @ label_map.grid.affine
    turn = np.rint(to_grid[:3, :3])
    ends = np.array([np.zeros(3), np.array(label_map.grid.shape) - 1.0])
    exact, snapped = apply_affine(to_grid, ends), ends @ turn.T + np.rint(to_grid[:3, 3])
    regular = (np.abs(turn).sum(axis=0) == 1).all() and (np.abs(turn).sum(axis=1) == 1).all()
    if not regular:
        raise GeometryError(
            f"the voxels measure {_lengths(label_map.grid.spacing_mm)} mm and those of the image "
            f"{_lengths(grid.spacing_mm)} mm, or stand askew to them"
        )
    if np.abs(exact - snapped).max() > tolerance:
        off = np.abs((exact - np.rint(exact)) * grid.spacing_mm).max()
        raise GeometryError(f"the voxels lie up to {off:.3g} mm beside those of the image")
    axes = np.abs(turn).argmax(axis=1)
    signs = turn[np.arange(3), axes].astype(int)
    turned = label_map.data.transpose(axes)[tuple(slice(None, None, sign) for sign in signs)]
    low = snapped.min(axis=0).astype(int)
    start, stop = np.maximum(low, 0), np.minimum(low + turned.shape, grid.shape)
    data = np.zeros(grid.shape, dtype=np.uint8)
    if (stop > start).all():
        inner = tuple(slice(a - o, b - o) for a, b, o in zip(start, stop, low, strict=True))
        data[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))] = turned[inner]
    if beyond := int(np.count_nonzero(turned) - np.count_nonzero(data)):
        raise GeometryError(f"{beyond} of its {np.count_nonzero(turned)} labelled voxels lie beyond the image")
    return LabelMap(data=data, grid=grid)


def _lengths(lengths_mm: FloatArray) -> str:
    return " x ".join(f"{value:.4g}" for value in lengths_mm)


def thin(image: Image, spacing_mm: float) -> Image:
    """Keep every n-th voxel along each axis, where n of them are still no longer than ``spacing_mm``."""
    i, j, k = (max(1, int(spacing_mm / own + 1e-6)) for own in image.grid.spacing_mm)
    data = np.ascontiguousarray(image.data[::i, ::j, ::k])
    return type(image)(data=data, grid=Grid(shape=data.shape, affine=image.grid.affine @ np.diag([i, j, k, 1.0])))


def isotropic_grid(points_mm: FloatArray, spacing_mm: float, *, margin_mm: float) -> Grid:
    """Smallest axis-aligned RAS grid of ``spacing_mm`` that holds ``points_mm`` (N, 3) with a margin.

    Node positions are multiples of the spacing, so that the grid depends on the box of the points alone.
    """
    low = np.floor((points_mm.min(axis=0) - margin_mm) / spacing_mm)
    high = np.ceil((points_mm.max(axis=0) + margin_mm) / spacing_mm)
    affine = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    affine[:3, 3] = low * spacing_mm
    i, j, k = (high - low).astype(int) + 1
    return Grid(shape=(int(i), int(j), int(k)), affine=affine)


def to_sitk(data: Array, grid: Grid) -> sitk.Image:
    """Make a SimpleITK image (LPS) of ``data`` (I, J, K) on ``grid``; bool becomes uint8.

    Grids with a left-handed affine keep their voxel order: SimpleITK accepts an improper direction matrix.
    """
    array = data.astype(np.uint8) if data.dtype == bool else data
    image = sitk.GetImageFromArray(np.ascontiguousarray(array.transpose(2, 1, 0)))
    affine = RAS_LPS @ grid.affine
    spacing = grid.spacing_mm
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    image.SetDirection((affine[:3, :3] / spacing).ravel().tolist())
    return image


def from_sitk(image: sitk.Image) -> tuple[Array, Grid]:
    """Return data (I, J, K), or (I, J, K, C) with C values a voxel, and grid (RAS) of a SimpleITK image."""
    data = np.swapaxes(sitk.GetArrayFromImage(image), 0, 2)
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * np.array(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    return data, Grid(shape=data.shape[:3], affine=RAS_LPS @ affine)


def to_sitk_transform(transform: RigidTransform) -> sitk.AffineTransform:
    """Make the SimpleITK transform (LPS) that maps points as ``transform`` does in RAS."""
    matrix = RAS_LPS @ transform.matrix @ RAS_LPS
    result = sitk.AffineTransform(3)
    result.SetMatrix(matrix[:3, :3].ravel().tolist())
    result.SetTranslation(matrix[:3, 3].tolist())
    return result
