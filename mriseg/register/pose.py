"""Where to begin: the pose of one bone from its surface, whatever the position in the scanner."""

from __future__ import annotations

from itertools import product

import numpy as np
from scipy.spatial.transform import Rotation

from mriseg.geometry import nearest_rigid
from mriseg.register.surface import Pair, descend, trimmed_gap_mm
from mriseg.types import FloatArray, RigidTransform

SETTLED_MM = 0.8  # a trimmed gap that only the right pose of the right bone reaches (benchmarks/registration_real.py)
ASKING = 500  # points a visit that look for a partner while the pose is sought
FINALISTS = 5  # starts of the grid that are followed to their end


def find_pose(pair: Pair, hints: tuple[RigidTransform, ...] = ()) -> RigidTransform:
    """Bring two surfaces of one bone together from any start within 30 degrees and 40 mm.

    The position in space, the centroids and ``hints`` (poses of neighbouring bones) are tried first. Where none ends
    with the surfaces on each other, a grid of rotations is tried as well.
    """
    coarse = pair.sparse(ASKING)
    ends = [_settle(coarse, start) for start in (RigidTransform.identity(), *hints, _centred(pair, np.eye(3)))]
    best = min(ends, key=lambda end: trimmed_gap_mm(coarse, end))
    if trimmed_gap_mm(coarse, best) > SETTLED_MM:
        rough = [
            descend(coarse, _centred(pair, turn), floor_mm=3.0, iterations=6, tolerance_mm=0.2) for turn in _turns()
        ]
        rough.sort(key=lambda end: trimmed_gap_mm(coarse, end))
        ends = [best, *(_settle(coarse, start) for start in rough[:FINALISTS])]
        best = min(ends, key=lambda end: trimmed_gap_mm(coarse, end))
    return descend(pair, best, floor_mm=0.3, iterations=40, tolerance_mm=1e-5)


def _settle(pair: Pair, start: RigidTransform) -> RigidTransform:
    """Follow a start to its end, first with far partners allowed, then with near ones only."""
    rough = descend(pair, start, floor_mm=3.0, iterations=25, tolerance_mm=0.05)
    return descend(pair, rough, floor_mm=0.5, iterations=15, tolerance_mm=0.02)


def _centred(pair: Pair, rotation: FloatArray) -> RigidTransform:
    """``rotation`` about the centroid of the baseline surface, onto the centroid of the follow-up surface."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation
    matrix[:3, 3] = pair.followup.points_mm.mean(axis=0) - rotation @ pair.baseline.points_mm.mean(axis=0)
    return nearest_rigid(matrix)


def _turns() -> list[FloatArray]:
    """Rotations by 0 or 25 degrees about each axis, both ways: a grid that is its own inverse and mirror image."""
    turns = [v for v in product((-25.0, 0.0, 25.0), repeat=3) if any(v)]
    return [Rotation.from_rotvec(turn, degrees=True).as_matrix() for turn in turns]
