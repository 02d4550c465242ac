"""Build the knee atlas of `mriseg measure` from manual label maps of right knees: see README.md beside this file."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.spatial import KDTree

from mriseg.atlas.carry import JOINT_END, anchor
from mriseg.atlas.fit import Fit, fit
from mriseg.atlas.model import BoneAtlas, pack
from mriseg.geometry import similarity_of, to_right_knee
from mriseg.measure.footprint import components
from mriseg.nifti import read_label_map
from mriseg.splits import load_splits
from mriseg.surfaces import Surface, adjacency, submesh, vertex_areas
from mriseg.types import Array, Bone, FloatArray, Side

sys.path.insert(0, str(Path(__file__).parent))
from anatomy import frame, shaft_axis
from knees import Sample, coarse_surface, samples_of

REFERENCE = "sub-9017909"
ROUNDS = 2
TEMPLATE_MM = {Bone.FEMUR: 2.4, Bone.TIBIA: 2.4, Bone.PATELLA: 1.8}
KEPT_MM = {Bone.FEMUR: 60.0, Bone.TIBIA: 32.0, Bone.PATELLA: 1000.0}
PLATES = {Bone.FEMUR: 1, Bone.TIBIA: 2, Bone.PATELLA: 1}
LEAST_KNEES = 3


def main() -> None:
    """Read the label maps, build the three mean bones, write atlas and card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("labels", type=Path, help="folder of *_dseg.nii.gz with labels.tsv")
    parser.add_argument("out", type=Path, help="knee_atlas.npz; the card is written beside it")
    options = parser.parse_args()
    table = choose(pd.read_csv(options.labels / "labels.tsv", sep="\t"))
    knees: dict[str, Mapping[Bone, Sample]] = {}
    template: dict[Bone, Surface] = {}
    for participant, name, grade in zip(table["participant_id"], table["file"], table["kl_grade"], strict=True):
        labels = to_right_knee(read_label_map(options.labels / name), Side.RIGHT)
        knees[participant] = samples_of(labels, graded=not pd.isna(grade))
        if participant == REFERENCE:
            template = {bone: _cut(bone, coarse_surface(labels, bone, TEMPLATE_MM[bone])) for bone in Bone}
        print(participant, flush=True)
    atlas = {bone: mean_bone(bone, template[bone], [knee[bone] for knee in knees.values()]) for bone in Bone}
    np.savez_compressed(options.out, allow_pickle=False, **pack(atlas))
    sources = {n: hashlib.sha256((options.labels / n).read_bytes()).hexdigest() for n in table["file"]}
    card = {"recipe": "pipelines/build_atlas", "sources": sources}
    options.out.with_suffix(".json").write_text(json.dumps(card, indent=1) + "\n")


def choose(table: pd.DataFrame) -> pd.DataFrame:
    """First label map of the knees that ``splits.toml`` names."""
    named = table["participant_id"].isin(load_splits().atlas)
    return table[named & (table["month"] == 0)].sort_values("participant_id")


def _cut(bone: Bone, surface: Surface) -> Surface:
    """Drop the shaft: fields of view end at different heights."""
    height = surface.vertices_mm[:, 2] * JOINT_END[bone]
    return submesh(surface, height >= height.max() - KEPT_MM[bone])[0] if JOINT_END[bone] else surface


def mean_bone(bone: Bone, template: Surface, samples: Sequence[Sample]) -> BoneAtlas:
    """Mean shape by repeated fits, each time from the mean of the last, and what the knees carry on it."""
    fits: list[Fit] = []
    for turn in range(ROUNDS):
        fits = [_fit(bone, template, sample) for sample in samples]
        residual = [float(np.nanmean(f.distance_mm)) for f in fits]
        print(bone, turn, len(template.vertices_mm), "residual mm", np.round(residual, 2).tolist(), flush=True)
        template = Surface(vertices_mm=_mean_shape(template, fits), faces=template.faces)
    shaft = shaft_axis(bone, [sample.goal for sample in samples], fits)
    coverage, footprint = (
        _coverage(bone, template, samples, p) for p in ([f.vertices_mm for f in fits], [f.broad_mm for f in fits])
    )
    thickness, spread = (_filled(values, coverage >= 0.5, template) for values in _thickness(template, samples, fits))
    axes, compartment, notch = frame(bone, template, coverage >= 0.5, shaft)
    area = vertex_areas(template)
    print(
        bone,
        "footprint mm2 medial, lateral",
        [float(area[(coverage >= 0.5) & (compartment == n)].sum()) for n in (1, 2)],
    )
    return BoneAtlas(
        surface=Surface(vertices_mm=template.vertices_mm - template.vertices_mm.mean(axis=0), faces=template.faces),
        coverage=coverage,
        footprint=footprint,
        thickness_mm=thickness,
        thickness_sd_mm=spread,
        compartment=compartment,
        axes=axes,
        notch=notch,
    )


def _fit(bone: Bone, template: Surface, sample: Sample) -> Fit:
    start = np.eye(4)
    start[:3, 3] = anchor(bone, sample.goal.vertices_mm) - anchor(bone, template.vertices_mm)
    return fit(template, sample.goal, start, weight=np.ones(len(template.vertices_mm)))


def _mean_shape(template: Surface, fits: Sequence[Fit]) -> FloatArray:
    """Mean of the fitted templates after removing place, rotation and size; of mean size."""
    weight = np.ones(len(template.vertices_mm))
    back = [similarity_of(f.vertices_mm, template.vertices_mm, weight) for f in fits]
    aligned = [f.vertices_mm @ m[:3, :3].T + m[:3, 3] for f, m in zip(fits, back, strict=True)]
    size = np.exp(np.mean([np.log(np.cbrt(np.linalg.det(m[:3, :3]))) for m in back]))
    return np.asarray(np.mean(aligned, axis=0) / size, dtype=np.float64)


def _coverage(bone: Bone, template: Surface, samples: Sequence[Sample], places: Sequence[FloatArray]) -> FloatArray:
    """Share of knees (V,) with cartilage at the ``places`` of the vertices. A bare spot inside is filled: disease."""
    graph = adjacency(template)
    covered = [np.isfinite(s.thickness_at(p)) for s, p in zip(samples, places, strict=True)]
    prints = np.array([_footprint(c, graph, PLATES[bone]) for c in covered])
    return np.clip(_smooth(prints.mean(axis=0), np.ones(prints.shape[1], dtype=bool), graph, 1), 0.0, 1.0)


def _thickness(template: Surface, samples: Sequence[Sample], fits: Sequence[Fit]) -> tuple[FloatArray, FloatArray]:
    """Median thickness and robust SD (V,) of the graded knees; NaN where fewer than three carry cartilage."""
    graph = adjacency(template)
    graded = [(s, f) for s, f in zip(samples, fits, strict=True) if s.graded]
    thickness = np.array([s.thickness_at(f.vertices_mm) for s, f in graded])
    known = np.isfinite(thickness).sum(axis=0) >= LEAST_KNEES
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        middle = np.nanmedian(thickness, axis=0)
        spread = 1.4826 * np.nanmedian(np.abs(thickness - middle), axis=0)
    return (
        np.where(known, _smooth(middle, known, graph, 2), np.nan),
        np.where(known, _smooth(spread, known, graph, 4), np.nan),
    )


def _filled(values: FloatArray, wanted: Array, template: Surface) -> FloatArray:
    """Give ``wanted`` vertices (V,) without a value that of the nearest with one: the margin, where few knees reach."""
    known, bare = np.isfinite(values), wanted & ~np.isfinite(values)
    _, near = KDTree(template.vertices_mm[known]).query(template.vertices_mm[bare])
    result = values.copy()
    result[bare] = values[known][near]
    return result


def _footprint(covered: Array, graph: sparse.csr_array, plates: int) -> Array:
    outside = components(~covered, graph)
    return np.isin(components(outside != 1, graph), np.arange(1, plates + 1))


def _smooth(values: FloatArray, known: Array, graph: sparse.csr_array, steps: int) -> FloatArray:
    """Mean with the neighbours, ``steps`` times, over ``known`` vertices only."""
    links = graph.copy()
    links.data = np.ones_like(links.data)
    count = np.maximum(links @ known.astype(float), 1.0)
    result = np.where(known, values, 0.0)
    for _ in range(steps):
        result = np.where(known, 0.5 * result + 0.5 * (links @ result) / count, 0.0)
    return np.asarray(result, dtype=np.float64)


if __name__ == "__main__":
    main()
