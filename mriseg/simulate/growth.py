"""What each participant's defects are at both visits: drawn at baseline, grown by arm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mriseg.errors import MrisegError
from mriseg.simulate.articular import ArticularSurface
from mriseg.simulate.defects import PlantedDefect, place_defect
from mriseg.simulate.plates import bone_of
from mriseg.types import Bone

FULL_PLATES = ("cMF", "MT", "cLF", "LT")
FULL_ODDS = (0.42, 0.28, 0.18, 0.12)
PARTIAL_PLATES = ("cMF", "cLF", "MT", "LT", "TrF", "P")


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """Growth of the full-thickness area of one knee between the visits, in mm2: mean and SD."""

    mean_mm2: float
    sd_mm2: float


DefectPair = tuple[PlantedDefect, PlantedDefect]


def draw_defects(
    surfaces: Mapping[Bone, ArticularSurface], growth: Growth, rng: np.random.Generator
) -> tuple[DefectPair, ...]:
    """Plant defects into one knee; each is returned as it is at baseline and at follow-up.

    One or two full-thickness defects (105 to 190, and 40 to 90 mm2) on the weight-bearing femur and tibia take the
    growth of the knee, one partial-thickness defect of 40 to 110 mm2 stays as it is. Where a plate has no room the next
    one is tried.
    """
    areas = [float(rng.uniform(105, 190))]
    if rng.random() < 0.5:
        areas.append(float(rng.uniform(40, 90)))
    total_growth = max(float(rng.normal(growth.mean_mm2, growth.sd_mm2)), -0.25 * sum(areas))
    plates = [str(p) for p in rng.choice(FULL_PLATES, size=len(FULL_PLATES), replace=False, p=FULL_ODDS)]
    pairs: list[DefectPair] = []
    for area in areas:
        later = area + total_growth * area / sum(areas)
        pairs.append(_plant(surfaces, plates, (area, later), depth=1.0, others=pairs, rng=rng))
    partial = [str(p) for p in rng.permutation(PARTIAL_PLATES)]
    area, depth = float(rng.uniform(40, 110)), float(rng.uniform(0.3, 0.75))
    pairs.append(_plant(surfaces, partial, (area, area), depth=depth, others=pairs, rng=rng))
    return tuple(pairs)


def _plant(
    surfaces: Mapping[Bone, ArticularSurface],
    plates: list[str],
    areas_mm2: tuple[float, float],
    *,
    depth: float,
    others: list[DefectPair],
    rng: np.random.Generator,
) -> DefectPair:
    name = f"d{len(others) + 1}"
    avoid = tuple(followup for _, followup in others)
    for plate in plates:
        try:
            return place_defect(
                surfaces[bone_of(plate)], plate, areas_mm2=areas_mm2, depth=depth, name=name, rng=rng, avoid=avoid
            )
        except MrisegError:
            continue
    raise MrisegError(f"No plate of this knee has room for a defect of {max(areas_mm2):.0f} mm2.")
