"""Geometry: mirror, halfway, orientation and the SimpleITK bridge keep every voxel where it is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from mriseg.errors import GeometryError
from mriseg.geometry import (
    MIRROR,
    apply_affine,
    crop,
    from_sitk,
    halfway,
    isotropic_grid,
    mirror_transform,
    reorient,
    thin,
    to_right_knee,
    to_sitk,
    to_sitk_transform,
)
from mriseg.types import Grid, LabelMap, RigidTransform, Side, Volume

angles = st.floats(-60, 60)
shifts = st.floats(-80, 80)


@st.composite
def motions(draw: st.DrawFn) -> RigidTransform:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", [draw(angles) for _ in range(3)], degrees=True).as_matrix()
    matrix[:3, 3] = [draw(shifts) for _ in range(3)]
    return RigidTransform(matrix=matrix)


@st.composite
def volumes(draw: st.DrawFn) -> Volume:
    """Small volumes in any orientation, left-handed ones too."""
    shape = tuple(draw(st.integers(2, 6)) for _ in range(3))
    order = draw(st.permutations(range(3)))
    flips = np.array([draw(st.sampled_from([-1.0, 1.0])) for _ in range(3)])
    spacing = np.array([draw(st.floats(0.3, 4.0)) for _ in range(3)])
    affine = np.eye(4)
    tilt = Rotation.from_euler("xyz", [draw(st.floats(-15, 15)) for _ in range(3)], degrees=True).as_matrix()
    affine[:3, :3] = tilt @ np.eye(3)[:, order] * flips * spacing
    affine[:3, 3] = [draw(shifts) for _ in range(3)]
    data = np.random.default_rng(draw(st.integers(0, 99))).normal(size=shape).astype(np.float32)
    return Volume(data=data, grid=Grid(shape=shape, affine=affine))


def world_values(volume: Volume) -> tuple[np.ndarray, np.ndarray]:
    """Voxel centres and values, in an order that does not depend on the axes."""
    index = np.indices(volume.grid.shape).reshape(3, -1).T.astype(float)
    points = apply_affine(volume.grid.affine, index)
    order = np.argsort(volume.data.ravel(), kind="stable")
    return points[order], volume.data.ravel()[order]


@given(volumes())
def test_reorienting_moves_no_voxel(volume: Volume) -> None:
    before, after = world_values(volume), world_values(reorient(volume))
    np.testing.assert_allclose(after[0], before[0], atol=1e-9)
    np.testing.assert_array_equal(after[1], before[1])


@given(volumes())
def test_a_left_knee_and_its_mirror_image_become_the_same_array(volume: Volume) -> None:
    mirrored = Volume(data=volume.data, grid=Grid(shape=volume.grid.shape, affine=MIRROR @ volume.grid.affine))
    left, right = to_right_knee(mirrored, Side.LEFT), to_right_knee(volume, Side.RIGHT)
    np.testing.assert_array_equal(left.data, right.data)
    np.testing.assert_array_equal(left.grid.affine, right.grid.affine)


@given(motions())
def test_two_halves_of_a_motion_make_the_whole(motion: RigidTransform) -> None:
    half = halfway(motion).matrix
    np.testing.assert_allclose(half @ half, motion.matrix, atol=1e-9)


@given(motions())
def test_half_of_the_inverse_is_the_inverse_of_the_half(motion: RigidTransform) -> None:
    np.testing.assert_allclose(halfway(motion.inverse()).matrix, halfway(motion).inverse().matrix, atol=1e-9)


@given(motions())
def test_mirroring_a_motion_twice_gives_it_back(motion: RigidTransform) -> None:
    twice = mirror_transform(mirror_transform(motion, Side.LEFT), Side.LEFT)
    np.testing.assert_allclose(twice.matrix, motion.matrix, atol=1e-12)


@given(volumes())
def test_simpleitk_and_back_keeps_data_and_grid(volume: Volume) -> None:
    data, grid = from_sitk(to_sitk(volume.data, volume.grid))
    np.testing.assert_array_equal(data, volume.data)
    np.testing.assert_allclose(grid.affine, volume.grid.affine, atol=1e-9)


@given(motions(), shifts, shifts, shifts)
def test_a_transform_in_simpleitk_moves_points_alike(motion: RigidTransform, x: float, y: float, z: float) -> None:
    ras = motion.apply(np.array([[x, y, z]]))[0]
    lps = np.array(to_sitk_transform(motion).TransformPoint((-x, -y, z)))
    np.testing.assert_allclose(lps * [-1, -1, 1], ras, atol=1e-9)


@given(volumes())
def test_cropping_keeps_the_place_of_what_is_left(volume: Volume) -> None:
    cut = crop(volume, np.array([1, 0, 1]), np.array([9, 2, 9]))
    np.testing.assert_array_equal(cut.data, volume.data[1:, :2, 1:])
    first = apply_affine(volume.grid.affine, np.array([1.0, 0.0, 1.0]))
    np.testing.assert_allclose(cut.grid.affine[:3, 3], first)


@given(volumes())
def test_thinning_keeps_every_voxel_where_it_lies_and_no_step_longer_than_asked(volume: Volume) -> None:
    kept = thin(volume, 2.0 * float(volume.grid.spacing_mm.min()))
    steps = np.rint(kept.grid.spacing_mm / volume.grid.spacing_mm).astype(int)
    assert steps.max() == 2
    assert (kept.grid.spacing_mm <= np.maximum(volume.grid.spacing_mm, 2.0 * volume.grid.spacing_mm.min()) + 1e-6).all()
    index = np.array(kept.grid.shape) - 1
    assert kept.data[tuple(index)] == volume.data[tuple(index * steps)]
    place = apply_affine(volume.grid.affine, (index * steps).astype(float))
    np.testing.assert_allclose(apply_affine(kept.grid.affine, index.astype(float)), place, atol=1e-9)


def test_an_isotropic_grid_holds_all_points_with_their_margin() -> None:
    points = np.random.default_rng(1).uniform(-40, 60, (50, 3))
    grid = isotropic_grid(points, 0.5, margin_mm=3.0)
    last = apply_affine(grid.affine, np.array(grid.shape, float) - 1)
    assert (grid.affine[:3, 3] <= points.min(axis=0) - 3).all()
    assert (last >= points.max(axis=0) + 3).all()


def test_a_matrix_that_scales_or_mirrors_is_no_rigid_transform() -> None:
    for matrix in (np.diag([1.01, 1, 1, 1]), MIRROR):
        with pytest.raises(GeometryError, match="proper rotation"):
            RigidTransform(matrix=matrix)


@pytest.mark.parametrize("matrix", [np.float64(1.0), np.zeros(16), np.eye(3), np.eye(4)[None], np.full((4, 4), np.nan)])
def test_a_matrix_of_another_shape_or_with_nan_is_no_rigid_transform(matrix: np.ndarray) -> None:
    with pytest.raises(GeometryError, match="finite 4 x 4"):
        RigidTransform(matrix=matrix)


def test_a_label_map_with_an_unknown_value_is_refused_by_its_value() -> None:
    grid = Grid(shape=(2, 2, 2), affine=np.eye(4))
    with pytest.raises(GeometryError, match=r"\[8\]"):
        LabelMap(data=np.full((2, 2, 2), 8, np.uint8), grid=grid)


def test_an_image_with_nan_is_refused() -> None:
    grid = Grid(shape=(1, 1, 2), affine=np.eye(4))
    with pytest.raises(GeometryError, match="NaN"):
        Volume(data=np.array([[[1.0, np.nan]]], np.float32), grid=grid)
