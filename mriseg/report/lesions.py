"""Lesion cards: every listed lesion at every visit, cut in two planes through its centre, with an arrow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from mriseg.geometry import apply_affine, reorient
from mriseg.report.figures import as_png, outline
from mriseg.study.model import Patient
from mriseg.study.spaces import BONE_OF_PREFIX, in_scanner_space
from mriseg.types import Bone, FloatArray, LabelMap, Volume

HALF_WIDTH_MM = 18.0
PLANES = {"sagittal": 0, "coronal": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesion:
    """What one lesion is called at every visit: rows of ``defects.tsv`` that were matched with each other.

    ``number`` runs over the lesions of a patient, the largest first, and is the same at every visit; ``centre_mm`` is
    that of its largest row, in the right-knee half-way frame.
    """

    number: int
    bone: Bone
    region: str
    rows: tuple[dict[str, Any], ...]
    centre_mm: tuple[float, float, float]


def number_lesions(defects: pd.DataFrame) -> tuple[Lesion, ...]:
    """Put rows of ``defects.tsv`` of one patient that were matched together, and number them by their largest area."""
    rows = defects.to_dict(orient="records")
    if not rows:
        return ()
    links = [
        (i, j)
        for i, one in enumerate(rows)
        for j, other in enumerate(rows)
        if one["visit"] != other["visit"] and one.get("matched_defect_id") == other["defect_id"]
    ]
    ends = np.array(links, dtype=int).reshape(-1, 2)
    graph = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(len(rows), len(rows)))
    _, member = connected_components(graph, directed=False)
    groups = [[row for row, m in zip(rows, member, strict=True) if m == k] for k in range(max(member) + 1)]
    groups.sort(key=lambda group: -max(row["area_mm2"] for row in group))
    return tuple(_lesion(n, group) for n, group in enumerate(groups, start=1))


def _lesion(number: int, rows: list[dict[Any, Any]]) -> Lesion:
    largest = max(rows, key=lambda row: float(row["area_mm2"]))
    x, y, z = (float(largest[f"centroid_{axis}_mm"]) for axis in "xyz")
    return Lesion(
        number=number,
        bone=BONE_OF_PREFIX[str(largest["defect_id"])[0]],
        region=str(largest["region"]),
        rows=tuple(rows),
        centre_mm=(x, y, z),
    )


def lesion_cards(patient: Patient, visits: Sequence[str], defects: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a card a lesion: the lesion, its picture, and where its centre lies in each image."""
    images = {v: (reorient(patient.image(v)), reorient(patient.labels(v))) for v in visits}
    cards = []
    for lesion in number_lesions(defects):
        centre = np.array([lesion.centre_mm])
        centres = {v: in_scanner_space(patient, lesion.bone, v, centre)[0] for v in visits}
        picture, places = _picture(images, centres)
        cards.append({"lesion": lesion, "picture": picture, "places": places})
    return cards


def _picture(
    images: dict[str, tuple[Volume, LabelMap]], centres: dict[str, FloatArray]
) -> tuple[bytes, dict[str, dict[str, int]]]:
    """Draw a row a visit and a column a plane; return the picture and the slice numbers by visit and plane, from 1."""
    figure = Figure(figsize=(2.6 * len(PLANES) * len(images), 2.6), layout="constrained")
    axes = np.reshape(figure.subplots(1, len(PLANES) * len(images)), -1)
    places: dict[str, dict[str, int]] = {}
    for n, (visit, (image, labels)) in enumerate(images.items()):
        voxel = apply_affine(np.linalg.inv(image.grid.affine).astype(np.float64), centres[visit])
        places[visit] = {}
        for m, (name, axis) in enumerate(PLANES.items()):
            panel = axes[n * len(PLANES) + m]
            places[visit][name] = _cut(panel, image, labels, voxel, axis) + 1
            panel.set_title(f"{visit}: {name} {places[visit][name]} of {image.grid.shape[axis]}", fontsize=8)
    return as_png(figure), places


def _cut(panel: Axes, image: Volume, labels: LabelMap, voxel: FloatArray, axis: int) -> int:
    """Draw the slice across ``axis`` at ``voxel`` about that point, with an arrow to it; return its index."""
    index = int(np.clip(round(voxel[axis]), 0, image.grid.shape[axis] - 1))
    across, up = (a for a in range(3) if a != axis)
    spacing = image.grid.spacing_mm
    low, high = np.percentile(image.data, (1, 99.5))
    panel.imshow(
        np.take(image.data, index, axis=axis).T, cmap="gray", origin="lower", vmin=low, vmax=high,
        aspect=spacing[up] / spacing[across],
    )  # fmt: skip
    outline(panel, np.take(labels.data, index, axis=axis).T)
    panel.annotate(
        "", xy=(voxel[across], voxel[up]), xytext=(voxel[across] - 9 / spacing[across], voxel[up] + 9 / spacing[up]),
        arrowprops={"arrowstyle": "->", "color": "white", "lw": 1.4},
    )  # fmt: skip
    panel.set_xlim(voxel[across] - HALF_WIDTH_MM / spacing[across], voxel[across] + HALF_WIDTH_MM / spacing[across])
    panel.set_ylim(voxel[up] - HALF_WIDTH_MM / spacing[up], voxel[up] + HALF_WIDTH_MM / spacing[up])
    panel.set_axis_off()
    return index
