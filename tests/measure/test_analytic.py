"""Area and thickness of shapes whose truth is a formula."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from mriseg.measure.coverage import cover_field
from mriseg.measure.footprint import bare_share
from mriseg.surfaces import adjacency, negative_fraction, triangle_areas, vertex_areas
from mriseg.types import Bone

sys.path.insert(0, str(Path(__file__).parent))
from phantoms import DESS_MM, FINE_MM, cap_angle, cylinder, grooved_plate, layer, shell_with_hole

RADIUS, THICKNESS = 12.0, 2.2


@pytest.mark.parametrize(("spacing", "area_pct", "thickness_mm"), [(FINE_MM, 1.0, 0.03), (DESS_MM, 2.0, 0.07)])
def test_sphere_area_and_shell_thickness(spacing, area_pct, thickness_mm):
    labels = shell_with_hole(spacing, radius_mm=RADIUS, thickness_mm=THICKNESS, hole_mm2=60.0, seed=1)
    surface, cartilage = layer(labels, Bone.TIBIA, RADIUS + 3.0)
    area = vertex_areas(surface)
    assert area.sum() == pytest.approx(4 * np.pi * RADIUS**2, rel=0.01 * area_pct)
    polar = np.arccos(surface.vertices_mm[:, 2] / np.linalg.norm(surface.vertices_mm, axis=1))
    sound = polar > cap_angle(RADIUS, 60.0) + 0.15
    assert np.average(cartilage.thickness_mm[sound], weights=area[sound]) == pytest.approx(THICKNESS, abs=thickness_mm)
    along = cartilage.along_normal_mm[sound]
    assert np.isfinite(along).mean() > 0.99
    assert np.nanmean(along) == pytest.approx(THICKNESS, abs=thickness_mm)
    shell = np.linalg.norm(cartilage.outer_mm, axis=1) - RADIUS
    assert np.abs(cartilage.outer_distance_mm - shell).mean() < thickness_mm


@pytest.mark.parametrize(("spacing", "limit_pct"), [(FINE_MM, 4.0), (DESS_MM, 7.0)])
@pytest.mark.parametrize("hole_mm2", [50.0, 110.0])
def test_bare_area_of_a_hole_in_the_shell(spacing, limit_pct, hole_mm2):
    labels = shell_with_hole(spacing, radius_mm=RADIUS, thickness_mm=THICKNESS, hole_mm2=hole_mm2, seed=3)
    surface, cartilage = layer(labels, Bone.TIBIA, RADIUS + 3.0)
    cover = cover_field(cartilage.column_mm, np.ones(len(surface.vertices_mm)), adjacency(surface))
    polar = np.arccos(surface.vertices_mm[:, 2] / np.linalg.norm(surface.vertices_mm, axis=1))
    near = polar < cap_angle(RADIUS, hole_mm2) + 0.2
    share = bare_share(surface, cover)
    assert share[~near].sum() == 0.0
    assert share[near].sum() == pytest.approx(hole_mm2, rel=0.01 * limit_pct)


def test_thickness_of_a_groove():
    labels = grooved_plate(DESS_MM, depth_mm=1.2, width_mm=8.0, seed=5)
    surface, cartilage = layer(labels, Bone.FEMUR, 15.0)
    x, y, z = surface.vertices_mm.T
    floor = (np.abs(x) < 2.5) & (np.abs(y) < 9.0) & (z > -1.0)
    beside = (np.abs(x) > 6.0) & (np.abs(x) < 9.0) & (np.abs(y) < 9.0) & (z > -1.0)
    assert cartilage.thickness_mm[floor].mean() == pytest.approx(1.2, abs=0.07)
    assert cartilage.thickness_mm[beside].mean() == pytest.approx(2.4, abs=0.07)


@pytest.mark.parametrize(("spacing", "area_pct", "thickness_mm"), [(FINE_MM, 1.0, 0.03), (DESS_MM, 2.0, 0.07)])
def test_cylinder_area_and_layer_thickness(spacing, area_pct, thickness_mm):
    labels = cylinder(spacing, radius_mm=RADIUS, thickness_mm=THICKNESS, seed=7)
    surface, cartilage = layer(labels, Bone.TIBIA, RADIUS + 3.0)
    height = np.abs(surface.vertices_mm[:, 2])
    area = (triangle_areas(surface) * negative_fraction(surface, height - 8.0)).sum()
    assert area == pytest.approx(2 * np.pi * RADIUS * 16.0, rel=0.01 * area_pct)
    assert cartilage.thickness_mm[height < 8.0].mean() == pytest.approx(THICKNESS, abs=thickness_mm)
