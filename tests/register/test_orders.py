"""Two visits registered in both orders, below the ordering by content that hides unequal treatment."""

from __future__ import annotations

import numpy as np
import pytest

from mriseg.register import RegisterSettings, pair
from mriseg.types import Bone

FAST = RegisterSettings(spacing_mm=2.0, sigmas_mm=(1.0,))


def apart_mm(one, two, bone=Bone.TIBIA):
    """How far the transform back takes points from where the transform forth came from, mm."""
    forth = pair._register(one.volume, one.labels, two.volume, two.labels, FAST).bones[bone].transform
    back = pair._register(two.volume, two.labels, one.volume, one.labels, FAST).bones[bone].transform
    points = np.array([[0.0, 0.0, -19.0], [20.0, 0.0, -19.0], [0.0, 15.0, -10.0]])
    return float(np.linalg.norm(back.apply(forth.apply(points)) - points, axis=1).max())


def test_either_order_gives_the_inverse(baseline, followup):
    assert apart_mm(baseline, followup) < 1e-3


@pytest.mark.parametrize("target", ["visit_surfaces", "smooth"])
def test_another_treatment_of_the_first_visit_alone_is_caught(monkeypatch, baseline, followup, target):
    from mriseg.register import bone

    module, name = (pair, "smoothing_mm") if target == "visit_surfaces" else (bone, "sigma_mm")
    plain, calls = getattr(module, target), []

    def unequal(*images, **numbers):
        calls.append(target)
        factor = 3.0 if len(calls) % 2 else 1.0
        return plain(*images, **(numbers | {name: factor * numbers[name]}))

    monkeypatch.setattr(module, target, unequal)
    assert apart_mm(baseline, followup) > 1e-3
