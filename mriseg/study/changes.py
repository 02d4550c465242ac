"""What a correction changed, in voxels and overlap."""

from __future__ import annotations

from typing import Any

import numpy as np

from mriseg.types import Label, LabelMap


def what_changed(before: LabelMap, after: LabelMap) -> dict[str, Any]:
    """Compare two label maps on one grid.

    Returns
    -------
    dict
        ``voxels`` that differ at all, ``added`` and ``removed`` voxels by label, and ``dice`` by label (None where
        neither map holds the label).
    """
    added, removed, dice = {}, {}, {}
    for label in Label:
        old, new = before.data == label, after.data == label
        added[label.name.lower()] = int((new & ~old).sum())
        removed[label.name.lower()] = int((old & ~new).sum())
        total = int(old.sum()) + int(new.sum())
        dice[label.name.lower()] = round(2 * int((old & new).sum()) / total, 6) if total else None
    voxels = int(np.count_nonzero(before.data != after.data))
    return {"voxels": voxels, "added": added, "removed": removed, "dice": dice}
