"""A study of two patients with measured tables and no images: enough to judge label maps."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from mriseg.files import sha256
from mriseg.measure.tables import DEFECT_COLUMNS, REGION_COLUMNS
from mriseg.nifti import write_label_map, write_volume
from mriseg.study import open_study
from mriseg.study.model import Study
from mriseg.study.paths import sidecar_of
from mriseg.types import Grid, Label, LabelMap, Volume

VISITS = '[[visits]]\nid = "baseline"\nday = 0\n[[visits]]\nid = "month6"\nday = 183\n'
REGIONS = pd.DataFrame(
    [
        ("sub-01", "baseline", "R", "FT", "dAB", "20.125", "mm2", "needs-review"),
        ("sub-01", "baseline", "R", "P", "dAB", "7", "mm2", "measured"),
        ("sub-01", "month6", "R", "FT", "dAB", "30.5", "mm2", "needs-review"),
        ("sub-01", "month6", "R", "P", "dAB", "", "mm2", "missing"),
    ],
    columns=REGION_COLUMNS,
)
_PLACE = {"centroid_x_mm": 16.25, "centroid_y_mm": 27.75, "centroid_z_mm": -37.25}  # in the femoral cartilage of blocks
_SIZE = {"area_mm2": 30.0, "mean_depth_pct": 100.0, "volume_mm3": 60.0, "change_mm2": 10.0, "fate": "grown"}
_LESION = {"participant_id": "sub-01", "region": "cMF", "icrs_class": 4} | _PLACE | _SIZE
DEFECTS = pd.DataFrame(
    [
        _LESION | {"visit": "baseline", "defect_id": "F1", "matched_defect_id": "F1"},
        _LESION | {"visit": "month6", "defect_id": "F1", "matched_defect_id": "F1"},
    ],
    columns=DEFECT_COLUMNS,
)


def small_study(root: Path) -> Study:
    """sub-01 has two visits that wait for a review, sub-02 one that does not."""
    root.mkdir()
    (root / "study.toml").write_text(f'[study]\nid = "s"\n{VISITS}')
    (root / "participants.tsv").write_text("participant_id\tside\nsub-01\tR\nsub-02\tL\n")
    study = open_study(root)
    for name, visit in (("sub-01", "baseline"), ("sub-01", "month6"), ("sub-02", "baseline")):
        labels = study.paths.labels(name, visit)
        labels.parent.mkdir(parents=True)
        labels.write_bytes(f"map of {name} {visit}".encode())
        waits = name == "sub-01"
        assessment = (
            {"verdict": "needs-review", "reasons": ["edge is not sharp"]}
            if waits
            else {
                "verdict": "good",
                "reasons": [],
            }
        )
        content = {"output_sha256": sha256(labels), "assessment": assessment, "parameters": {"method": "network"}}
        sidecar_of(labels).write_text(json.dumps(content))
    REGIONS.to_csv(study.paths.regions("sub-01"), sep="\t", index=False)
    DEFECTS.to_csv(study.paths.defects("sub-01"), sep="\t", index=False)
    return study


def blocks(shape: tuple[int, int, int] = (6, 10, 12)) -> LabelMap:
    """Femur above tibia, each with its cartilage, on a grid whose axes run to left, posterior and superior."""
    data = np.zeros(shape, np.uint8)
    for low, label in zip(
        (0, 4, 5, 7), (Label.TIBIA, Label.TIBIAL_CARTILAGE, Label.FEMORAL_CARTILAGE, Label.FEMUR), strict=True
    ):
        data[1:-1, 2:-2, low:] = label
    affine = np.diag([-1.5, -0.5, 0.5, 1.0])
    affine[:3, 3] = (20, 30, -40)
    return LabelMap(data=data, grid=Grid(shape=shape, affine=affine))


def drawn_study(root: Path) -> Study:
    """The small study with images and label maps that can be shown and drawn on."""
    study = small_study(root)
    for patient in study.patients():
        for visit in patient.visits:
            labels = blocks()
            path = study.paths.labels(patient.id, visit)
            write_label_map(path, labels)
            write_volume(study.paths.image(patient.id, visit), Volume(data=100.0 * labels.data, grid=labels.grid))
            content = json.loads(sidecar_of(path).read_text()) | {"output_sha256": sha256(path)}
            sidecar_of(path).write_text(json.dumps(content))
    return study
