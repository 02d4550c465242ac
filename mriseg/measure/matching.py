"""What became of each lesion between two visits, by overlap on the shared surface."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.sparse.csgraph import connected_components

from mriseg.measure.lesions import Lesion
from mriseg.measure.parameters import MeasureParameters
from mriseg.types import Array, Defect, Fate, FloatArray


def match(
    baseline: Sequence[Lesion], followup: Sequence[Lesion], area_mm2: FloatArray, parameters: MeasureParameters
) -> tuple[list[Defect], list[Defect]]:
    """Match the lesions of one bone; swapping the visits swaps grown with shrunk and new with resolved.

    Lesions that overlap, however many, are one family: its fate is that of its summed area, and deeper loss counts as
    growth where the largest class differs. Each lesion names the one it overlaps most. The change of a family stands
    once, at the lesion with the largest area of each visit; the others of the family carry 0.
    """
    overlap = np.array([[float(area_mm2[a.mask & b.mask].sum()) for b in followup] for a in baseline])
    overlap = overlap.reshape(len(baseline), len(followup))
    n = len(baseline) + len(followup)
    links = np.zeros((n, n))
    links[: len(baseline), len(baseline) :] = overlap
    _, family = connected_components(links, directed=False)
    first, second = family[: len(baseline)], family[len(baseline) :]
    old = [
        _follow(
            k,
            baseline,
            followup,
            overlap=overlap,
            own_family=first,
            other_family=second,
            parameters=parameters,
            earlier=True,
        )
        for k in range(len(first))
    ]
    new = [
        _follow(
            k,
            followup,
            baseline,
            overlap=overlap.T,
            own_family=second,
            other_family=first,
            parameters=parameters,
            earlier=False,
        )
        for k in range(len(second))
    ]
    return old, new


def _follow(
    k: int,
    own: Sequence[Lesion],
    other: Sequence[Lesion],
    *,
    overlap: FloatArray,
    own_family: Array,
    other_family: Array,
    parameters: MeasureParameters,
    earlier: bool,
) -> Defect:
    """Describe lesion ``k`` of one visit by its family at both."""
    defect = own[k].defect
    sign = 1.0 if earlier else -1.0
    partners = np.flatnonzero(other_family == own_family[k]).tolist()
    if not partners:
        fate = Fate.RESOLVED if earlier else Fate.NEW
        return replace(defect, fate=fate, change_mm2=-sign * defect.area_mm2)
    siblings = np.flatnonzero(own_family == own_family[k]).tolist()
    here = sum(own[i].defect.area_mm2 for i in siblings)
    there = sum(other[i].defect.area_mm2 for i in partners)
    change = sign * (there - here) + 0.0  # no negative zero
    deeper = max(other[i].defect.icrs_class for i in partners) - max(own[i].defect.icrs_class for i in siblings)
    leader = siblings[int(np.argmax([own[i].defect.area_mm2 for i in siblings]))]
    return replace(
        defect,
        matched_defect_id=other[int(np.argmax(overlap[k]))].defect.defect_id,
        fate=_fate(change, sign * deeper, min(here, there), parameters),
        change_mm2=change if k == leader else 0.0,
    )


def _fate(change: float, deeper: float, smaller: float, parameters: MeasureParameters) -> Fate:
    if deeper:
        return Fate.GROWN if deeper > 0 else Fate.SHRUNK
    if abs(change) <= max(parameters.stable_mm2, parameters.stable_fraction * smaller):
        return Fate.STABLE
    return Fate.GROWN if change > 0 else Fate.SHRUNK
