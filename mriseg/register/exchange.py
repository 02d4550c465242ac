"""Registration to and from the plain dictionary that is stored as ``*_xfm.json``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from mriseg.errors import GeometryError, RegistrationError
from mriseg.types import Bone, BoneRegistration, Registration, RigidTransform, Verdict


def to_json(registration: Registration) -> dict[str, Any]:
    """Return ``{"bones": {name: {"matrix_ras_mm", "assessment", ...}}}`` with numbers, strings, lists and None only.

    ``matrix_ras_mm`` (4 x 4) maps baseline RAS mm to follow-up RAS mm. A figure that is not known is None, since JSON
    has no NaN.
    """
    return {"bones": {bone.value: _bone_to_json(result) for bone, result in registration.bones.items()}}


def from_json(content: Mapping[str, Any]) -> Registration:
    """Rebuild what :func:`to_json` returned.

    Raises
    ------
    RegistrationError
        Where a field is missing or a matrix is no rigid transform; the message names the bone.
    """
    bones: dict[Bone, BoneRegistration] = {}
    try:
        items = dict(content["bones"]).items()
    except (KeyError, TypeError, ValueError) as error:
        raise RegistrationError(
            'A registration needs the field "bones"; make it again with mriseg register.'
        ) from error
    for name, entry in items:
        try:
            bones[Bone(name)] = _bone_from_json(entry)
        except (AttributeError, KeyError, TypeError, ValueError, GeometryError) as error:
            raise RegistrationError(f"The registration of {name!r} cannot be read: {error}") from error
    return Registration(bones=bones)


def _bone_to_json(result: BoneRegistration) -> dict[str, Any]:
    return {
        "matrix_ras_mm": result.transform.matrix.tolist(),
        "assessment": result.verdict.value,
        "reasons": list(result.reasons),
        "similarity": _number(result.similarity),
        "residual_mm": _number(result.residual_mm),
        "figures": {name: _number(value) for name, value in sorted(result.figures.items())},
    }


def _bone_from_json(entry: Mapping[str, Any]) -> BoneRegistration:
    return BoneRegistration(
        transform=RigidTransform(matrix=np.array(entry["matrix_ras_mm"], dtype=np.float64)),
        verdict=Verdict(entry["assessment"]),
        reasons=tuple(entry.get("reasons", ())),
        similarity=_float(entry.get("similarity")),
        residual_mm=_float(entry.get("residual_mm")),
        figures={name: _float(value) for name, value in entry.get("figures", {}).items()},
    )


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _float(value: float | None) -> float:
    return float("nan") if value is None else float(value)
