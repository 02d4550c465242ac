"""From the frame in which surfaces and lesions are measured into the scanner space of a visit."""

from __future__ import annotations

import numpy as np

from mriseg.geometry import mirror_points
from mriseg.study.model import Patient
from mriseg.types import Bone, FloatArray, RigidTransform, Verdict

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
