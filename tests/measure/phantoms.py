"""Analytic shapes as label maps, sampled at the voxel centres of a turned and shifted grid."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from mriseg.geometry import apply_affine, isotropic_grid
from mriseg.measure.coverage import Cartilage, cartilage_on
from mriseg.measure.fields import resampled, visit_fields
from mriseg.surfaces import Surface, level_surface
from mriseg.types import Bone, FloatArray, Grid, Label, LabelMap, RigidTransform

FINE_MM = (0.3, 0.3, 0.3)
DESS_MM = (0.7, 0.365, 0.365)


def turned_grid(spacing_mm: tuple[float, float, float], half_width_mm: float, seed: int) -> tuple[Grid, FloatArray]:
    """Grid around the origin in a random orientation, and its voxel centres (I, J, K, 3) in RAS mm."""
    rng = np.random.default_rng(seed)
    shape = np.ceil(2 * half_width_mm / np.array(spacing_mm)).astype(int)
    affine = np.eye(4)
    affine[:3, :3] = Rotation.random(random_state=int(rng.integers(1 << 30))).as_matrix() * np.array(spacing_mm)
    affine[:3, 3] = -affine[:3, :3] @ ((shape - 1) / 2) + rng.uniform(-0.4, 0.4, 3)
    grid = Grid(shape=tuple(shape.tolist()), affine=affine)
    index = np.stack(np.meshgrid(*[np.arange(n, dtype=float) for n in shape], indexing="ij"), axis=-1)
    return grid, apply_affine(affine, index)


def shell_with_hole(
    spacing_mm: tuple[float, float, float], *, radius_mm: float, thickness_mm: float, hole_mm2: float, seed: int
) -> LabelMap:
    """Ball of bone (as tibia) under a shell of cartilage that misses a round cap of ``hole_mm2`` at +z."""
    grid, points = turned_grid(spacing_mm, radius_mm + thickness_mm + 2.5, seed)
    r = np.linalg.norm(points, axis=-1)
    angle = np.arccos(np.clip(points[..., 2] / np.maximum(r, 1e-9), -1.0, 1.0))
    data = np.zeros(grid.shape, dtype=np.uint8)
    data[(r < radius_mm + thickness_mm) & (angle > cap_angle(radius_mm, hole_mm2))] = Label.TIBIAL_CARTILAGE
    data[r < radius_mm] = Label.TIBIA
    return LabelMap(data=data, grid=grid)


def cap_angle(radius_mm: float, area_mm2: float) -> float:
    """Half-angle in radians of the spherical cap of an area."""
    return float(np.arccos(1.0 - area_mm2 / (2.0 * np.pi * radius_mm**2)))


def cylinder(spacing_mm: tuple[float, float, float], *, radius_mm: float, thickness_mm: float, seed: int) -> LabelMap:
    """Round bone (tibia) along z under a layer of cartilage; both run on beyond 10 mm to either side."""
    grid, points = turned_grid(spacing_mm, radius_mm + thickness_mm + 4.0, seed)
    x, y, z = np.moveaxis(points, -1, 0)
    r = np.hypot(x, y)
    data = np.zeros(grid.shape, dtype=np.uint8)
    data[(r < radius_mm + thickness_mm) & (np.abs(z) < 11.0)] = Label.TIBIAL_CARTILAGE
    data[(r < radius_mm) & (np.abs(z) < 11.0)] = Label.TIBIA
    return LabelMap(data=data, grid=grid)


def layer(labels: LabelMap, bone: Bone, reach_mm: float) -> tuple[Surface, Cartilage]:
    """Bone surface of a phantom and the cartilage on it, as the measurement draws them with its default choices."""
    fields = visit_fields(labels, bone, RigidTransform.identity(), smoothing_mm=0.5, coverage_smoothing_mm=0.4)
    half = isotropic_grid(np.array([[-reach_mm] * 3, [reach_mm] * 3]), 0.6, margin_mm=0.0)
    inner, outer = resampled(fields, half)
    surface = level_surface(inner, half)
    return surface, cartilage_on(surface, fields, surface, level_surface(outer, half))


def grooved_plate(spacing_mm: tuple[float, float, float], *, depth_mm: float, width_mm: float, seed: int) -> LabelMap:
    """Flat bone (femur) under 2.4 mm of cartilage with a groove of ``depth_mm`` along y; the plate is 24 mm square."""
    grid, points = turned_grid(spacing_mm, 16.0, seed)
    x, y, z = np.moveaxis(points, -1, 0)
    plate = (np.abs(x) < 12.0) & (np.abs(y) < 12.0)
    top = np.where(np.abs(x) < 0.5 * width_mm, 2.4 - depth_mm, 2.4)
    data = np.zeros(grid.shape, dtype=np.uint8)
    data[plate & (z >= 0.0) & (z < top)] = Label.FEMORAL_CARTILAGE
    data[plate & (z < 0.0) & (z > -8.0)] = Label.FEMUR
    return LabelMap(data=data, grid=grid)
