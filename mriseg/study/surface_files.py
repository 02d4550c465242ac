"""Surfaces with the thickness of every visit, one ``.npz`` a bone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mriseg.files import replacing
from mriseg.types import Bone, BoneSurface, Measurement, RigidTransform, ThicknessMap


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SurfaceFile:
    """One bone surface and, by visit id, the thickness on it and where it lies, in the right-knee frame.

    ``to_visit`` maps the common space, in which the surface is drawn, to a visit.
    """

    surface: BoneSurface
    thickness: Mapping[str, ThicknessMap]
    to_visit: Mapping[str, RigidTransform]


def write_surfaces(folder: Path, measurement: Measurement, visits: tuple[str, ...]) -> None:
    """Write ``<bone>.npz`` for every bone measured and remove those of other bones.

    ``visits`` are their ids, baseline first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for bone, surface in measurement.surfaces.items():
        arrays = {
            name: getattr(surface, name) for name in ("vertices_mm", "faces", "area_mm2", "region", "expected_mm")
        }
        for visit, values in zip(visits, measurement.visits, strict=True):
            if bone in values.thickness:
                arrays[f"thickness_mm:{visit}"] = values.thickness[bone].thickness_mm
                arrays[f"state:{visit}"] = values.thickness[bone].state
                arrays[f"to_visit:{visit}"] = values.to_visit[bone].matrix
        with replacing(folder / f"{bone.value}.npz") as partial:
            np.savez_compressed(partial, allow_pickle=False, **arrays)
    for left in set(folder.glob("*.npz")) - {folder / f"{bone.value}.npz" for bone in measurement.surfaces}:
        left.unlink()


def read_surface(path: Path) -> SurfaceFile:
    """Read one file of :func:`write_surfaces`; the bone is its name."""
    with np.load(path, allow_pickle=False) as stored:
        arrays = dict(stored)
    names = ("vertices_mm", "faces", "area_mm2", "region", "expected_mm")
    surface = BoneSurface(bone=Bone(path.stem), **{n: arrays[n] for n in names})
    visits = [n.split(":", 1)[1] for n in arrays if n.startswith("state:")]
    thickness = {v: ThicknessMap(thickness_mm=arrays[f"thickness_mm:{v}"], state=arrays[f"state:{v}"]) for v in visits}
    to_visit = {v: RigidTransform(matrix=arrays[f"to_visit:{v}"]) for v in visits}
    return SurfaceFile(surface=surface, thickness=thickness, to_visit=to_visit)
