"""Everything around bone and cartilage: skin, fat, muscle, fluid, menisci, ligaments, tendons, vessels, fibula.

Shapes are plain solids placed in the frame of the mean knee; what connects bones is tied to each bone's own pose.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial

import numpy as np

from mriseg.simulate.fields import Float32, inverse, over
from mriseg.simulate.knee import Pose
from mriseg.simulate.mean_knee import mean_fields
from mriseg.simulate.plates import covered_points, landmarks
from mriseg.simulate.signal import Tissue
from mriseg.types import Bone, FloatArray, Grid, RigidTransform

Point = tuple[float, float, float]
Where = tuple[Float32, Float32, Float32]
Box = tuple[slice, slice, slice]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoneSample:
    """Fields of one bone on a grid: bone, healthy cartilage surface, cartilage surface with the defects cut; mm."""

    bone: Float32
    healthy: Float32
    outer: Float32


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Anatomy:
    """What differs between legs. ``placement`` (4, 4) takes the mean knee into the frame of the bones.

    ``fat_mm`` thickness of subcutaneous fat, ``fluid_mm`` thickness of the fluid film on cartilage, ``effusion`` size
    of the suprapatellar pouch (0 to 1), ``girth`` of the leg against the mean.
    """

    placement: FloatArray
    fat_mm: float = 8.0
    fluid_mm: float = 0.7
    effusion: float = 0.4
    girth: float = 1.0


@dataclass(frozen=True, slots=True)
class Strand:
    """A tendon or ligament from a point on one bone to a point on another, elliptic in section.

    Points are in the mean knee; ``radius_mm`` across and ``thin`` how many times thinner it is front to back.
    """

    start: Point
    start_bone: Bone
    end: Point
    end_bone: Bone
    radius_mm: float
    flat_axis: Point
    thin: float


MUSCLES: tuple[tuple[Point, Point, float, float], ...] = (
    # from, to, radius at each end, mm
    ((-21.0, -34.0, 22.0), (-26.0, -44.0, -90.0), 8.0, 21.0),  # gastrocnemius, medial head
    ((20.0, -33.0, 22.0), (22.0, -44.0, -90.0), 7.0, 19.0),  # gastrocnemius, lateral head
    ((36.0, -36.0, 2.0), (34.0, -34.0, 110.0), 6.0, 17.0),  # biceps femoris
    ((-24.0, -42.0, -4.0), (-16.0, -40.0, 110.0), 5.0, 19.0),  # semimembranosus
    ((-40.0, -26.0, -20.0), (-44.0, -20.0, 110.0), 4.0, 12.0),  # sartorius and gracilis
    ((-34.0, 30.0, 40.0), (-40.0, 26.0, 120.0), 7.0, 27.0),  # vastus medialis
    ((34.0, 34.0, 56.0), (36.0, 26.0, 120.0), 6.0, 24.0),  # vastus lateralis
    ((24.0, -22.0, -8.0), (-8.0, -26.0, -60.0), 7.0, 12.0),  # popliteus
    ((30.0, 14.0, -36.0), (32.0, 12.0, -110.0), 6.0, 17.0),  # tibialis anterior
    ((-2.0, -40.0, -40.0), (0.0, -42.0, -110.0), 6.0, 24.0),  # soleus
)
VESSELS: tuple[tuple[Point, Point, float], ...] = (
    ((3.0, -34.0, -70.0), (1.0, -30.0, 110.0), 3.0),
    ((8.0, -40.0, -70.0), (5.0, -37.0, 110.0), 3.6),
)
FIBULA: tuple[Point, Point, float] = ((35.0, -20.0, -24.0), (37.0, -24.0, -120.0), 8.5)


@cache
def strands() -> tuple[Strand, ...]:
    """Ligaments and tendons of the mean knee, hung on landmarks of its bones."""
    patella, tibia = mean_fields()[Bone.PATELLA][0], mean_fields()[Bone.TIBIA][0]
    pole, top = (
        _extreme(patella.data, patella.grid, axis=2, sign=-1),
        _extreme(patella.data, patella.grid, axis=2, sign=1),
    )
    low = tibia.data.copy()
    z = tibia.grid.affine[2, 3] + np.arange(low.shape[2])
    low[:, :, (z < -42) | (z > -28)] = 9.0
    tuberosity = _extreme(low, tibia.grid, axis=1, sign=1)
    f, t, p = Bone.FEMUR, Bone.TIBIA, Bone.PATELLA
    side: Point = (1.0, 0.0, 0.0)
    front: Point = (0.0, 1.0, 0.0)
    return (
        Strand(
            (pole[0], pole[1] + 4, pole[2] + 4),
            p,
            (tuberosity[0], tuberosity[1] + 1, tuberosity[2]),
            t,
            13.0,
            front,
            4.0,
        ),
        Strand((top[0], top[1] + 2, top[2] - 3), p, (4.0, 44.0, 125.0), f, 15.0, front, 3.6),
        Strand((7.0, -8.0, 15.0), f, (-2.0, 10.0, 2.0), t, 5.0, side, 1.4),
        Strand((-8.0, 4.0, 10.0), f, (0.0, -22.0, -8.0), t, 5.5, side, 1.3),
        Strand((-43.0, 6.0, 28.0), f, (-37.0, 10.0, -45.0), t, 9.0, side, 6.0),
        Strand((42.0, -6.0, 24.0), f, (38.0, -20.0, -24.0), t, 3.0, side, 1.3),
    )


def paint_soft_tissue(
    anatomy: Anatomy, pose: Pose, samples: Mapping[Bone, BoneSample], grid: Grid, signals: Mapping[Tissue, float]
) -> Float32:
    """Signal of everything that is no bone and no cartilage, on ``grid``, from the outside in."""
    width = float(grid.spacing_mm.mean())
    where = _positions(anatomy, pose, grid)
    skin = _skin(where, samples, anatomy)
    image = np.zeros(grid.shape, dtype=np.float32)
    over(image, skin, width, signals[Tissue.MUSCLE] * 0.8)
    over(image, skin + 1.4, width, signals[Tissue.FAT])
    _paint_legwork(image, where, skin + np.float32(anatomy.fat_mm), anatomy.girth, signals)
    over(image, _fluid(where, samples, anatomy), max(width, 0.5), signals[Tissue.FLUID])
    for meniscus in _menisci(where, samples):
        over(image, meniscus, max(width, 0.5), signals[Tissue.MENISCUS])
    world = _world(grid)
    for strand in strands():
        distance = partial(_strand, strand, pose=pose, anatomy=anatomy)
        for box in near(distance, world):
            over(image[box], distance(_cut(world, box)), max(width, 0.6), signals[Tissue.LIGAMENT])
    return image


def _paint_legwork(
    image: Float32, where: Where, fascia: Float32, girth: float, signals: Mapping[Tissue, float]
) -> None:
    """Muscles under the ``fascia``, vessels, fibula."""
    for start, end, thin, thick in MUSCLES:
        belly = partial(_cone, start=start, end=end, thin=thin * girth, thick=thick * girth)
        for box in near(belly, where):
            over(image[box], np.maximum(belly(_cut(where, box)), fascia[box]), 1.5, signals[Tissue.MUSCLE])
    for start, end, radius in VESSELS:
        vessel = partial(_cone, start=start, end=end, thin=radius, thick=radius)
        for box in near(vessel, where):
            over(image[box], vessel(_cut(where, box)), 0.8, signals[Tissue.VESSEL])
    start, end, radius = FIBULA
    fibula = partial(_cone, start=start, end=end, thin=radius, thick=radius - 2.0)
    for box in near(fibula, where):
        distance = fibula(_cut(where, box))
        over(image[box], distance, 0.8, signals[Tissue.CORTEX])
        over(image[box], distance + np.float32(1.2), 0.8, signals[Tissue.MARROW])


def near(distance: Callable[[Where], Float32], where: Where, *, step: int = 6) -> list[Box]:
    """Voxel box, if any, outside of which a solid cannot reach: its distance looked up on every sixth voxel."""
    coarse: Where = (
        where[0][::step, ::step, ::step],
        where[1][::step, ::step, ::step],
        where[2][::step, ::step, ::step],
    )
    ends = np.array([[w[0, 0, 0], w[-1, -1, -1]] for w in where])
    stride = float(np.linalg.norm(ends[:, 1] - ends[:, 0])) / max(sum(n - 1 for n in where[0].shape), 1) * step
    hit = np.argwhere(distance(coarse) < 2.0 * stride + 1.0)
    if not len(hit):
        return []
    low = np.maximum((hit.min(axis=0) - 1) * step, 0).tolist()
    high = ((hit.max(axis=0) + 2) * step).tolist()
    return [(slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2]))]


def _cut(where: Where, box: Box) -> Where:
    return where[0][box], where[1][box], where[2][box]


def _world(grid: Grid) -> Where:
    """Coordinates x, y, z of every voxel of ``grid``, each (I, J, K)."""
    i, j, k = (np.arange(n, dtype=np.float32) for n in grid.shape)
    a = grid.affine.astype(np.float32)
    x, y, z = (
        a[n, 0] * i[:, None, None] + a[n, 1] * j[None, :, None] + a[n, 2] * k[None, None, :] + a[n, 3] for n in range(3)
    )
    return x, y, z


def _positions(anatomy: Anatomy, pose: Pose, grid: Grid) -> Where:
    """Place of every voxel in the mean knee, following the femur above the joint and the tibia below."""
    frames = []
    for bone in (Bone.FEMUR, Bone.TIBIA):
        affine = inverse(pose[bone].matrix @ anatomy.placement) @ grid.affine
        frames.append(_world(Grid(shape=grid.shape, affine=affine)))
    above = np.clip((frames[0][2] + frames[1][2]) / np.float32(40.0) + np.float32(0.5), 0.0, 1.0)
    x, y, z = (above * f + (1 - above) * t for f, t in zip(*frames, strict=True))
    return x, y, z


def _skin(where: Where, samples: Mapping[Bone, BoneSample], anatomy: Anatomy) -> Float32:
    x, y, z = where
    wide = (56.0 + 0.06 * np.clip(z, -60, 100)) * anatomy.girth
    deep = (55.0 + 0.05 * np.clip(z, -60, 100)) * anatomy.girth
    u, v = x / wide, (y - np.float32(3.0)) / deep
    level = np.sqrt(u * u + v * v)
    slope = np.sqrt((u / wide) ** 2 + (v / deep) ** 2)
    leg = (level - 1) * level / np.maximum(slope, 1e-4)
    covers = [sample.bone - np.float32(4.0 + 0.25 * anatomy.fat_mm) for sample in samples.values()]
    return _smooth_minimum([leg, *covers], 1.4)


def _smooth_minimum(fields: list[Float32], width_mm: float) -> Float32:
    total = fields[0]
    for field in fields[1:]:
        h = np.clip(np.float32(0.5) + (field - total) / np.float32(2 * width_mm), 0.0, 1.0)
        total = field + h * (total - field) - np.float32(width_mm) * h * (1 - h)
    return np.asarray(total, dtype=np.float32)


def _cone(where: Where, *, start: Point, end: Point, thin: float, thick: float) -> Float32:
    """Distance to a rod with round ends whose radius runs from ``thin`` to ``thick``."""
    offset = [w - np.float32(s) for w, s in zip(where, start, strict=True)]
    axis = np.subtract(end, start).astype(np.float32)
    t = np.clip(sum(o * a for o, a in zip(offset, axis, strict=True)) / np.float32(axis @ axis), 0.0, 1.0)
    square = sum((o - t * a) ** 2 for o, a in zip(offset, axis, strict=True))
    return np.asarray(np.sqrt(square) - (thin + (thick - thin) * np.sqrt(t)), dtype=np.float32)


def _fluid(where: Where, samples: Mapping[Bone, BoneSample], anatomy: Anatomy) -> Float32:
    """Film on the cartilage, which also fills defects, and the suprapatellar pouch."""
    x, y, z = where
    films = [np.maximum(s.healthy - anatomy.fluid_mm, 0.9 - (s.bone - s.healthy)) for s in samples.values()]
    flat = 1.2 + 4.0 * anatomy.effusion
    bend = np.float32(41.0) - np.float32(0.06) * (z - 66.0) + np.float32(1.2) * np.sin(x / 5.0) * np.cos(z / 7.0)
    u, v, w = (x - 3.0) / 16.0, (y - bend) / flat, (z - 64.0) / (10.0 + 10.0 * anatomy.effusion)
    pouch = (np.sqrt(u * u + v * v + w * w) - 1.0) * np.float32(flat)
    return np.asarray(np.minimum.reduce([*films, pouch]), dtype=np.float32)


@cache
def _rings() -> tuple[tuple[float, float, float, float, float], ...]:
    """Centre x, y, half-axes and the side of the notch of both tibial plates."""
    points = covered_points(Bone.TIBIA)
    midline = landmarks().tibia_midline_x
    rings = []
    for plate, notch in ((points[points[:, 0] < midline], 1.0), (points[points[:, 0] >= midline], -1.0)):
        low, high = np.quantile(plate[:, :2], 0.02, axis=0), np.quantile(plate[:, :2], 0.98, axis=0)
        (x, y), (a, b) = (low + high) / 2, (high - low) / 2
        rings.append((float(x), float(y), float(a), float(b), notch))
    return tuple(rings)


def _menisci(where: Where, samples: Mapping[Bone, BoneSample]) -> list[Float32]:
    """Wedges between femur and tibia, on the rim of each plate, open towards the notch."""
    x, y, _ = where
    above, below = samples[Bone.FEMUR].healthy, samples[Bone.TIBIA].healthy
    gap = np.maximum(np.maximum(-above, -below) + np.float32(0.15), np.maximum(above, below) - np.float32(5.5))
    menisci = []
    for centre_x, centre_y, a, b, notch in _rings():
        u, v = (x - centre_x) / a, (y - centre_y) / b
        level = np.sqrt(u * u + v * v)
        ring = np.maximum(0.62 - level, level - 1.12) * np.float32(min(a, b))
        opening = notch * (x - centre_x) - np.float32(0.62 * a)
        menisci.append(np.maximum.reduce([gap, ring, opening]).astype(np.float32))
    return menisci


def _strand(strand: Strand, world: Where, *, pose: Mapping[Bone, RigidTransform], anatomy: Anatomy) -> Float32:
    """Distance to a ligament at ``world`` points, to first order."""
    ends = []
    for point, bone in ((strand.start, strand.start_bone), (strand.end, strand.end_bone)):
        matrix = pose[bone].matrix @ anatomy.placement
        ends.append((matrix @ np.array([*point, 1.0]))[:3])
    flat = pose[strand.end_bone].matrix[:3, :3] @ np.array(strand.flat_axis)
    axis = ends[1] - ends[0]
    offset = [w - np.float32(s) for w, s in zip(world, ends[0], strict=True)]
    t = np.clip(sum(o * np.float32(a) for o, a in zip(offset, axis, strict=True)) / np.float32(axis @ axis), 0.0, 1.0)
    rest = [o - t * np.float32(a) for o, a in zip(offset, axis, strict=True)]
    across = sum(r * np.float32(f) for r, f in zip(rest, flat, strict=True))
    square = sum(r * r for r in rest) + np.float32(strand.thin**2 - 1.0) * across * across
    return np.asarray((np.sqrt(square) - strand.radius_mm) / np.float32(np.sqrt(strand.thin)), dtype=np.float32)


def _extreme(data: Float32, grid: Grid, *, axis: int, sign: int) -> Point:
    """Outermost point of the inside of a field along one axis, in mm."""
    inside = np.argwhere(data < 0)
    edge = inside[inside[:, axis] == (inside[:, axis].max() if sign > 0 else inside[:, axis].min())].mean(axis=0)
    x, y, z = (grid.affine[:3, :3] @ edge + grid.affine[:3, 3]).tolist()
    return (x, y, z)
