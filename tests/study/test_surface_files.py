"""A surface opens in other programs with what was measured on it."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

from mriseg.study.surface_files import SurfaceFile
from mriseg.types import Bone, BoneSurface, ThicknessMap, VertexState


def test_gifti_holds_geometry_and_every_figure_by_name(tmp_path: Path) -> None:
    surface = BoneSurface(
        bone=Bone.TIBIA,
        vertices_mm=np.array([[0, 0, 0], [1.5, 0, 0], [0, 2, 0], [0, 0, 3.25]]),
        faces=np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]),
        area_mm2=np.ones(4),
        region=np.array([1, 1, 2, 0]),
        expected_mm=np.array([2.0, 2.0, 2.5, np.nan]),
    )
    state = np.array([VertexState.MEASURED, VertexState.DENUDED, VertexState.FAILED, VertexState.OUTSIDE])
    thickness = ThicknessMap(thickness_mm=np.array([1.75, 0, np.nan, np.nan]), state=state)
    nib.save(
        SurfaceFile(surface=surface, thickness={"month6": thickness}, to_visit={}).to_gifti(),
        tmp_path / "tibia.surf.gii",
    )
    read = nib.load(tmp_path / "tibia.surf.gii")
    points, faces = read.agg_data(("pointset", "triangle"))
    assert np.array_equal(points, surface.vertices_mm)
    assert np.array_equal(faces, surface.faces)
    named = {a.meta["Name"]: a.data for a in read.darrays[2:]}
    assert np.array_equal(named["region"], surface.region)
    assert np.array_equal(named["state month6"], state)
    np.testing.assert_array_equal(named["thickness_mm month6"], thickness.thickness_mm)
    np.testing.assert_array_equal(named["expected_mm"], surface.expected_mm)
