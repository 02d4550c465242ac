"""Build the mean knee of `mriseg simulate` from manual label maps of right knees: see README.md beside this file."""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import ndimage

from mriseg.geometry import apply_affine, isotropic_grid, reorient
from mriseg.nifti import read_label_map
from mriseg.simulate.align import align_points, scale_of
from mriseg.simulate.fields import FAR_MM, Field, field_of_mask, fine_grid
from mriseg.simulate.mean_knee import pack
from mriseg.splits import load_splits
from mriseg.surfaces import level_surface
from mriseg.types import Array, Bone, FloatArray, Grid, LabelMap

REFERENCE = "sub-9015718"
SPACING_MM = 1.0
RIM_MM = (0.35, 0.9)
Pair = tuple[Field, Field]


def choose(table: pd.DataFrame) -> pd.DataFrame:
    """Baseline label maps of the knees that ``splits.toml`` names."""
    named = table["participant_id"].isin(load_splits().mean_knee)
    return table[named & (table["month"] == 0)].sort_values("participant_id")


def fields_of(labels: LabelMap) -> dict[Bone, tuple[Field, Field]]:
    """Bone and bone-with-cartilage of every bone as signed distances, every second voxel in plane."""
    result = {}
    for bone in Bone:
        pair = []
        covered = labels.mask(bone.label, bone.cartilage)
        for mask in (labels.mask(bone.label), covered):
            field = field_of_mask(mask, labels.grid)
            affine = field.grid.affine @ np.diag([1.0, 2.0, 2.0, 1.0])
            data = np.ascontiguousarray(field.data[:, ::2, ::2])
            pair.append(Field(data=data, grid=Grid(shape=data.shape, affine=affine)))
        result[bone] = (pair[0], pair[1])
    return result


def joint_points(pair: tuple[Field, Field], rng: np.random.Generator) -> FloatArray:
    """Bone surface points within 25 mm of the cartilage, at most 8000."""
    bone, outer = pair
    points = level_surface(bone.data.astype(np.float64), bone.grid).vertices_mm
    covered = points[outer.at(points) < -0.8]
    low, high = covered.min(axis=0) - 15, covered.max(axis=0) + 15
    points = points[((points > low) & (points < high)).all(axis=1)]
    return points[rng.permutation(len(points))[:8000]]


def mean_field(fields: list[Field], matrices: list[FloatArray], grid: Grid) -> Array:
    """Average signed distance after alignment; knees count only where they were imaged."""
    total = np.zeros(grid.shape)
    weight = np.full(grid.shape, 1e-9)
    for field, matrix in zip(fields, matrices, strict=True):
        affine = np.linalg.inv(matrix) @ grid.affine
        value = field.on_grid(grid.shape, affine) * scale_of(matrix)
        to_index = np.linalg.inv(field.grid.affine) @ affine
        seen = ndimage.affine_transform(
            np.ones(field.data.shape, np.float32), to_index[:3, :3], to_index[:3, 3], output_shape=grid.shape, order=1
        )
        share = np.maximum(seen, 1e-3)
        total += share * value
        weight += share
    return np.clip(total / weight, -FAR_MM, FAR_MM)


def clean_rim(bone: Array, outer: Array) -> Array:
    """Let cartilage end where the mean layer gets thinner than a voxel, instead of fading over centimetres."""
    layer = np.maximum(bone - outer, 0.0)
    step = np.clip((layer - RIM_MM[0]) / (RIM_MM[1] - RIM_MM[0]), 0.0, 1.0)
    return bone - layer * step * step * (3.0 - 2.0 * step)


def cartilage_centre(pair: tuple[Field, Field]) -> FloatArray:
    """Mean position of the cartilage surface, (3,)."""
    bone, outer = pair
    points = level_surface(outer.data.astype(np.float64), outer.grid).vertices_mm
    return np.asarray(points[bone.at(points) > 1.0].mean(axis=0), dtype=np.float64)


def mean_bone(pairs: list[Pair], target: FloatArray, rng: np.random.Generator) -> Pair:
    """Mean of one bone and its cartilage: aligned to ``target`` (M, 3) first, then to the mean, at the mean scale."""
    points = [joint_points(pair, rng) for pair in pairs]
    matrices: list[FloatArray] = [align_points(p, target) for p in points]
    corners = [apply_affine(m, fine_points(pair[0])) for m, pair in zip(matrices, pairs, strict=True)]
    grid = isotropic_grid(np.concatenate(corners), SPACING_MM, margin_mm=4.0)
    for last in (False, True):
        scale = np.exp(np.mean([np.log(scale_of(m)) for m in matrices]))
        matrices = [about(target.mean(axis=0), 1.0 / scale) @ m for m in matrices]
        bone, outer = (
            Field(data=mean_field([p[n] for p in pairs], matrices, grid).astype(np.float32), grid=grid) for n in (0, 1)
        )
        if not last:
            target = joint_points((bone, outer), rng)
            matrices = [align_points(p, target, start=m) for p, m in zip(points, matrices, strict=True)]
    print("scales", np.round([scale_of(m) for m in matrices], 3), flush=True)
    return bone, outer


def build(folder: Path, out: Path) -> None:
    """Align, average, align to the average, average again, and write the asset."""
    rng = np.random.default_rng(1)
    rows = choose(pd.read_csv(folder / "labels.tsv", sep="\t"))
    knees = []
    for name in rows["file"]:
        knees.append(fields_of(reorient(read_label_map(folder / name))))
        print("read", name, flush=True)
    first = knees[list(rows["participant_id"]).index(REFERENCE)]
    origin = np.eye(4)
    origin[:3, 3] = -cartilage_centre(first[Bone.TIBIA])
    arrays: dict[str, tuple[Array, Grid]] = {}
    for bone in Bone:
        pair = mean_bone([knee[bone] for knee in knees], apply_affine(origin, joint_points(first[bone], rng)), rng)
        grid = pair[0].grid
        print(bone, grid.shape, flush=True)
        arrays[f"{bone}_bone"] = (pair[0].data, grid)
        arrays[f"{bone}_outer"] = (clean_rim(pair[0].data, pair[1].data), grid)
    pack(out, arrays)
    sources = {str(n): hashlib.sha256((folder / n).read_bytes()).hexdigest() for n in rows["file"]}
    out.with_suffix(".json").write_text(
        json.dumps({"recipe": "pipelines/build_mean_knee", "sources": sources}, indent=1)
    )
    print(f"{out}: {out.stat().st_size / 1e6:.2f} MB")


def fine_points(field: Field) -> FloatArray:
    """Corners of the box around the zero level of a field, (8, 3)."""
    grid = fine_grid(field, 2.0)
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in grid.shape], indexing="ij")).reshape(3, -1).T
    return apply_affine(grid.affine, corners.astype(float))


def about(centre: FloatArray, scale: float) -> FloatArray:
    """Scaling about a point, (4, 4)."""
    matrix = np.diag([scale, scale, scale, 1.0])
    matrix[:3, 3] = centre * (1.0 - scale)
    return matrix


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("labels", type=Path, help="folder with labels.tsv and the label maps")
    parser.add_argument("out", type=Path, help="the .npz to write")
    arguments = parser.parse_args()
    build(arguments.labels, arguments.out)
