"""The mean knee: an asset of signed distance fields, packed small.

Frame: RAS+ mm of a right knee, origin at the middle of the tibial cartilage surface, +x lateral.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np

from mriseg.simulate.fields import FAR_MM, Field
from mriseg.types import Array, Bone, Grid

STEP_MM = 0.04


def pack(path: Path, arrays: dict[str, tuple[Array, Grid]]) -> None:
    """Write fields in mm, cut at 10 mm, as differences of whole steps of 0.04 mm: small after compression."""
    stored: dict[str, Array] = {}
    for name, (data, grid) in arrays.items():
        steps = np.rint(np.clip(data, -FAR_MM, FAR_MM) / STEP_MM).astype(np.int16)
        stored[name] = np.diff(steps, axis=2, prepend=np.int16(0))
        stored[f"{name}_affine"] = grid.affine
    np.savez_compressed(path, allow_pickle=False, **stored)


def unpack(path: Path) -> dict[str, Field]:
    """Read what :func:`pack` wrote."""
    with np.load(path) as stored:
        names = [name for name in stored.files if not name.endswith("_affine")]
        fields = {}
        for name in names:
            data = np.cumsum(stored[name], axis=2, dtype=np.int32).astype(np.float32) * np.float32(STEP_MM)
            fields[name] = Field(data=data, grid=Grid(shape=data.shape, affine=stored[f"{name}_affine"]))
    return fields


@cache
def mean_fields() -> dict[Bone, tuple[Field, Field]]:
    """Bone and bone-with-cartilage of the three bones of the mean knee."""
    with as_file(files("mriseg") / "assets" / "mean_knee.npz") as path:
        fields = unpack(path)
    return {bone: (fields[f"{bone}_bone"], fields[f"{bone}_outer"]) for bone in Bone}
