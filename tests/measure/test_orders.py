"""One bone measured in both orders of the visits, below the ordering by content that hides unequal treatment."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from mriseg.geometry import halfway
from mriseg.measure import bone as measuring_bone
from mriseg.measure.bone import measure_bone
from mriseg.measure.metrics import region_values
from mriseg.types import Bone, RigidTransform

sys.path.insert(0, str(Path(__file__).parent))
from knees import COARSE, TIBIA, coarse_knee, only, true_motion

PLATES = ("MT", "LT")


def both_orders():
    """Figures of baseline and month 6, measured in this order and in the other."""
    labels = [only(coarse_knee(v), TIBIA) for v in ("baseline", "month6")]
    half = halfway(RigidTransform(matrix=true_motion()[Bone.TIBIA]))
    to_visit = [half.inverse(), half]
    forth = measure_bone(Bone.TIBIA, labels, to_visit, COARSE).visits
    back = measure_bone(Bone.TIBIA, labels[::-1], to_visit[::-1], COARSE).visits[::-1]
    return [
        np.array([[r.value for p in PLATES for r in region_values(p, visit.samples)] for visit in visits])
        for visits in (forth, back)
    ]


def test_either_order_gives_the_same_figures():
    forth, back = both_orders()
    np.testing.assert_allclose(forth, back, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["smoothing_mm", "coverage_smoothing_mm"])
def test_another_smoothing_of_the_first_visit_alone_is_caught(monkeypatch, name):
    plain, calls = measuring_bone.visit_fields, []

    def unequal(labels, bone, to_visit, **smoothing):
        calls.append(name)
        factor = 2.0 if len(calls) % 2 else 1.0
        return plain(labels, bone, to_visit, **(smoothing | {name: factor * smoothing[name]}))

    monkeypatch.setattr(measuring_bone, "visit_fields", unequal)
    forth, back = both_orders()
    assert np.abs(forth - back)[np.isfinite(forth)].max() > 0.01
