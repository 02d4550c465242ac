"""Built-in truth: the installation is proven on a digital knee whose lesions, thickness and motion are known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd

from mriseg.files import read_json
from mriseg.geometry import MIRROR, apply_affine, halfway, mirror_points, mirror_transform
from mriseg.measure import measure, regions_table
from mriseg.nifti import read_label_map
from mriseg.register import from_json
from mriseg.simulate.plates import bone_of
from mriseg.simulate.run import make_trial, read_plan
from mriseg.study.model import Patient, open_study
from mriseg.study.steps.convert import convert_visit
from mriseg.study.steps.measure import measure_patient
from mriseg.study.steps.register import register_visit
from mriseg.study.steps.segment import segment_visit
from mriseg.surfaces import extract_surface, triangle_areas
from mriseg.types import Bone, FloatArray, Grid, LabelMap, Registration, Side

VISITS = ("first", "second")
CENTROID = ["centroid_x_mm", "centroid_y_mm", "centroid_z_mm"]
PLATES = ("MT", "LT", "cMF", "cLF", "P")
NEAR_MM = 6.0  # a measured and a planted lesion closer than this are the same


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check: what was found, the limit that it must not exceed, and the unit of both."""

    name: str
    found: float
    limit: float
    unit: str

    @property
    def passed(self) -> bool:
        """Whether the found value is known and within its limit."""
        return bool(self.found <= self.limit)


def verify(folder: Path) -> Iterator[Check]:
    """Run the steps of a trial on one simulated patient in ``folder`` and compare with its truth, check by check.

    The limits are those that a 1 x 0.6 x 0.6 mm grid allows; the figures at full resolution are in the README.
    """
    yield sphere_area()
    plan = read_plan(
        trial="verify", sequence="dess", spacing="1 0.6 0.6", crop=True, compress=True, plant=True,
        arms="placebo,active", growth="60,0", growth_sd="20,4", seed=1,
    )  # fmt: skip
    study, truth = folder / "study", folder / "truth"
    for _ in make_trial(study, plan, truth=truth, allocation=folder / "allocation.csv", count=1):
        pass
    patient = open_study(study).patients()[0]
    for visit in patient.study.visit_ids:
        convert_visit(patient, visit)
        segment_visit(patient, visit, threads=1)
    register_visit(patient, patient.later[0])
    measure_patient(patient)
    yield conversion(patient)
    yield from motion(patient, read_json(truth / "motions.json")[patient.id]["bones"])
    known = pd.read_csv(truth / "truth.tsv", sep="\t")
    yield from lesions(patient, known[known["kind"] == "defect"])
    yield plate_thickness(patient, known[known["kind"] == "region"])
    yield from symmetry(patient)


def sphere_area() -> Check:
    """Area of a 15 mm sphere on the grid of a DESS series against 4 pi r^2."""
    spacing, radius = np.array([0.7, 0.365, 0.365]), 15.0
    shape = np.ceil(2 * (radius + 4) / spacing).astype(int)
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = -(radius + 4) + 0.11
    grid = Grid(shape=(int(shape[0]), int(shape[1]), int(shape[2])), affine=affine)
    centres = apply_affine(affine, np.moveaxis(np.indices(grid.shape), 0, -1).astype(float))
    area = triangle_areas(extract_surface(np.linalg.norm(centres, axis=-1) < radius, grid)).sum()
    return Check(name="area of a sphere", found=abs(100 * (area / (4 * np.pi * radius**2) - 1)), limit=2.0, unit="%")


def conversion(patient: Patient) -> Check:
    """Farthest corner of the converted images from the grids that were simulated."""
    worst = 0.0
    for visit in patient.visits:
        image = patient.image(visit).grid
        mask = read_label_map(patient.study.paths.mask(patient.id, visit)).grid
        worst = max(worst, float(np.abs(image.affine - mask.affine).max()))
    return Check(name="place of a converted voxel", found=worst, limit=1e-3, unit="mm")


def motion(patient: Patient, truth: dict[str, dict[str, list[list[float]]]]) -> Iterator[Check]:
    """Mean distance, over the cartilage of each bone, between its registered and its true motion."""
    labels = patient.labels(patient.visits[0])
    for bone, found in patient.transforms().items():
        voxels = np.argwhere(labels.mask(bone.cartilage)).astype(float)
        points = apply_affine(labels.grid.affine, voxels)
        gap = found.apply(points) - apply_affine(np.array(truth[bone]["matrix_ras_mm"]), points)
        error = float(np.linalg.norm(gap, axis=1).mean())
        yield Check(name=f"motion of the {bone}", found=error, limit=0.15, unit="mm")


def lesions(patient: Patient, truth: pd.DataFrame) -> Iterator[Check]:
    """Area of every full-thickness lesion planted at baseline; one that is not found has no area and fails."""
    measured = patient.defects()
    measured = measured[(measured["visit"] == patient.visits[0]) & (measured["icrs_class"] == 4)]
    values = truth[truth["visit"] == patient.visits[0]].pivot_table(
        index=["defect_id", "region"], columns="metric", values="value"
    )
    for key, lesion in values[values["planted_depth_pct"] >= 99].iterrows():
        name, region = cast(tuple[str, str], key)
        centre = _in_halfway_space(patient, bone_of(region), lesion[CENTROID].to_numpy(dtype=float))
        gaps = np.linalg.norm(measured[CENTROID].to_numpy(dtype=float) - centre, axis=1)
        found = measured["area_mm2"].to_numpy()[gaps.argmin()] if (gaps < NEAR_MM).any() else np.nan
        error = abs(100 * (found / lesion["area_mm2"] - 1))
        yield Check(name=f"area of lesion {name}, {lesion['area_mm2']:.0f} mm2", found=error, limit=12.0, unit="%")


def _in_halfway_space(patient: Patient, bone: Bone, point_mm: FloatArray) -> FloatArray:
    """Take a point of the baseline image into the space of the surfaces: right-knee frame, half-way."""
    half = halfway(mirror_transform(patient.transforms()[bone], patient.side))
    return half.apply(mirror_points(point_mm[None], patient.side)).ravel()


def plate_thickness(patient: Patient, truth: pd.DataFrame) -> Check:
    """Largest error of mean thickness over the plates and visits."""
    known = truth[(truth["metric"] == "ThCtAB") & truth["region"].isin(PLATES)]
    found = patient.regions().query("metric == 'ThCtAB_aMe'")
    both = known.merge(found, on=["visit", "region"], suffixes=("_true", ""))
    error = float((both["value"] - both["value_true"]).abs().max(skipna=False))
    return Check(name="mean thickness of a plate", found=error, limit=0.15, unit="mm")


def symmetry(patient: Patient) -> Iterator[Check]:
    """Largest difference of any area after swapping the visits, and after mirroring the knee; both are zero."""
    first, second = (patient.labels(v) for v in patient.visits)  # the built-in trial has two
    forward = from_json(patient.registration())
    plain = _areas(first, second, forward, patient.side)
    yield Check(
        name="swapped visits",
        found=float(np.abs(_areas(second, first, _inverse(forward), patient.side)[::-1] - plain).max()),
        limit=1e-6,
        unit="mm2",
    )
    other = Side.LEFT if patient.side is Side.RIGHT else Side.RIGHT
    mirrored = _areas(_mirrored(first), _mirrored(second), _mirrored_motion(forward), other)
    yield Check(name="mirrored knee", found=float(np.abs(mirrored - plain).max()), limit=1e-6, unit="mm2")


def _areas(first: LabelMap, second: LabelMap, registration: Registration, side: Side) -> FloatArray:
    """Measure dAB and tAB of all plates, (2, regions): one row a visit."""
    table = regions_table(measure(first, second, registration, side=side), participant="x", side=side, visits=VISITS)
    table = table[table["metric"].isin(["dAB", "tAB"])]
    rows = [table[table["visit"] == v]["value"].to_numpy(dtype=float) for v in VISITS]
    return np.asarray(np.nan_to_num(np.stack(rows)), dtype=np.float64)


def _inverse(registration: Registration) -> Registration:
    return Registration(bones={b: replace(r, transform=r.transform.inverse()) for b, r in registration.bones.items()})


def _mirrored_motion(registration: Registration) -> Registration:
    bones = registration.bones.items()
    return Registration(bones={b: replace(r, transform=mirror_transform(r.transform, Side.LEFT)) for b, r in bones})


def _mirrored(labels: LabelMap) -> LabelMap:
    return LabelMap(data=labels.data, grid=Grid(shape=labels.grid.shape, affine=MIRROR @ labels.grid.affine))
