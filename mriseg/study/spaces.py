"""From the frame in which surfaces and lesions are measured into the scanner space of a visit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mriseg.errors import StudyError
from mriseg.geometry import mirror_points
from mriseg.study.model import Patient
from mriseg.study.surface_files import SurfaceFile
from mriseg.types import Bone, FloatArray, RigidTransform, Side, Verdict

BONE_OF_PREFIX = {"F": Bone.FEMUR, "T": Bone.TIBIA, "P": Bone.PATELLA}  # of a defect_id


def motion_between(patient: Patient, bone: Bone, source: str, target: str) -> RigidTransform | None:
    """Motion of one bone from the scanner space of one visit to that of another; None where it is not known."""
    if source == target:
        return RigidTransform.identity()
    baseline = patient.study.visit_ids[0]
    there, back = _from_baseline(patient, bone, target), _from_baseline(patient, bone, source)
    if there is None or back is None or baseline not in patient.visits:
        return None
    return there.after(back.inverse())


def _from_baseline(patient: Patient, bone: Bone, visit: str) -> RigidTransform | None:
    if visit == patient.study.visit_ids[0]:
        return RigidTransform.identity()
    entry = patient.registration(visit)["bones"].get(bone.value)
    if entry is None or entry["assessment"] == Verdict.FAILED:
        return None
    return RigidTransform(matrix=np.array(entry["matrix_ras_mm"]))


def in_scanner_space(patient: Patient, bone: Bone, visit: str, points_mm: FloatArray) -> FloatArray:
    """Map ``points_mm`` (N, 3) of the common space of a bone, right-knee frame, to RAS mm of the scanner at one visit.

    At a visit at which the bone was not measured, the place at baseline is taken.
    """
    file = patient.surfaces.get(bone)
    if file is None or not file.to_visit:
        return mirror_points(points_mm, patient.side)
    motion = file.to_visit.get(visit) or next(iter(file.to_visit.values()))
    return mirror_points(motion.apply(points_mm), patient.side)


def surface_at(patient: Patient, bone: Bone, visit: str) -> SurfaceFile:
    """Surface of one bone as the scanner saw it at one visit: RAS mm, a left knee as a left knee, normals outward."""
    file = patient.surfaces.get(bone)
    if file is None or visit not in file.thickness:
        raise StudyError(f"{patient.id}: there is no surface of the {bone} at {visit!r}.")
    faces = file.surface.faces if patient.side is Side.RIGHT else file.surface.faces[:, ::-1]
    points = in_scanner_space(patient, bone, visit, file.surface.vertices_mm)
    surface = replace(file.surface, vertices_mm=points, faces=faces)
    return SurfaceFile(surface=surface, thickness={visit: file.thickness[visit]}, to_visit={})
