"""Registration and measurement together: visits handed over the other way round turn every change around."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from mriseg.measure import MeasureParameters, measure
from mriseg.nifti import read_label_map
from mriseg.register import register
from mriseg.types import Bone, Label, LabelMap, Registration, Side

SAMPLE = Path(__file__).resolve().parents[2] / "sample_data" / "truth" / "labels"


def tibia(visit: str) -> LabelMap:
    labels = read_label_map(SAMPLE / f"sub-01_ses-{visit}_dseg.nii.gz")
    kept = np.isin(labels.data, (Label.TIBIA, Label.TIBIAL_CARTILAGE))
    return LabelMap(data=np.where(kept, labels.data, 0), grid=labels.grid)


def change(first: LabelMap, second: LabelMap) -> tuple[Registration, pd.Series]:
    """Registration of two visits, and follow-up less baseline of every regional value."""
    found = register(None, None, baseline_labels=first, followup_labels=second)
    both = measure(first, second, found, side=Side.RIGHT, parameters=MeasureParameters(spacing_mm=0.8))
    before, after = (
        pd.Series({(r.region, r.metric): r.value for r in v.regions}) for v in (both.baseline, both.followup)
    )
    return found, after - before


def test_swapped_visits_turn_the_sign_of_every_regional_change_and_nothing_else():
    first, second = tibia("baseline"), tibia("month6")
    forth, there = change(first, second)
    back, again = change(second, first)
    product = back.bones[Bone.TIBIA].transform.matrix @ forth.bones[Bone.TIBIA].transform.matrix
    np.testing.assert_allclose(product, np.eye(4), atol=1e-12)
    assert (there.abs() > 0.01).sum() > 20
    pd.testing.assert_series_equal(there, -again, rtol=0, atol=0)
