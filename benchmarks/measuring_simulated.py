"""Measure digital knees with planted defects on their true label maps at the DESS grid, and compare with the truth.

Usage: python benchmarks/measuring_simulated.py [--knees 8] [--seed 11]. Writes
benchmarks/results/measuring_simulated.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from mriseg.errors import MrisegError
from mriseg.geometry import apply_affine
from mriseg.measure import measure
from mriseg.simulate.articular import articular_surface
from mriseg.simulate.defects import place_defect
from mriseg.simulate.knee import digital_knee
from mriseg.simulate.plates import bone_of
from mriseg.simulate.scene import Scene, sample_bones
from mriseg.simulate.truth import defect_rows, region_rows
from mriseg.types import Bone, Grid, Label, LabelMap, RigidTransform, Side

SPACING_MM = (0.7, 0.365, 0.365)
FULL_MM2 = ((20.0, 50.0), (50.0, 110.0), (110.0, 220.0))
PLATES = ("cMF", "cLF", "MT", "LT")
RESULTS = Path(__file__).parent / "results" / "measuring_simulated.json"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--knees", type=int, default=8)
    parser.add_argument("--seed", type=int, default=11)
    options = parser.parse_args()
    rows: list[dict[str, object]] = []
    clean: list[dict[str, object]] = []
    for number in range(options.knees):
        one, healthy = knee(np.random.default_rng([options.seed, number]))
        rows += one
        clean += healthy
        for row in one:
            print(number, row, flush=True)
        print(number, "healthy:", healthy, flush=True)
    summary = summarise(rows, clean)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"summary": summary, "defects": rows, "healthy": clean}, indent=1) + "\n")
    for name, value in summary.items():
        print(f"{name:44s} {value}")


def knee(rng: np.random.Generator) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    shape = digital_knee(rng)
    surfaces = {bone: articular_surface(bone, part) for bone, part in shape.bones.items()}
    cuts = []
    plates = rng.permutation(PLATES)
    depths = [1.0, 1.0, 1.0, float(rng.choice([rng.uniform(0.33, 0.45), rng.uniform(0.58, 0.8)]))]
    for plate, span, depth in zip(plates, (*FULL_MM2, (50.0, 110.0)), depths, strict=True):
        area = float(rng.uniform(*span))
        try:
            cut, _ = place_defect(
                surfaces[bone_of(plate)],
                plate,
                areas_mm2=(area, area),
                depth=depth,
                name=f"d{len(cuts)}",
                rng=rng,
                avoid=tuple(cuts),
            )
        except MrisegError:
            continue
        cuts.append(cut)
    turn = RigidTransform(matrix=_turn(rng))
    pose = dict.fromkeys(Bone, turn)
    grid = _grid(surfaces, turn, rng)
    scene = Scene(knee=shape, pose=pose, defects=tuple(cuts), anatomy=None)  # type: ignore[arg-type]
    found = measure(_labels(scene, grid), None, None, side=Side.RIGHT)
    truth: dict[str, dict[str, float]] = {}
    for row in defect_rows(shape, surfaces, cuts, pose, Side.RIGHT):
        truth.setdefault(row.defect_id, {})[row.metric] = row.value
    rows = [_compare(t, found.baseline.defects) for t in truth.values()]
    extra = [d for d in found.baseline.defects if d.icrs_class == 4 and not _near_any(d, truth)]
    healthy = measure(
        _labels(Scene(knee=shape, pose=pose, defects=(), anatomy=None), grid),  # type: ignore[arg-type]
        None,
        None,
        side=Side.RIGHT,
    )
    value = {(r.region, r.metric): r.value for r in healthy.baseline.regions}
    true = {(r.region, r.metric): r.value for r in region_rows(shape, surfaces, ())}
    total = sum(value[r, "tAB"] for r in (*PLATES, "pMF", "pLF", "TrF", "P"))
    bare = sum(value[r, "dAB"] for r in (*PLATES, "pMF", "pLF", "TrF", "P"))
    clean = {
        "dAB_pct": 100.0 * bare / total,
        "extra_full": len(extra),
        "partial_false": sum(d.icrs_class < 4 for d in healthy.baseline.defects),
    }
    for plate in ("MT", "LT", "P"):
        clean[f"tAB_{plate}_pct"] = 100.0 * (value[plate, "tAB"] / true[plate, "tAB"] - 1.0)
        clean[f"Th_{plate}_mm"] = value[plate, "ThCtAB_aMe"] - true[plate, "ThCtAB"]
        clean[f"VC_{plate}_pct"] = 100.0 * (value[plate, "VC"] / true[plate, "VC"] - 1.0)
    return rows, [clean]


def _turn(rng: np.random.Generator) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", rng.uniform(-8, 8, 3), degrees=True).as_matrix()
    matrix[:3, 3] = rng.uniform(-10, 10, 3)
    return matrix


def _grid(surfaces: object, turn: RigidTransform, rng: np.random.Generator) -> Grid:
    points = turn.apply(np.vstack([s.vertices_mm[s.covered] for s in surfaces.values()]))  # type: ignore[attr-defined]
    low, high = points.min(axis=0) - 14.0 + rng.uniform(0, 0.7, 3), points.max(axis=0) + 14.0
    affine = np.diag([*SPACING_MM, 1.0])
    affine[:3, 3] = low
    shape = np.ceil((high - low) / np.array(SPACING_MM)).astype(int)
    return Grid(shape=tuple(shape.tolist()), affine=affine)


def _labels(scene: Scene, grid: Grid) -> LabelMap:
    data = np.zeros(grid.shape, dtype=np.uint8)
    for start in range(0, grid.shape[0], 24):
        slab = slice(start, min(start + 24, grid.shape[0]))
        affine = grid.affine.copy()
        affine[:3, 3] = apply_affine(grid.affine, np.array([start, 0.0, 0.0]))
        part = Grid(shape=(slab.stop - start, *grid.shape[1:]), affine=affine)
        depth = np.full(part.shape, np.inf)
        for bone, s in sample_bones(scene, part).items():
            layer = (s.outer < 0) & (s.bone >= 0) & (s.outer < depth)
            data[slab][layer] = Label(bone.cartilage)
            depth = np.where(layer, s.outer, depth)
        for bone, s in sample_bones(scene, part).items():
            data[slab][s.bone < 0] = bone.label
    return LabelMap(data=data, grid=grid)


def _near_any(defect: object, truth: dict[str, dict[str, float]]) -> bool:
    return any(_distance(defect, t) < 8.0 for t in truth.values())


def _distance(defect: object, t: dict[str, float]) -> float:
    centre = np.array([t["centroid_x_mm"], t["centroid_y_mm"], t["centroid_z_mm"]])
    return float(np.linalg.norm(np.array(defect.centroid_mm) - centre))  # type: ignore[attr-defined]


def _compare(t: dict[str, float], found: tuple[object, ...]) -> dict[str, object]:
    full = t["planted_depth_pct"] >= 99.0
    grade = 4 if full else 3 if t["planted_depth_pct"] >= 50.0 else 2
    reach = 0.6 * np.sqrt(t["area_mm2"] / np.pi) + 1.5
    near = [d for d in found if _distance(d, t) < reach]
    best = max(near, key=lambda d: d.area_mm2, default=None)  # type: ignore[attr-defined]
    return {
        "true_mm2": round(t["area_mm2"], 1),
        "true_depth": round(t["planted_depth_pct"]),
        "true_class": grade,
        "found": best is not None,
        "class": None if best is None else best.icrs_class,  # type: ignore[attr-defined]
        "mm2": None if best is None else round(best.area_mm2, 1),  # type: ignore[attr-defined]
        "depth": None if best is None else round(best.mean_depth_pct),  # type: ignore[attr-defined]
        "volume_ratio": None if best is None else round(best.volume_mm3 / t["volume_mm3"], 3),  # type: ignore[attr-defined]
    }


def summarise(rows: list[dict[str, object]], clean: list[dict[str, object]]) -> dict[str, object]:
    full = [r for r in rows if r["true_class"] == 4 and r["class"] == 4]
    large = [abs(r["mm2"] / r["true_mm2"] - 1.0) * 100 for r in full if r["true_mm2"] > 50]  # type: ignore[operator]
    seen = [bool(r["found"]) for r in rows if r["true_mm2"] > 20]  # type: ignore[operator]
    right = [r["class"] == r["true_class"] for r in rows if r["found"]]
    out: dict[str, object] = {
        "full > 50 mm2: area error median, max %": [round(float(np.median(large)), 2), round(float(np.max(large)), 2)],
        "lesions > 20 mm2 found": f"{sum(seen)} of {len(seen)}",
        "ICRS class right": f"{sum(right)} of {len(right)}",
        "healthy: dAB % of tAB, max": round(max(float(c["dAB_pct"]) for c in clean), 3),  # type: ignore[arg-type]
    }
    for name in clean[0]:
        out[f"healthy: {name} mean"] = round(float(np.mean([c[name] for c in clean])), 3)  # type: ignore[arg-type]
    return out


if __name__ == "__main__":
    main()
