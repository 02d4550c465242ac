"""Cartilage thickness beside a public peer, `mskt`, on the same maps; it casts rays along the bone normal.

Usage: python benchmarks/measuring_peer.py LABELS [--maps 6], with `pip install mskt` beside mriseg. LABELS is a folder
of *_dseg.nii.gz. Each bone vertex of the peer takes the region of the nearest point of our shared surface; thickness is
compared at the vertices that both call covered, and as the mean of each region. A ball with a shell of known thickness
then says who is right. Times are those of one process each, on the same map. Writes
benchmarks/results/measuring_peer.json.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import SimpleITK as sitk
from pymskt.mesh import BoneMesh
from scipy.spatial import KDTree

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests" / "measure"))
from phantoms import DESS_MM, FINE_MM, cap_angle, layer, shell_with_hole  # noqa: E402

from mriseg.measure import measure  # noqa: E402
from mriseg.nifti import read_label_map  # noqa: E402
from mriseg.splits import Split, load_splits  # noqa: E402
from mriseg.surfaces import vertex_areas  # noqa: E402
from mriseg.types import Bone, FloatArray, LabelMap, Region, Side, VertexState  # noqa: E402

NEAR_MM = 0.6
LEAST_VERTICES = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--maps", type=int, default=6)
    options = parser.parse_args()
    phantoms = phantom_errors()
    rows, seconds = real_maps(options.labels, options.maps)
    table = pd.DataFrame(rows)
    summary: dict[str, Any] = {
        "maps": options.maps,
        "regions compared": len(table),
        "correlation of regional means": float(np.corrcoef(table["ours_mm"], table["peer_mm"])[0, 1]),
        "peer - ours, mm: mean, SD": [
            float((table["peer_mm"] - table["ours_mm"]).mean()),
            float((table["peer_mm"] - table["ours_mm"]).std()),
        ],
        "correlation at vertices, median over bones": float(
            table.groupby(["map", "bone"])["vertex_r"].first().median()
        ),
        "seconds a map: ours (all regions and lesions), peer (thickness alone)": [
            float(np.median([s[0] for s in seconds])),
            float(np.median([s[1] for s in seconds])),
        ],
    }
    for name, value in (summary | phantoms).items():
        print(f"{name:72s} {value}")
    content = {"summary": summary, "phantom": phantoms, "rows": rows}
    (HERE / "results" / "measuring_peer.json").write_text(json.dumps(content, indent=1) + "\n")


def real_maps(folder: Path, maps: int) -> tuple[list[dict[str, Any]], list[tuple[float, float]]]:
    """Regional means of both programs, and their wall seconds, on maps spread over the folder."""
    files = load_splits().chosen(folder.glob("sub-*_dseg.nii.gz"), Split.TRAINING, Split.VALIDATION)
    rows: list[dict[str, Any]] = []
    seconds = []
    for file in files[:: max(1, len(files) // maps)][:maps]:
        labels = read_label_map(file)
        start = time.perf_counter()
        ours = measure(labels, None, None, side=Side.RIGHT)
        middle = time.perf_counter()
        peer = {bone: peer_thickness(labels, bone) for bone in Bone}
        seconds.append((middle - start, time.perf_counter() - middle))
        for bone in ours.surfaces:
            rows += compare(file.name.removesuffix("_dseg.nii.gz"), bone, ours, *peer[bone])
        print(file.name, seconds[-1], flush=True)
    return rows, seconds


def peer_thickness(labels: LabelMap, bone: Bone) -> tuple[FloatArray, FloatArray]:
    """Vertices (V, 3) RAS mm and thickness (V,) of the peer for one bone, by its own defaults."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(labels.data.T))
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ labels.grid.affine
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((affine[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    with contextlib.redirect_stdout(io.StringIO()):
        mesh = BoneMesh(seg_image=image, label_idx=bone.label, list_cartilage_labels=[bone.cartilage], min_n_pixels=500)
        mesh.create_mesh()
        mesh.calc_cartilage_thickness()
    vertices = np.asarray(mesh.point_coords, dtype=np.float64) * np.array([-1.0, -1.0, 1.0])
    return vertices, np.asarray(mesh.point_data["thickness (mm)"], dtype=np.float64)


def compare(name: str, bone: Bone, ours: Any, vertices: FloatArray, thickness: FloatArray) -> list[dict[str, Any]]:
    """Mean thickness of both programs in each region of one bone, where both see cartilage."""
    surface, shown = ours.surfaces[bone], ours.baseline.thickness[bone]
    distance, near = KDTree(surface.vertices_mm).query(vertices)
    both = (distance < NEAR_MM) & (shown.state[near] == VertexState.MEASURED) & (thickness > 0)
    mine = shown.thickness_mm[near]
    r = float(np.corrcoef(mine[both], thickness[both])[0, 1])
    rows = []
    for region in Region:
        use = both & (surface.region[near] == region.code)
        if use.sum() >= LEAST_VERTICES:
            rows.append(
                {
                    "map": name,
                    "bone": bone.value,
                    "region": region.value,
                    "ours_mm": float(mine[use].mean()),
                    "peer_mm": float(thickness[use].mean()),
                    "vertex_r": r,
                }
            )
    return rows


def phantom_errors() -> dict[str, Any]:
    """Thickness error in mm of both programs on a shell around a ball, for thin, usual and thick cartilage."""
    out: dict[str, Any] = {}
    for grid, spacing in {"0.3 mm isotropic": FINE_MM, "DESS grid": DESS_MM}.items():
        for truth in (1.2, 2.2, 3.2):
            labels = shell_with_hole(spacing, radius_mm=12.0, thickness_mm=truth, hole_mm2=80.0, seed=2)
            surface, cartilage = layer(labels, Bone.TIBIA, 16.5)
            area = vertex_areas(surface)
            mine = cartilage.thickness_mm[_sound(surface.vertices_mm)]
            vertices, peer = peer_thickness(labels, Bone.TIBIA)
            theirs = peer[_sound(vertices) & (peer > 0)]
            out[f"{grid}, shell of {truth} mm: error of ours, of the peer, mm"] = [
                round(float(np.average(mine, weights=area[_sound(surface.vertices_mm)])) - truth, 3),
                round(float(theirs.mean()) - truth, 3),
            ]
    return out


def _sound(vertices: FloatArray) -> Any:
    polar = np.arccos(vertices[:, 2] / np.linalg.norm(vertices, axis=1))
    return polar > cap_angle(12.0, 80.0) + 0.25


if __name__ == "__main__":
    main()
