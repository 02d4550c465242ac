"""The space that all visits of one bone share: how each lies in it, in an order that the content decides."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import expm, logm

from mriseg.geometry import halfway, mirror_transform, nearest_rigid
from mriseg.types import Bone, LabelMap, Registration, RigidTransform, Side, Verdict

PAIR = 2
STILL = 1e-12  # of a step, in radians and mm, at which the mean of poses has settled
DECIMALS = 9  # of a motion: a motion and the inverse of its inverse agree to them


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pose:
    """Where visit ``number`` lies: ``to_visit`` maps the common space to it."""

    number: int
    to_visit: RigidTransform


def motion_of(
    bone: Bone, baseline: LabelMap, labels: LabelMap, registration: Registration | None, side: Side
) -> tuple[RigidTransform | None, str]:
    """Motion of one bone from baseline in the right-knee frame, or None and why there is none.

    Both label maps are in the right-knee frame, ``registration`` is not; baseline itself needs none.
    """
    if registration is None or _key(labels) == _key(baseline):
        return RigidTransform.identity(), ""
    found = registration.bones.get(bone)
    if found is None:
        return None, "no registration"
    if found.verdict is Verdict.FAILED:
        return None, f"registration failed ({'; '.join(found.reasons)})"
    return mirror_transform(found.transform, side), ""


def in_fixed_order(labels: Sequence[LabelMap], motions: Sequence[RigidTransform]) -> list[Pose]:
    """Put the visits in the order of their content, so that arithmetic does not depend on which is called baseline.

    ``motions`` map baseline to each visit, the first being the identity. The common space lies half-way between two
    visits, and at the mean of the poses of more.
    """
    order = sorted(range(len(labels)), key=lambda n: _key(labels[n]))
    back = motions[order[0]].inverse()
    moved = [_rounded(motions[n].after(back)) for n in order]
    return [Pose(number=n, to_visit=motion) for n, motion in zip(order, _from_the_middle(moved), strict=True)]


def _from_the_middle(motions: Sequence[RigidTransform]) -> list[RigidTransform]:
    """Common space -> each visit, of motions that start at the first of them."""
    if len(motions) == PAIR:
        half = halfway(motions[1])
        return [half.inverse(), half]
    back = mean_pose(motions).inverse()
    return [motion.after(back) for motion in motions]


def mean_pose(motions: Sequence[RigidTransform]) -> RigidTransform:
    """Mean of rigid motions: the one from which the logarithms to all of them sum to nothing.

    It turns with its arguments from the left and from the right, so that no visit and no origin is preferred; of the
    identity and a motion it is half of that motion. Pennec and Arsigny 2013, doi:10.1007/978-3-642-30232-9_7.
    """
    mean = motions[0].matrix
    for _ in range(50):
        steps = [np.real(logm(np.linalg.solve(mean, m.matrix))) for m in motions]
        step = np.mean(steps, axis=0)
        mean = mean @ expm(step)
        if np.abs(step).max() < STILL:
            break
    return nearest_rigid(mean)


def _rounded(motion: RigidTransform) -> RigidTransform:
    return RigidTransform(matrix=np.round(motion.matrix, DECIMALS))


def _key(labels: LabelMap) -> bytes:
    return hashlib.sha256(labels.data.tobytes() + labels.grid.affine.tobytes()).digest()
