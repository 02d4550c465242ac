"""What trials are about, cut into drawn knees: craters, fissures, flaps, kissing lesions, wide wear, repair.

Distances are in mm and negative inside, as everywhere in the generator: of a bone, and of it with its cartilage.
Shapes are drawn in the plane that touches the bone under a lesion.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from chance import Chance
from contrast import TISSUES
from lesion_shapes import FADE_MM, Site, close, cut, find_site, grow_bone, half_axes, layer_floor

Tensor = torch.Tensor
OTHERS = {0: (2, 4), 2: (0,), 4: (0,)}  # bones that meet the femur, the tibia, the patella, by the channel of each


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """How lesions are drawn.

    Parameters
    ----------
    share, most : float, int
        Share of images with lesions, and how many at most.
    kinds, fillings : dict
        Odds. ``rim``: what lies about the joint also lies in the lesion.
    area_mm2, wide_mm2 : tuple of float
        Of a focal lesion, from a speck to most of a plate (FIELD.md, dAB by grade), and of wide wear.
    steep : float
        Share of focal lesions with upright walls; others rise from the floor by ``slope_deg``, wide wear by
        ``wide_deg``.
    kept : tuple of float
        Share of the layer that a partial lesion leaves.
    osteophyte, height_mm : float, tuple of float
        Share of full lesions with bone grown into them, and how far.
    """

    share: float = 0.8
    most: int = 4
    kinds: dict[str, float] = field(
        default_factory=lambda: {
            "crater": 0.42, "partial": 0.12, "fissure": 0.07, "flap": 0.07, "kissing": 0.1, "closed": 0.08, "wide": 0.1,
            "repair": 0.06,
        }
    )  # fmt: skip
    fillings: dict[str, float] = field(
        default_factory=lambda: {"fluid": 0.5, "synovium": 0.22, "rim": 0.25, "fat": 0.03}
    )
    area_mm2: tuple[float, float] = (10.0, 300.0)
    wide_mm2: tuple[float, float] = (80.0, 600.0)
    steep: float = 0.6
    slope_deg: tuple[float, float] = (25.0, 75.0)
    wide_deg: tuple[float, float] = (4.0, 20.0)
    kept: tuple[float, float] = (0.2, 0.8)
    osteophyte: float = 0.15
    height_mm: tuple[float, float] = (0.5, 2.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesions:
    """A knee with lesions: ``distances`` (6, I, J, K) in mm, and what fills lesions and how bright repair is.

    ``filling`` (I, J, K) holds an index of ``contrast.TISSUES``, -1 where nothing is filled; ``repair`` (I, J, K) the
    signal of cartilage relative to what it would be.
    """

    distances: Tensor
    filling: Tensor
    repair: Tensor


def plant(distances: Tensor, chance: Chance, *, voxel_mm: float, law: Law | None = None) -> Lesions:
    """Cut lesions into the cartilages of a knee (6, I, J, K); one without cartilage stays as it is."""
    law = law or Law()
    shape = distances.shape[1:]
    result = Lesions(
        distances=distances.clone(),
        filling=torch.full(shape, -1, dtype=torch.long, device=distances.device),
        repair=torch.ones(shape, device=distances.device),
    )
    if chance.happens(law.share):
        bones = [bone for bone in OTHERS if bool(layer_floor(distances, bone, voxel_mm).any())]
        for _ in range(chance.rng.integers(1, law.most + 1) if bones else 0):
            _plant_one(result, int(chance.rng.choice(bones)), chance, voxel_mm, law)
    return result


def _plant_one(lesions: Lesions, bone: int, chance: Chance, voxel_mm: float, law: Law) -> None:
    kind = chance.one_of(law.kinds)
    area = chance.log_uniform(*(law.wide_mm2 if kind == "wide" else law.area_mm2))
    half = half_axes(area, kind, chance)
    site = find_site(lesions.distances, bone, max(half) * 1.3 + FADE_MM + 1, chance, voxel_mm)
    if site is None:
        return
    inner, outer = (lesions.distances[bone + n][site.box] for n in (0, 1))
    ragged = chance.waves(tuple(inner.shape), 4 / voxel_mm) * chance.uniform(0, 0.12)
    outline = site.outline(half, tilt=chance.uniform(0.5, 1.5) if kind == "flap" else 0.0, ragged=ragged)
    if kind == "repair":
        lesions.repair[site.box][(outline < 0) & (inner > 0)] = chance.uniform(0.7, 1.2)
        return
    kept = chance.uniform(*law.kept) if kind == "partial" else 0.0
    healthy = outer.clone()
    outer.copy_(cut(inner, outer, outline, kept=kept, slope_deg=slope_of(kind, chance, law)))
    filling = chance.one_of(law.fillings)
    other = opposing(lesions.distances, bone, site, outline)
    if kind == "kissing" and other is not None:
        facing = lesions.distances[other + 1][site.box]
        shape = site.outline((half[0] * chance.uniform(0.6, 1.2), half[1] * chance.uniform(0.6, 1.2)), ragged=ragged)
        before = facing.clone()
        facing.copy_(cut(lesions.distances[other][site.box], facing, shape))
        fill(lesions, site, before, facing, filling)
    elif kind == "closed" and other is not None:
        close(lesions.distances[other + 1][site.box], outer, outline, gap_mm=chance.uniform(0.1, 0.6))
    elif kind == "crater" and chance.happens(law.osteophyte):
        grow_bone(inner, outer, site, half, chance.uniform(*law.height_mm))
    fill(lesions, site, healthy, outer, filling)


def slope_of(kind: str, chance: Chance, law: Law) -> float:
    """Angle in degrees between the floor and the wall of a lesion."""
    if kind == "wide":
        return chance.uniform(*law.wide_deg)
    upright = kind in {"fissure", "flap", "closed"} or chance.happens(law.steep)
    return 90.0 if upright else chance.uniform(*law.slope_deg)


def opposing(distances: Tensor, bone: int, site: Site, outline: Tensor) -> int | None:
    """Bone whose cartilage comes within 3.5 mm of the lesion; None where none does."""
    near = (outline < 0) & (site.height > 0) & (site.height < 5)
    if not bool(near.any()):
        return None
    gaps = {other: float(distances[other + 1][site.box][near].min()) for other in OTHERS[bone]}
    other = min(gaps, key=lambda b: gaps[b])
    return other if gaps[other] < 3.5 else None


def fill(lesions: Lesions, site: Site, before: Tensor, after: Tensor, filling: str) -> None:
    """Fill what was cartilage and no longer is."""
    if filling != "rim":
        lesions.filling[site.box][(before < 0) & (after > 0)] = TISSUES.index(filling)


def attention(healthy: Tensor, distances: Tensor, *, thin_mm: float = 1.2, thin: float = 0.3) -> Tensor:
    """How much more a voxel (I, J, K) counts, since it decides denuded area.

    1 where cartilage was lost and on the walls about it, ``thin`` in and about layers of less than ``thin_mm``, else 0.
    """
    counts = torch.zeros(distances.shape[1:], device=distances.device)
    for bone in OTHERS:
        inner, outer, before = distances[bone], distances[bone + 1], healthy[bone + 1]
        film = (inner - outer > 0.1) & (inner - outer < thin_mm) & (inner > -0.6) & (outer < 0.6)
        lost = (inner > -0.6) & (before < 0.3) & (outer > -0.3) & (outer - before > 0.3)
        counts = torch.where(lost, 1.0, torch.where(film, counts.clamp(min=thin), counts))
    return counts
