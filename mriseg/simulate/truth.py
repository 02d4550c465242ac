"""The truth of a visit: regional values and defects of the continuous knee, before any sampling."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from mriseg.geometry import mirror_points
from mriseg.simulate.articular import ArticularSurface, layer_volumes, ray_thickness
from mriseg.simulate.defects import PlantedDefect
from mriseg.simulate.knee import Knee
from mriseg.simulate.plates import GROUPS, PLATES
from mriseg.types import Array, Bone, FloatArray, RigidTransform, Side


@dataclass(frozen=True, slots=True, kw_only=True)
class TruthRow:
    """One line of ``truth.tsv`` at one visit; ``defect_id`` is empty for a region."""

    region: str
    kind: str
    defect_id: str
    metric: str
    value: float
    unit: str


def cut_thickness(
    knee: Knee, surface: ArticularSurface, defects: Iterable[PlantedDefect]
) -> tuple[FloatArray, FloatArray]:
    """Thickness (V,) in mm with the defects cut, and the denuded share (V,) of each vertex, smooth at the edge."""
    shape = knee.bones[surface.bone]
    thickness = surface.thickness_mm.copy()
    denuded = np.zeros(len(thickness))
    for defect in defects:
        if defect.bone is not surface.bone:
            continue
        distance = defect.distance(surface.vertices_mm)
        inside = np.flatnonzero((distance < 0) & (thickness > 0))
        if defect.depth >= 1.0:
            thickness[inside] = 0.0
            denuded = np.maximum(denuded, np.clip(0.5 - distance / 0.45, 0.0, 1.0))
        else:

            def outer(points: FloatArray, defect: PlantedDefect = defect) -> Array:
                return defect.cut(shape.bone.at(points), shape.outer.at(points), points)

            thickness[inside] = ray_thickness(surface.vertices_mm[inside], surface.normals[inside], outer)
    return thickness, np.where(surface.covered, denuded, 0.0)


def region_rows(
    knee: Knee, surfaces: Mapping[Bone, ArticularSurface], defects: Iterable[PlantedDefect]
) -> list[TruthRow]:
    """VC, tAB, cAB, dAB, dAB% and mean thickness of every plate and of the femorotibial sums."""
    cuts = list(defects)
    sums: dict[str, FloatArray] = {}
    for bone, surface in surfaces.items():
        thickness, denuded = cut_thickness(knee, surface, cuts)
        share = np.where(surface.covered, 1.0, 0.0)
        volume = layer_volumes(surface, np.where(surface.covered, thickness, 0.0))
        plate_of_face = surface.plate[surface.faces[:, 0]]
        weighted = surface.area_mm2 * np.where(surface.covered, thickness, 0.0)
        for plate in PLATES[bone]:
            on = surface.plate == plate
            total = float((surface.area_mm2 * share)[on].sum())
            bare = float((surface.area_mm2 * denuded)[on].sum())
            sums[plate] = np.array([total, bare, volume[plate_of_face == plate].sum(), weighted[on].sum()])
    for group, plates in GROUPS.items():
        sums[group] = np.sum([sums[plate] for plate in plates], axis=0)
    return [row for region, values in sums.items() for row in _rows_of_region(region, *values.tolist())]


def _rows_of_region(region: str, total: float, bare: float, volume: float, weighted: float) -> list[TruthRow]:
    covered = total - bare
    values = {
        "VC": (volume, "mm3"),
        "tAB": (total, "mm2"),
        "cAB": (covered, "mm2"),
        "dAB": (bare, "mm2"),
        "dAB%": (100.0 * bare / total if total else float("nan"), "%"),
        "VCtAB": (volume / total if total else float("nan"), "mm"),
        "ThCtAB": (weighted / total if total else float("nan"), "mm"),
        "ThCcAB": (weighted / covered if covered else float("nan"), "mm"),
    }
    return [
        TruthRow(region=region, kind="region", defect_id="", metric=metric, value=value, unit=unit)
        for metric, (value, unit) in values.items()
    ]


def defect_rows(
    knee: Knee,
    surfaces: Mapping[Bone, ArticularSurface],
    defects: Iterable[PlantedDefect],
    pose: Mapping[Bone, RigidTransform],
    side: Side,
) -> list[TruthRow]:
    """Area, depth, missing volume and place (RAS mm of the visit, in the participant's own space) of every defect.

    ``pose`` takes the frame of each bone into the right-knee frame of the visit.
    """
    rows = []
    for defect in defects:
        surface = surfaces[defect.bone]
        thickness, _ = cut_thickness(knee, surface, [defect])
        distance = defect.distance(surface.vertices_mm)
        inside = (distance < 0) & surface.covered
        area, expected = surface.area_mm2[inside], surface.thickness_mm[inside]
        depth = 100.0 * float((area * (1 - thickness[inside] / expected)).sum() / max(area.sum(), 1e-9))
        lost = layer_volumes(surface, surface.thickness_mm).sum() - layer_volumes(surface, thickness).sum()
        place = mirror_points(pose[defect.bone].apply(defect.centre_mm[None]), side)[0]
        values = {
            "area_mm2": (surface.area_inside(distance), "mm2"),
            "mean_depth_pct": (depth if area.size else float("nan"), "%"),
            "planted_depth_pct": (100.0 * defect.depth, "%"),
            "volume_mm3": (float(lost), "mm3"),
            **{f"centroid_{axis}_mm": (float(v), "mm") for axis, v in zip("xyz", place, strict=True)},
        }
        rows += [
            TruthRow(region=defect.plate, kind="defect", defect_id=defect.defect_id, metric=m, value=v, unit=u)
            for m, (v, u) in values.items()
        ]
    return rows
