"""The pieces: interpolation, steps in half-way space, jack-knife, clouds, patches."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from mriseg.geometry import apply_affine, nearest_rigid
from mriseg.register.band import patches
from mriseg.register.cloud import bone_cloud, thin_index
from mriseg.register.motion import Residuals, advance, jackknife_mm, lever, moved_mm
from mriseg.register.sampling import Field, inside, sample, smooth
from mriseg.register.surface import robust_weight
from mriseg.types import Bone, Grid, LabelMap, RigidTransform

OBLIQUE = np.array([[0.0, -0.7, 0.0, 3.0], [0.3, 0.0, 0.1, 4.0], [0.0, 0.1, -0.5, 5.0], [0.0, 0.0, 0.0, 1.0]])


@pytest.fixture
def field() -> Field:
    values = np.random.default_rng(0).normal(size=(20, 22, 24))
    return smooth(values, Grid(shape=(20, 22, 24), affine=OBLIQUE), sigma_mm=1.0)


def test_sampling_agrees_with_scipy_and_its_gradient_with_differences(field):
    ijk = np.random.default_rng(1).uniform(1, 18, (60, 3))
    points = apply_affine(OBLIQUE, ijk)
    value, gradient = sample(field, points)
    np.testing.assert_allclose(value, ndimage.map_coordinates(field.values, ijk.T, order=1), atol=1e-6)
    for axis in range(3):
        step = np.eye(3)[axis] * 1e-3
        slope = (sample(field, points + step)[0] - sample(field, points - step)[0]) / 2e-3
        np.testing.assert_allclose(gradient[:, axis], slope, atol=2e-3)


def test_inside_ends_at_the_outer_voxel_centres():
    grid = Grid(shape=(5, 5, 5), affine=np.diag([2.0, 1.0, 1.0, 1.0]))
    points = np.array([[0.0, 0.0, 0.0], [8.0, 4.0, 4.0], [8.1, 2.0, 2.0], [4.0, 2.0, -0.1]])
    assert inside(grid, points).tolist() == [True, True, False, False]
    assert inside(grid, points, margin_mm=1.0).tolist() == [False, False, False, False]


def test_a_step_and_its_opposite_are_inverse_for_swapped_visits(turn):
    start, step, centre = (
        turn((1, 2, 3), (5, -8, 3), (4, 5, 6)),
        np.array([0.01, -0.02, 0.03, 0.4, 0.5, -0.6]),
        np.ones(3),
    )
    forward, backward = advance(start, step, centre), advance(start.inverse(), -step, centre)
    np.testing.assert_allclose(forward.matrix @ backward.matrix, np.eye(4), atol=1e-12)


def test_the_least_squares_step_recovers_a_small_motion():
    rng = np.random.default_rng(2)
    points, normals, centre = rng.normal(0, 20, (300, 3)), rng.normal(size=(300, 3)), np.array([1.0, 2.0, 3.0])
    truth = np.array([0.01, 0.02, -0.01, 0.3, -0.2, 0.1])
    value = -(moved_mm(truth, points, centre) * normals).sum(axis=1)
    residuals = Residuals(points_mm=points, value=value, jacobian=lever(points, normals, centre), weight=np.ones(300))
    np.testing.assert_allclose(residuals.step(), truth, atol=1e-12)
    agreed = Residuals(points_mm=points, value=0 * value, jacobian=residuals.jacobian, weight=residuals.weight)
    assert jackknife_mm(agreed, points, centre) == pytest.approx(0.0, abs=1e-12)
    noisy = Residuals(
        points_mm=points, value=rng.normal(0, 1, 300), jacobian=residuals.jacobian, weight=residuals.weight
    )
    assert jackknife_mm(noisy, points, centre) > 0.01


def test_a_cloud_lies_on_a_sphere_with_outward_normals():
    grid = Grid(shape=(60, 80, 80), affine=np.diag([0.7, 0.5, 0.5, 1.0]))
    points = apply_affine(grid.affine, np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1))
    centre = np.array([20.5, 19.8, 20.2])
    labels = LabelMap(data=(np.linalg.norm(points - centre, axis=-1) < 15.0).astype(np.uint8), grid=grid)
    box = (slice(0, 60), slice(0, 80), slice(0, 80))
    cloud = bone_cloud(labels, Bone.FEMUR, box=box, smoothing_mm=0.7, spacing_mm=1.2)
    away = cloud.points_mm - centre
    radius = np.linalg.norm(away, axis=1)
    assert abs(radius.mean() - 15.0) < 0.06
    assert np.abs(radius - radius.mean()).max() < 0.3
    assert (away / radius[:, None] * cloud.normals).sum(axis=1).min() > 0.9
    assert len(cloud.points_mm) > 1000


def test_an_absent_bone_gives_an_empty_cloud(field):
    labels = LabelMap(data=np.zeros(field.grid.shape, dtype=np.uint8), grid=field.grid)
    assert len(bone_cloud(labels, Bone.TIBIA, box=None, smoothing_mm=0.7, spacing_mm=1.2).points_mm) == 0


def test_thinning_keeps_one_point_a_cube_and_patches_count_without_gaps():
    points = np.array([[0.1, 0.1, 0.1], [0.2, 0.2, 0.2], [5.0, 0.0, 0.0], [-3.0, 0.0, 0.0]])
    assert thin_index(points, 1.0).tolist() == [0, 2, 3]
    assert sorted(set(patches(points, 2.0).tolist())) == [0, 1, 2]
    assert len(patches(np.empty((0, 3)), 2.0)) == 0


def test_far_gaps_weigh_nothing():
    weight = robust_weight(np.array([0.0, 0.1, -0.1, 0.1, 5.0]), floor_mm=0.1)
    assert weight[0] == 1.0
    assert weight[4] == 0.0
    assert robust_weight(np.empty(0), floor_mm=0.1).shape == (0,)


def test_a_long_product_stays_rigid(turn):
    drifted = turn((0, 0, 0), (3, 4, 5), (1, 2, 3)).matrix * np.array([[1 + 1e-5], [1], [1], [1]])
    assert isinstance(nearest_rigid(drifted), RigidTransform)
