"""From the frame in which surfaces and lesions are measured into the scanner space of a visit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mriseg.errors import StudyError
from mriseg.geometry import halfway, mirror_points, mirror_transform
from mriseg.study.model import Patient
from mriseg.study.surface_files import SurfaceFile
from mriseg.types import Bone, FloatArray, RigidTransform, Side, Verdict

BONE_OF_PREFIX = {"F": Bone.FEMUR, "T": Bone.TIBIA, "P": Bone.PATELLA}  # of a defect_id


def motion_between(patient: Patient, bone: Bone, source: str, target: str) -> RigidTransform | None:
    """Motion of one bone from the scanner space of one visit to that of another; None where it is not known."""
    if source == target:
        return RigidTransform.identity()
    registered = patient.registration()
    entry = registered["bones"].get(bone.value)
    if entry is None or entry["assessment"] == Verdict.FAILED or len(patient.visits) < 2:
        return None
    motion = RigidTransform(matrix=np.array(entry["matrix_ras_mm"]))
    pair = registered.get("baseline", patient.visits[0]), registered.get("followup", patient.visits[1])
    if (source, target) == pair:
        return motion
    return motion.inverse() if (target, source) == pair else None


def in_scanner_space(patient: Patient, bone: Bone, visit: str, points_mm: FloatArray) -> FloatArray:
    """Map ``points_mm`` (N, 3) of the right-knee half-way frame to RAS mm of the scanner at one visit.

    A bone that was measured at one visit alone was measured in the space of that visit.
    """
    file = patient.surfaces.get(bone)
    if file is None or len(file.thickness) < 2:
        return mirror_points(points_mm, patient.side)
    visits = list(file.thickness)
    motion = motion_between(patient, bone, visits[0], visits[1]) or RigidTransform.identity()
    half = halfway(mirror_transform(motion, patient.side))
    back = half.inverse() if visit == visits[0] else half
    return mirror_points(back.apply(points_mm), patient.side)


def surface_at(patient: Patient, bone: Bone, visit: str) -> SurfaceFile:
    """Surface of one bone as the scanner saw it at one visit: RAS mm, a left knee as a left knee, normals outward."""
    file = patient.surfaces.get(bone)
    if file is None or visit not in file.thickness:
        raise StudyError(f"{patient.id}: there is no surface of the {bone} at {visit!r}.")
    faces = file.surface.faces if patient.side is Side.RIGHT else file.surface.faces[:, ::-1]
    points = in_scanner_space(patient, bone, visit, file.surface.vertices_mm)
    surface = replace(file.surface, vertices_mm=points, faces=faces)
    return SurfaceFile(surface=surface, thickness={visit: file.thickness[visit]})
