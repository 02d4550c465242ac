"""What is stored comes back, and what cannot be read says so."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mriseg.errors import RegistrationError
from mriseg.register import from_json, to_json
from mriseg.types import Bone, BoneRegistration, Registration, Verdict


@pytest.fixture
def registration(turn) -> Registration:
    return Registration(
        bones={
            Bone.FEMUR: BoneRegistration(
                transform=turn((1, 2, 3), (4, 5, 6), (7, 8, 9)),
                verdict=Verdict.NEEDS_REVIEW,
                reasons=("looks odd",),
                residual_mm=0.4,
                figures={"spread_mm": 0.1, "overlap": 0.9},
            )
        }
    )


def test_a_registration_survives_json(registration):
    content = json.loads(json.dumps(to_json(registration), allow_nan=False))
    assert content["bones"]["femur"]["assessment"] == "needs-review"
    assert content["bones"]["femur"]["similarity"] is None
    back = from_json(content).bones[Bone.FEMUR]
    np.testing.assert_array_equal(back.transform.matrix, registration.bones[Bone.FEMUR].transform.matrix)
    assert back.verdict is Verdict.NEEDS_REVIEW
    assert back.reasons == ("looks odd",)
    assert np.isnan(back.similarity)
    assert back.figures == {"spread_mm": 0.1, "overlap": 0.9}


def test_broken_content_names_the_bone(registration):
    with pytest.raises(RegistrationError, match="bones"):
        from_json({})
    matrices = [{"matrix_ras_mm": matrix} for matrix in ([[1, 2], [3, 4]], [0] * 16, 3, None)]
    for change in (*matrices, {"assessment": "fine"}, {"figures": [0.1]}, {"reasons": None}):
        content = to_json(registration)
        content["bones"]["femur"] |= change
        with pytest.raises(RegistrationError, match="femur"):
            from_json(content)
