"""A simulated right knee on a coarse grid."""

from __future__ import annotations

from pathlib import Path

import pytest

from mriseg.anatomy.bones import laid
from mriseg.atlas import RigidLay
from mriseg.geometry import reorient, thin
from mriseg.nifti import read_label_map
from mriseg.types import Bone, LabelMap, Side

MASKS = Path(__file__).resolve().parents[2] / "sample_data" / "study" / "masks"


@pytest.fixture(scope="session")
def knee() -> LabelMap:
    return thin(reorient(read_label_map(MASKS / "sub-01_ses-baseline_dseg.nii.gz")), 2.0)


@pytest.fixture(scope="session")
def lays(knee: LabelMap) -> dict[Bone, dict[Side, RigidLay]]:
    return laid(knee)
