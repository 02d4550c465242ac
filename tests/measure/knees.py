"""The sample knee in pieces: label maps, registrations and plain figures for the tests of whole knees."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from mriseg.geometry import MIRROR, apply_affine, thin
from mriseg.measure import MeasureParameters
from mriseg.nifti import read_label_map
from mriseg.types import (
    Bone,
    BoneRegistration,
    Grid,
    Label,
    LabelMap,
    Registration,
    RigidTransform,
    Verdict,
    VisitMeasurement,
)

SAMPLE = Path(__file__).resolve().parents[2] / "sample_data" / "truth"
COARSE = MeasureParameters(spacing_mm=1.2, fit_spacing_mm=2.5)
FEMUR = (Label.FEMUR, Label.FEMORAL_CARTILAGE)
TIBIA = (Label.TIBIA, Label.TIBIAL_CARTILAGE)


@cache
def knee(visit: str) -> LabelMap:
    """Right knee of the sample trial at ``baseline`` or ``month6``."""
    return read_label_map(SAMPLE / "labels" / f"sub-01_ses-{visit}_dseg.nii.gz")


@cache
def coarse_knee(visit: str) -> LabelMap:
    """The same with voxels of about 1.2 mm."""
    return thin(knee(visit), 1.2)


def only(labels: LabelMap, wanted: tuple[Label, ...]) -> LabelMap:
    """Keep the labels ``wanted``."""
    return LabelMap(data=np.where(np.isin(labels.data, wanted), labels.data, 0), grid=labels.grid)


def mirrored(labels: LabelMap) -> LabelMap:
    """The left knee that this right knee is the mirror image of."""
    return LabelMap(data=labels.data, grid=Grid(shape=labels.grid.shape, affine=MIRROR @ labels.grid.affine))


def registration(matrices: dict[Bone, np.ndarray], verdict: Verdict = Verdict.GOOD) -> Registration:
    """Registration with these motions, all of one verdict."""
    bones = {
        b: BoneRegistration(transform=RigidTransform(matrix=m), verdict=verdict, reasons=("a reason",))
        for b, m in matrices.items()
    }
    return Registration(bones=bones)


def true_motion() -> dict[Bone, np.ndarray]:
    """Motion of every bone from baseline to month 6."""
    stored = json.loads((SAMPLE / "motions.json").read_text())["sub-01"]["bones"]
    return {Bone(name): np.array(part["matrix_ras_mm"]) for name, part in stored.items()}


def values(visit: VisitMeasurement) -> pd.Series:
    """Every figure of a visit by region and metric."""
    return pd.Series({(r.region, r.metric): r.value for r in visit.regions})


def without_plate(labels: LabelMap, bone: Bone, side: str) -> LabelMap:
    """Take all cartilage off the ``medial`` or ``lateral`` half of a bone of a right knee, or off ``both``."""
    index = np.argwhere(labels.data == bone.cartilage)
    x = apply_affine(labels.grid.affine, index.astype(float))[:, 0]
    bony = apply_affine(labels.grid.affine, np.argwhere(labels.data == bone.label).astype(float))[:, 0]
    lateral = x > 0.5 * (bony.min() + bony.max())
    gone = index[{"medial": ~lateral, "lateral": lateral, "both": lateral | ~lateral}[side]]
    data = labels.data.copy()
    data[tuple(gone.T)] = 0
    return LabelMap(data=data, grid=labels.grid)
