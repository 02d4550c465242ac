"""The views of a pair: the follow-up lies on the baseline once it is moved back."""

from __future__ import annotations

import numpy as np

from mriseg.register import checkerboard, difference, in_baseline_space
from mriseg.types import Bone, RigidTransform


def test_the_difference_shrinks_once_the_follow_up_is_moved_back(knee, baseline, turn):
    whole = turn((0, 0, 0), (5, 3, -4), (4, -3, 2))
    second = knee.scan(dict.fromkeys(Bone, whole), seed=3, gain=0.15)
    moved = in_baseline_space(second.volume, baseline.volume, whole)
    still = in_baseline_space(second.volume, baseline.volume, RigidTransform.identity())
    inner = (slice(14, -14),) * 3
    assert moved.grid.same_as(baseline.volume.grid)
    aligned, apart = (np.abs(difference(baseline.volume, v).data[inner]).mean() for v in (moved, still))
    assert aligned < 0.6 * apart


def test_a_checkerboard_takes_turns(baseline):
    grid = baseline.volume.grid
    brighter = type(baseline.volume)(data=baseline.volume.data * 2 + 1000, grid=grid)
    board = checkerboard(baseline.volume, brighter, square_mm=8.0)
    own = board.data == baseline.volume.data
    assert own[0, 0, 0]
    assert not own[8, 0, 0]
    assert own[8, 10, 0]
    assert 0.45 < own.mean() < 0.55
