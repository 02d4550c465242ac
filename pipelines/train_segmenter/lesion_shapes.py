"""Shapes of lesions in distances: where one lies, its outline on the bone, and what it does to layer and bone.

Distances are in mm and negative inside: ``inner`` of a bone, ``outer`` of the bone with its cartilage.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from chance import Chance

Tensor = torch.Tensor
Box = tuple[slice, ...]
TALL_MM = 9.0  # above and below the bone that a lesion reaches: more than any layer, less than a condyle
FADE_MM = 12.0  # from its outline that a leaning wall reaches


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Part of the image about a lesion: height over the bone and place along two axes, mm, each (i, j, k)."""

    box: Box
    height: Tensor
    along: Tensor
    across: Tensor

    def outline(self, half: tuple[float, float], *, tilt: float = 0.0, ragged: Tensor | float = 0.0) -> Tensor:
        """Distance in mm, negative inside, to an elliptic cylinder that leans by ``tilt`` (tangent) along one axis."""
        a, b = half
        level = torch.sqrt(((self.along + tilt * self.height) / a) ** 2 + (self.across / b) ** 2) + ragged
        return torch.maximum((level - 1) * min(a, b), self.height.abs() - TALL_MM)


def layer_floor(distances: Tensor, bone: int, voxel_mm: float) -> Tensor:
    """Voxels (I, J, K) of cartilage on one bone, where the layer is a millimetre and more."""
    inner, outer = distances[bone], distances[bone + 1]
    return (inner > 0) & (inner < 1.2 * voxel_mm) & (inner - outer > 1.0)


def half_axes(area_mm2: float, kind: str, chance: Chance) -> tuple[float, float]:
    """Half axes in mm of an ellipse of that area; a fissure is as long as it would be wide, and narrow."""
    radius, stretch = float(np.sqrt(area_mm2 / np.pi)), chance.uniform(1.0, 1.5)
    return (radius * stretch, chance.uniform(0.25, 0.6)) if kind == "fissure" else (radius * stretch, radius / stretch)


def find_site(distances: Tensor, bone: int, reach_mm: float, chance: Chance, voxel_mm: float) -> Site | None:
    """A place for a lesion on one bone; None where its cartilage has gone already."""
    places = torch.nonzero(layer_floor(distances, bone, voxel_mm))
    if not len(places):
        return None
    centre = places[chance.rng.integers(len(places))].tolist()
    shape = distances.shape[1:]
    step = max(2, round(2.0 / voxel_mm))
    normal = np.array([_rise(distances[bone], centre, axis, step) for axis in range(3)])
    normal /= max(float(np.linalg.norm(normal)), 1e-6)
    along = np.cross(normal, chance.rng.normal(size=3))
    along /= max(float(np.linalg.norm(along)), 1e-6)
    reach = int(np.ceil(reach_mm / voxel_mm))
    box = tuple(slice(max(0, c - reach), min(n, c + reach + 1)) for c, n in zip(centre, shape, strict=True))
    lines = [
        (torch.arange(side.start, side.stop, device=distances.device) - c) * voxel_mm
        for side, c in zip(box, centre, strict=True)
    ]
    height, one, two = (
        float(v[0]) * lines[0][:, None, None] + float(v[1]) * lines[1][:, None] + float(v[2]) * lines[2]
        for v in (normal, along, np.cross(normal, along))
    )
    return Site(box=box, height=height, along=one, across=two)


def _rise(values: Tensor, centre: list[int], axis: int, step: int) -> float:
    ends = []
    for sign in (-1, 1):
        at = list(centre)
        at[axis] = min(max(at[axis] + sign * step, 0), values.shape[axis] - 1)
        ends.append(float(values[tuple(at)]))
    return ends[1] - ends[0]


def cut(inner: Tensor, outer: Tensor, outline: Tensor, *, kept: float = 0.0, slope_deg: float = 90.0) -> Tensor:
    """Lower the cartilage surface within an outline to a share ``kept`` of the layer, with walls of that slope."""
    floor = inner - kept * (inner - outer).clamp(min=0)
    if slope_deg >= 90:
        lowered = torch.minimum(floor, -outline)
    else:
        angle = np.radians(slope_deg)
        lowered = floor * np.cos(angle) - outline.clamp(min=0) * np.sin(angle)
        lowered = torch.where(outline < 0, floor, lowered)
        lowered = torch.minimum(lowered, FADE_MM - outline)
    return torch.minimum(torch.maximum(outer, lowered), inner)


def close(facing: Tensor, outer: Tensor, outline: Tensor, *, gap_mm: float) -> None:
    """Let the cartilage that faces a lesion reach into it, but for a gap; in place."""
    plug = torch.maximum(torch.maximum(gap_mm - outer, outline + 0.2), facing - 4.0)
    facing.copy_(torch.minimum(facing, plug))


def grow_bone(inner: Tensor, outer: Tensor, site: Site, half: tuple[float, float], height_mm: float) -> None:
    """Let bone grow into the floor of a lesion; in place."""
    dome = (1 - (site.along / half[0]) ** 2 - (site.across / half[1]) ** 2).clamp(min=0)
    inner.sub_(height_mm * dome * (1 - site.height.abs() / TALL_MM).clamp(min=0))
    outer.copy_(torch.minimum(outer, inner))
