"""Knees of one split as simulated images with their truth, for benchmarks/segmenter.py.

The shapes are real label maps; the images come from mriseg.simulate, which shares no code
with the generator of the training images.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np

from mriseg.errors import MrisegError
from mriseg.geometry import reorient
from mriseg.measure import measure
from mriseg.nifti import read_label_map, read_volume, write_label_map, write_volume
from mriseg.simulate.knee import knee_of_labels
from mriseg.simulate.motion import MotionLimits, place, repositioned
from mriseg.simulate.scanner import add_noise, coil_sensitivity, supersampling
from mriseg.simulate.scene import Scene, scan
from mriseg.simulate.signal import SEQUENCES, SequenceName, Tissue, signals
from mriseg.simulate.trial import draw_anatomy
from mriseg.splits import Split, load_splits
from mriseg.study.code import code_of
from mriseg.types import Bone, Grid, LabelMap, RigidTransform, Side, Volume

# What is simulated: contrast, and the protocol whose voxels it has. All but the stack lie on the DESS grid.
KINDS = {
    "dess": ("dess", SequenceName.DESS),
    "spgr": ("spgr", SequenceName.DESS),
    "tse-fs": ("tse-fs", SequenceName.DESS),
    "random": ("random", SequenceName.DESS),
    "stack": ("tse-fs", SequenceName.TSE_FS),
    "repeat": ("dess", SequenceName.DESS),
}
PLATES = ("MT", "LT", "cMF", "cLF", "P")
METRICS = ("ThCtAB_aMe", "dABp", "dAB")
REPOSITIONING = MotionLimits(knee_deg=5.0, knee_mm=5.0, bone_deg=0.0, bone_mm=0.0)


def knees_of(labels: Path, split: Split) -> list[str]:
    """Last visit, ``sub-X_ses-Y``, of every participant of a split."""
    maps = load_splits().chosen(labels.glob("sub-*_dseg.nii.gz"), split)
    return list({path.name.split("_")[0]: path.name.split("_side")[0] for path in maps}.values())


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """One image, its true label map, and what the measurement makes of that map."""

    knee: str
    kind: str
    image: Volume
    truth: LabelMap
    plates: dict[str, float]


def kept_case(folder: Path, labels: Path, knee: str, kind: str) -> Case:
    """Simulate one case, once: image, truth and the truth's figures are kept in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    measuring = code_of("mriseg.study.steps.measure").sha256[:16]  # it may change meanwhile
    ends = ("mri.nii.gz", "dseg.nii.gz", f"plates-{measuring}.json")
    image, truth, figures = (folder / f"{knee}_{kind}_{end}" for end in ends)
    if not truth.exists():
        seed = [crc32(knee.encode()), list(KINDS).index(kind)]
        shape = reorient(read_label_map(labels / f"{knee}_side-R_dseg.nii.gz"))
        made = image_of(shape, kind, np.random.default_rng([2026, *seed]), np.random.default_rng(seed[0]))
        write_volume(image, made[0])
        write_label_map(truth, made[1])
    if not figures.exists():
        figures.write_text(json.dumps(plate_figures(read_label_map(truth))))
    return Case(
        knee=knee,
        kind=kind,
        image=read_volume(image),
        truth=read_label_map(truth),
        plates=json.loads(figures.read_text()),
    )


def image_of(
    labels: LabelMap, kind: str, rng: np.random.Generator, body: np.random.Generator
) -> tuple[Volume, LabelMap]:
    """Simulate a scan over the field of view of a label map; ``body`` draws what stays the same in a repeat scan."""
    sequence, geometry = KINDS[kind]
    protocol = SEQUENCES[SequenceName.DESS if sequence == "random" else SequenceName(sequence)]
    contrast = signals(protocol)
    if sequence == "random":
        contrast = {t: float(rng.uniform(0.02, 1)) for t in contrast} | {Tissue.AIR: 0.0, Tissue.CORTEX: 0.03}
    knee = knee_of_labels(labels, body)
    whole = repositioned(RigidTransform.identity(), rng, REPOSITIONING) if kind == "repeat" else None
    pose = dict.fromkeys(Bone, RigidTransform.identity())
    scene = Scene(knee=knee, pose=place(pose, whole) if whole else pose, defects=(), anatomy=draw_anatomy(knee, body))
    spacing = SEQUENCES[geometry].spacing_mm
    grid = grid_over(labels.grid, spacing)
    image, truth = scan(scene, grid, contrast, supersample=supersampling(spacing))
    level = max(contrast[Tissue.CARTILAGE], 0.3 if sequence == "random" else 0.0)
    noisy = add_noise(image * coil_sensitivity(grid, rng) * np.float32(300 / level), 300 / protocol.snr, rng)
    return Volume(data=noisy, grid=grid), truth


def grid_over(grid: Grid, spacing_mm: tuple[float, float, float]) -> Grid:
    """Cover the field of view of ``grid`` with other voxels; i, j, k keep their directions."""
    field = grid.spacing_mm * grid.shape
    i, j, k = (int(n) for n in np.floor(field / spacing_mm))
    affine = grid.affine @ np.diag([*(np.array(spacing_mm) / grid.spacing_mm), 1.0])
    return Grid(shape=(i, j, k), affine=affine)


def plate_figures(label_map: LabelMap) -> dict[str, float]:
    """Thickness (mm), denuded area (mm2, %) of the plates by ``plate metric``; empty where nothing can be measured."""
    try:
        rows = measure(label_map, None, None, side=Side.RIGHT).baseline.regions
    except MrisegError:
        return {}
    wanted = {(plate, metric) for plate in PLATES for metric in METRICS}
    kept = {(str(r.region), str(r.metric)): float(r.value) for r in rows}
    return {f"{region} {metric}": kept[region, metric] for region, metric in sorted(wanted & set(kept))}
