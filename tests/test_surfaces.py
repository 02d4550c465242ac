"""Triangle surfaces: orientation, distances, areas inside triangles."""

from __future__ import annotations

import numpy as np
import pytest

from mriseg.errors import GeometryError
from mriseg.surfaces import (
    Surface,
    adjacency,
    border_vertices,
    closest_points,
    extract_surface,
    negative_fraction,
    probability_surface,
    signed_distance,
    submesh,
    triangle_areas,
    vertex_areas,
    vertex_normals,
)
from mriseg.types import Grid


def ball(spacing=(0.7, 0.5, 0.5), radius=6.0, *, flip=False):
    shape = tuple(int(np.ceil(2 * (radius + 2) / s)) for s in spacing)
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = -0.5 * (np.array(shape) - 1) * spacing
    if flip:
        affine[0] *= -1
    grid = Grid(shape=shape, affine=affine)
    index = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), axis=-1)
    return np.linalg.norm(index @ affine[:3, :3].T + affine[:3, 3], axis=-1) < radius, grid


@pytest.mark.parametrize("flip", [False, True])
def test_normals_point_outwards_on_either_handedness(flip):
    mask, grid = ball(flip=flip)
    surface = extract_surface(mask, grid)
    outwards = np.einsum("ij,ij->i", vertex_normals(surface), surface.vertices_mm)
    assert (outwards > 5.0).all()


def test_areas_of_vertices_and_triangles_agree_with_the_sphere():
    mask, grid = ball()
    surface = extract_surface(mask, grid, smoothing_mm=0.5)
    assert vertex_areas(surface).sum() == pytest.approx(triangle_areas(surface).sum())
    assert vertex_areas(surface).sum() == pytest.approx(4 * np.pi * 36, rel=0.02)


def test_closest_points_on_a_triangle_reach_face_edge_and_corner():
    corners = np.array([[0.0, 0, 0], [2, 0, 0], [0, 2, 0]])
    triangle = Surface(vertices_mm=corners, faces=np.array([[0, 1, 2]]))
    points = np.array([[0.5, 0.5, 1.0], [1.0, -1.0, 0.0], [3.0, 0.0, 0.0]])
    distance, foot = closest_points(points, triangle)
    assert distance == pytest.approx([1.0, 1.0, 1.0])
    assert foot == pytest.approx(np.array([[0.5, 0.5, 0], [1, 0, 0], [2, 0, 0]]))


def test_closest_points_of_nothing_are_infinitely_far():
    nothing = Surface(vertices_mm=np.empty((0, 3)), faces=np.empty((0, 3), dtype=np.int64))
    distance, foot = closest_points(np.zeros((2, 3)), nothing)
    assert np.isinf(distance).all()
    assert np.isnan(foot).all()


@pytest.mark.parametrize(
    ("values", "fraction"), [([1, 1, 1], 0), ([-1, -1, -1], 1), ([-1, 1, 1], 0.25), ([1, -1, -1], 0.75), ([0, 0, 1], 0)]
)
def test_negative_fraction_cuts_inside_the_triangle(values, fraction):
    triangle = Surface(vertices_mm=np.eye(3), faces=np.array([[0, 1, 2]]))
    assert negative_fraction(triangle, np.array(values, dtype=float)) == pytest.approx([fraction])


def test_submesh_keeps_whole_triangles_and_names_their_vertices():
    mask, grid = ball()
    surface = extract_surface(mask, grid)
    part, index = submesh(surface, surface.vertices_mm[:, 2] > 0)
    assert np.array_equal(part.vertices_mm, surface.vertices_mm[index])
    assert border_vertices(part).any()
    assert not border_vertices(surface).any()
    assert adjacency(part).shape == (len(index), len(index))


def test_full_and_empty_masks_have_no_edge():
    grid = Grid(shape=(3, 3, 3), affine=np.eye(4))
    assert (signed_distance(np.zeros((3, 3, 3), bool), grid) == np.inf).all()
    assert (signed_distance(np.ones((3, 3, 3), bool), grid) == -np.inf).all()
    with pytest.raises(GeometryError, match="empty"):
        extract_surface(np.zeros((3, 3, 3), bool), grid)


def test_probability_map_gives_the_surface_at_one_half_and_refuses_nan():
    _, grid = ball()
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    radius = np.linalg.norm(index @ grid.affine[:3, :3].T + grid.affine[:3, 3], axis=-1)
    probability = np.clip(0.5 + 0.5 * (6.0 - radius), 0.0, 1.0)
    surface = probability_surface(probability, grid)
    assert np.linalg.norm(surface.vertices_mm, axis=1) == pytest.approx(6.0, abs=0.02)
    probability[0, 0, 0] = np.nan
    with pytest.raises(GeometryError, match="NaN"):
        probability_surface(probability, grid)
