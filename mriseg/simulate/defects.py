"""Cartilage defects of known area and depth, cut analytically into the continuous knee.

A defect is an elliptic cylinder along the local normal of the bone. Inside of it the cartilage surface is lowered to a
share of its depth, down to the bone for a full-thickness defect. Its area is that of the bone surface inside.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from mriseg.errors import MrisegError
from mriseg.simulate.articular import ArticularSurface
from mriseg.types import Array, Bone, FloatArray

HEIGHT_MM = 8.0
PLUG_GAP_MM = 0.3
PLUG_REACH_MM = 4.0


class Filling(StrEnum):
    """What lies where cartilage was: joint fluid, thickened synovium, or the cartilage that faces the defect."""

    FLUID = "fluid"
    SYNOVIUM = "synovium"
    OPPOSING = "opposing"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlantedDefect:
    """One defect in the frame of its bone.

    Parameters
    ----------
    defect_id, plate : str
    bone : Bone
    centre_mm, normal, axis : array, (3,)
        Point on the bone surface, outward unit normal, unit direction of the first half-axis (at right angles).
    half_axes_mm : tuple of float, (2,)
    depth : float
        Share of the cartilage that is gone, from the surface: 1 is full thickness.
    filling : Filling
    """

    defect_id: str
    plate: str
    bone: Bone
    centre_mm: FloatArray
    normal: FloatArray
    axis: FloatArray
    half_axes_mm: tuple[float, float]
    depth: float = 1.0
    filling: Filling = Filling.FLUID

    def distance(self, points_mm: Array) -> Array:
        """Signed distance in mm, to first order, of ``points_mm`` (..., 3) to the cylinder; negative inside."""
        a, b = self.half_axes_mm
        offset = points_mm - self.centre_mm.astype(points_mm.dtype)
        u = offset @ self.axis.astype(points_mm.dtype)
        v = offset @ np.cross(self.normal, self.axis).astype(points_mm.dtype)
        level = np.sqrt((u / a) ** 2 + (v / b) ** 2)
        slope = np.sqrt((u / a**2) ** 2 + (v / b**2) ** 2)
        radial = np.where(slope > 1e-6, (level - 1.0) * level / np.maximum(slope, 1e-6), -min(a, b))
        height = np.abs(offset @ self.normal.astype(points_mm.dtype))
        return np.asarray(np.maximum(radial, height - HEIGHT_MM))

    def cut(self, inner: Array, outer: Array, points_mm: Array) -> Array:
        """Lower the cartilage surface: the new ``outer`` field where ``inner`` is the bone, at ``points_mm``."""
        lowered = self.depth * inner + (1.0 - self.depth) * outer
        return np.asarray(np.maximum(outer, np.minimum(lowered, -self.distance(points_mm))))

    def plug(self, outer: Array, facing: Array, points_mm: Array) -> Array:
        """Let the cartilage that faces the defect reach into it: its new field, at ``points_mm``.

        ``outer`` is the cartilage surface with the defect cut, ``facing`` that of the other bone; both in mm. A gap of
        0.3 mm stays, and cartilage farther than 4 mm away stays where it is.
        """
        walls = np.maximum(self.distance(points_mm) + PLUG_GAP_MM, PLUG_GAP_MM - outer)
        return np.asarray(np.minimum(facing, np.maximum(walls, facing - PLUG_REACH_MM)))

    @property
    def reach_mm(self) -> float:
        """Radius of the ball around the centre that holds the cut."""
        return float(np.hypot(max(self.half_axes_mm), HEIGHT_MM)) + 1.0


def sized(defect: PlantedDefect, surface: ArticularSurface, area_mm2: float) -> PlantedDefect:
    """Scale the half-axes until the defect covers ``area_mm2`` of the articular bone surface, to 0.2 % or 0.05 mm2."""
    low, high = 0.0, 6.0
    for _ in range(24):
        factor = (low + high) / 2
        area = surface.area_inside(_scaled(defect, factor).distance(surface.vertices_mm))
        if abs(area - area_mm2) < max(0.05, 0.002 * area_mm2):
            break
        low, high = (factor, high) if area < area_mm2 else (low, factor)
    return _scaled(defect, factor)


def _scaled(defect: PlantedDefect, factor: float) -> PlantedDefect:
    a, b = defect.half_axes_mm
    return replace(defect, half_axes_mm=(a * factor, b * factor))


def place_defect(
    surface: ArticularSurface,
    plate: str,
    *,
    areas_mm2: tuple[float, float],
    depth: float,
    name: str,
    rng: np.random.Generator,
    avoid: tuple[PlantedDefect, ...] = (),
) -> tuple[PlantedDefect, PlantedDefect]:
    """Find a place on a plate for a defect that has ``areas_mm2`` at baseline and follow-up.

    Both cuts share centre and shape; the larger one lies wholly on the plate, off its rim where there is room, and
    clear of the defects in ``avoid``.

    Raises
    ------
    MrisegError
        Where the plate has no room for it.
    """
    on_plate = surface.plate == plate
    candidates = np.flatnonzero(on_plate & (surface.thickness_mm > 1.0))
    largest = max(areas_mm2)
    best: tuple[float, PlantedDefect] | None = None
    for vertex in rng.permutation(candidates)[:60]:
        shape = _elliptic_cut(surface, int(vertex), area=largest, depth=depth, name=name, rng=rng)
        grown = sized(shape, surface, largest)
        inside = grown.distance(surface.vertices_mm) < 1.0
        kept = float(surface.area_mm2[inside & on_plate].sum() / max(surface.area_mm2[inside].sum(), 1e-9))
        expected = np.pi * (grown.half_axes_mm[0] + 1.0) * (grown.half_axes_mm[1] + 1.0)
        room = kept * min(1.0, float(surface.area_mm2[inside & on_plate].sum()) / expected)
        if any(_overlap(grown, other) for other in avoid):
            continue
        if best is None or room > best[0]:
            best = (room, shape)
        if room > 0.97:
            break
    if best is None or best[0] < 0.8:
        raise MrisegError(f"No room for a defect of {largest:.0f} mm2 on {plate}: plant a smaller one.")
    first, second = (sized(best[1], surface, area) for area in areas_mm2)
    return first, second


def _elliptic_cut(
    surface: ArticularSurface, vertex: int, *, area: float, depth: float, name: str, rng: np.random.Generator
) -> PlantedDefect:
    """Cut of about ``area`` mm2 around a vertex, along the mean normal around it, 1 to 1.8 times longer than wide."""
    centre = surface.vertices_mm[vertex]
    near = np.linalg.norm(surface.vertices_mm - centre, axis=1) < max(2.0, np.sqrt(area / np.pi))
    normal = surface.normals[near].mean(axis=0)
    normal /= np.linalg.norm(normal)
    axis = np.cross(normal, rng.normal(size=3))
    axis /= np.linalg.norm(axis)
    stretch = float(np.sqrt(rng.uniform(1.0, 1.8)))
    radius = float(np.sqrt(area / np.pi))
    return PlantedDefect(
        defect_id=name,
        plate=str(surface.plate[vertex]),
        bone=surface.bone,
        centre_mm=centre,
        normal=normal,
        axis=axis,
        half_axes_mm=(radius * stretch, radius / stretch),
        depth=depth,
    )


def _overlap(one: PlantedDefect, other: PlantedDefect) -> bool:
    apart = float(np.linalg.norm(one.centre_mm - other.centre_mm))
    return one.bone is other.bone and apart < max(one.half_axes_mm) + max(other.half_axes_mm) + 3.0
