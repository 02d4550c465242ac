"""From label maps to smooth fields of one bone, and to the bone surface that two visits share.

The visits are treated alike: each field is sampled once on one grid half-way between them, and the shared surface is
the zero level of their mean. Resampling only one visit would bias change (Reuter 2012,
doi:10.1016/j.neuroimage.2012.02.084).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from mriseg.geometry import apply_affine, box_corners, crop, grid_corners, in_view, isotropic_grid, thin
from mriseg.measure.tuned import PlaceParameters
from mriseg.surfaces import smooth_field
from mriseg.types import Array, Bone, FloatArray, Grid, LabelMap, RigidTransform

DEFAULTS = PlaceParameters()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VisitFields:
    """Smooth fields of one bone at one visit, on a crop of its own grid.

    Parameters
    ----------
    grid : Grid
        The crop.
    bone, outer : array, (I, J, K) float32
        Signed distance in mm, negative inside, of the bone and of bone and cartilage together.
    cartilage : array, (I, J, K) bool
        The cartilage label.
    occupancy : array, (I, J, K) float32
        The cartilage label smoothed, 0 to 1.
    to_visit : RigidTransform
        Half-way space -> space of this visit.
    """

    grid: Grid
    bone: npt.NDArray[np.float32]
    outer: npt.NDArray[np.float32]
    cartilage: Array
    occupancy: npt.NDArray[np.float32]
    to_visit: RigidTransform


def label_points(labels: LabelMap, label: int) -> FloatArray:
    """Corners of the box (8, 3) RAS mm that holds the voxels of one label; (0, 3) where there are none."""
    boxes = ndimage.find_objects(labels.data, max_label=label)
    box = boxes[label - 1] if len(boxes) >= label else None
    if box is None:
        return np.empty((0, 3))
    low, high = np.array([(part.start, part.stop - 1) for part in box], dtype=np.float64).T
    return apply_affine(labels.grid.affine, box_corners(low, high))


def crop_around(labels: LabelMap, points_mm: FloatArray, *, margin_mm: float) -> LabelMap:
    """Crop a label map to the box of ``points_mm`` (N, 3) RAS with a margin."""
    index = apply_affine(np.asarray(np.linalg.inv(labels.grid.affine)), points_mm)
    margin = margin_mm / labels.grid.spacing_mm
    return crop(labels, np.floor(index.min(axis=0) - margin), np.ceil(index.max(axis=0) + margin) + 1)


def visit_fields(
    labels: LabelMap, bone: Bone, to_visit: RigidTransform, *, smoothing_mm: float, coverage_smoothing_mm: float
) -> VisitFields:
    """Draw the smooth fields of one bone from an already cropped label map."""
    bone_mask, cartilage = labels.data == bone.label, labels.data == bone.cartilage
    occupancy = ndimage.gaussian_filter(cartilage.astype(np.float32), coverage_smoothing_mm / labels.grid.spacing_mm)
    return VisitFields(
        grid=labels.grid,
        bone=smooth_field(bone_mask, labels.grid, smoothing_mm=smoothing_mm).astype(np.float32),
        outer=smooth_field(bone_mask | cartilage, labels.grid, smoothing_mm=smoothing_mm).astype(np.float32),
        cartilage=cartilage,
        occupancy=occupancy,
        to_visit=to_visit,
    )


def coarse_bone_field(
    labels: LabelMap, bone: Bone, *, spacing_mm: float, parameters: PlaceParameters = DEFAULTS
) -> tuple[Array, Grid]:
    """Signed distance of one bone on a thinned grid, for fitting the atlas; cropped to the bone."""
    near = thin(
        crop_around(labels, label_points(labels, bone.label), margin_mm=parameters.coarse_margin_mm), spacing_mm
    )
    return smooth_field(near.mask(bone.label), near.grid, smoothing_mm=parameters.coarse_smoothing * spacing_mm).astype(
        np.float32
    ), near.grid


def on_grid(field: Array, grid: Grid, to_visit: RigidTransform, half: Grid) -> FloatArray:
    """Sample a field of one visit linearly on a grid in half-way space; beyond its edge it goes on as it ends."""
    matrix = np.linalg.inv(grid.affine) @ to_visit.matrix @ half.affine
    sampled = ndimage.affine_transform(
        field, matrix[:3, :3], offset=matrix[:3, 3], output_shape=half.shape, order=1, mode="nearest"
    )
    return np.asarray(sampled, dtype=np.float64)


def resampled(fields: VisitFields, half: Grid) -> tuple[FloatArray, FloatArray]:
    """Bone and outer field of one visit on the half-way grid."""
    return (
        on_grid(fields.bone, fields.grid, fields.to_visit, half),
        on_grid(fields.outer, fields.grid, fields.to_visit, half),
    )


def mean_on_grid(
    fields: Sequence[tuple[Array, Grid, RigidTransform]], points_mm: FloatArray, *, spacing_mm: float
) -> tuple[FloatArray, Grid]:
    """Mean of the visits' fields on one isotropic half-way grid around ``points_mm`` (N, 3) of half-way space."""
    half = isotropic_grid(points_mm, spacing_mm, margin_mm=0.0)
    total = sum(on_grid(field, grid, to_visit, half) for field, grid, to_visit in fields)
    return np.asarray(total / len(fields), dtype=np.float64), half


def mean_of_seen(
    sampled: Sequence[FloatArray], shown_on: Sequence[tuple[Grid, RigidTransform]], half: Grid
) -> FloatArray:
    """Mean (I, J, K) of fields ``sampled`` on ``half``, at each point over the visits that show it.

    ``shown_on`` holds the grid of each visit and the motion from the common space to it. Where no visit shows a point
    all count, as beyond its edge a field merely goes on.
    """
    if all(in_view(grid, motion.apply(grid_corners(half))).all() for grid, motion in shown_on):
        return np.asarray(sum(sampled) / len(sampled), dtype=np.float64)
    index = np.indices(half.shape, dtype=np.float64).reshape(3, -1).T
    points = apply_affine(half.affine, index)
    seen = [in_view(grid, motion.apply(points)).reshape(half.shape) for grid, motion in shown_on]
    count = np.sum(seen, axis=0)
    weight = [np.where(count == 0, 1, part) for part in seen]
    total = sum(field * share for field, share in zip(sampled, weight, strict=True))
    return np.asarray(total / np.where(count == 0, len(sampled), count), dtype=np.float64)
