"""Area and thickness of analytic shapes on two grids, turned at random: the worst turn counts.

Usage: python benchmarks/measuring_analytic.py [--turns 12]. Ball, cylinder, shell with a hole and grooved plate, whose
truth is a formula. Writes benchmarks/results/measuring_analytic.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests" / "measure"))
from phantoms import DESS_MM, FINE_MM, cap_angle, cylinder, grooved_plate, layer, shell_with_hole  # noqa: E402

from mriseg.measure.coverage import cover_field  # noqa: E402
from mriseg.measure.footprint import bare_share  # noqa: E402
from mriseg.surfaces import adjacency, negative_fraction, triangle_areas, vertex_areas  # noqa: E402
from mriseg.types import Bone  # noqa: E402

RADIUS_MM, THICKNESS_MM, HALF_LENGTH_MM, HOLE_MM2 = 12.0, 2.2, 8.0, 110.0
GRIDS = {"0.3 mm isotropic": FINE_MM, "0.7 x 0.365 x 0.365 mm": DESS_MM}
BARS = {"0.3 mm isotropic": (1.0, 0.03), "0.7 x 0.365 x 0.365 mm": (2.0, 0.07)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=12)
    turns = parser.parse_args().turns
    result: dict[str, dict[str, dict[str, float]]] = {}
    for grid, spacing in GRIDS.items():
        errors: dict[str, list[float]] = defaultdict(list)
        for seed in range(turns):
            for part in (ball(spacing, seed), tube(spacing, seed), groove(spacing, seed)):
                for name, value in part.items():
                    errors[name].append(value)
        result[grid] = {
            name: {"mean": float(np.mean(v)), "worst": float(np.max(np.abs(v)))} for name, v in errors.items()
        }
        print(f"{grid}: {turns} turns; bars {BARS[grid][0]} % of area, {BARS[grid][1]} mm")
        for name, value in result[grid].items():
            print(f"    {name:34s} mean {value['mean']:+.3f}, worst {value['worst']:.3f}")
    target = HERE / "results" / "measuring_analytic.json"
    target.write_text(json.dumps({"turns": turns} | result, indent=1) + "\n")


def ball(spacing: tuple[float, float, float], seed: int) -> dict[str, float]:
    """Errors of the area of a ball, of the shell on it, and of a hole in the shell."""
    labels = shell_with_hole(spacing, radius_mm=RADIUS_MM, thickness_mm=THICKNESS_MM, hole_mm2=HOLE_MM2, seed=seed)
    surface, cartilage = layer(labels, Bone.TIBIA, RADIUS_MM + 3.0)
    area = vertex_areas(surface)
    polar = np.arccos(surface.vertices_mm[:, 2] / np.linalg.norm(surface.vertices_mm, axis=1))
    sound = polar > cap_angle(RADIUS_MM, HOLE_MM2) + 0.15
    cover = cover_field(cartilage.column_mm, np.ones(len(area)), adjacency(surface))
    bare = bare_share(surface, cover)[polar < cap_angle(RADIUS_MM, HOLE_MM2) + 0.2].sum()
    return {
        "ball: area, %": 100 * (area.sum() / (4 * np.pi * RADIUS_MM**2) - 1),
        "shell: thickness, mm": float(np.average(cartilage.thickness_mm[sound], weights=area[sound])) - THICKNESS_MM,
        "hole in the shell: bare area, %": 100 * (bare / HOLE_MM2 - 1),
    }


def tube(spacing: tuple[float, float, float], seed: int) -> dict[str, float]:
    """Errors of the lateral area of a cylinder and of the layer on it."""
    labels = cylinder(spacing, radius_mm=RADIUS_MM, thickness_mm=THICKNESS_MM, seed=seed)
    surface, cartilage = layer(labels, Bone.TIBIA, RADIUS_MM + 3.0)
    height = np.abs(surface.vertices_mm[:, 2])
    area = float((triangle_areas(surface) * negative_fraction(surface, height - HALF_LENGTH_MM)).sum())
    middle = height < HALF_LENGTH_MM
    return {
        "cylinder: area, %": 100 * (area / (4 * np.pi * RADIUS_MM * HALF_LENGTH_MM) - 1),
        "cylinder: thickness, mm": float(cartilage.thickness_mm[middle].mean()) - THICKNESS_MM,
    }


def groove(spacing: tuple[float, float, float], seed: int) -> dict[str, float]:
    """Errors of the thickness at the floor of a groove in a plate, and beside it."""
    surface, cartilage = layer(grooved_plate(spacing, depth_mm=1.2, width_mm=8.0, seed=seed), Bone.FEMUR, 15.0)
    x, y, z = surface.vertices_mm.T
    on_top = (np.abs(y) < 9.0) & (z > -1.0)
    floor, beside = on_top & (np.abs(x) < 2.5), on_top & (np.abs(x) > 6.0) & (np.abs(x) < 9.0)
    return {
        "groove: thickness of the floor, mm": float(cartilage.thickness_mm[floor].mean()) - 1.2,
        "groove: thickness beside, mm": float(cartilage.thickness_mm[beside].mean()) - 2.4,
    }


if __name__ == "__main__":
    main()
