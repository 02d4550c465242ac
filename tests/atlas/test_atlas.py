"""The shipped atlas, and how it is laid onto bones whose shape is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mriseg.atlas import LATERAL, MEDIAL, carry, load_atlas, values_at
from mriseg.surfaces import Surface, submesh, vertex_areas, vertex_normals
from mriseg.types import Bone, Verdict


def moved(surface, *, degrees, scale, wave_mm):
    """A turned, scaled copy of a surface with a smooth bulge of ``wave_mm``, and the map that made it."""
    turn = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()

    def place(points):
        bulge = wave_mm * np.sin(points / 15.0)[:, [1, 2, 0]]
        return scale * (points + bulge) @ turn.T + np.array([40.0, -10.0, 25.0])

    return Surface(vertices_mm=place(surface.vertices_mm), faces=surface.faces)


@pytest.mark.parametrize("bone", list(Bone))
def test_atlas_is_whole(bone):
    atlas = load_atlas()[bone]
    assert ((atlas.coverage >= 0) & (atlas.coverage <= 1)).all()
    assert np.isfinite(atlas.thickness_mm[atlas.coverage >= 0.5]).all()
    assert atlas.axes @ atlas.axes.T == pytest.approx(np.eye(3), abs=1e-9)
    assert np.linalg.det(atlas.axes) > 0
    assert atlas.notch.any() == (bone is Bone.FEMUR)


def test_footprints_of_the_plates_lie_in_the_range_of_the_field():
    tibia = load_atlas()[Bone.TIBIA]
    area = vertex_areas(tibia.surface) * (tibia.coverage >= 0.5)
    assert 900 < area[tibia.compartment == MEDIAL].sum() < 1300
    assert 850 < area[tibia.compartment == LATERAL].sum() < 1250
    across = tibia.surface.vertices_mm @ tibia.axes[0]
    assert across[tibia.compartment == LATERAL].min() > across[tibia.compartment == MEDIAL].max() - 1e-9


def test_a_turned_scaled_and_bent_bone_is_met_at_the_right_places():
    atlas = load_atlas()[Bone.TIBIA]
    bone = moved(atlas.surface, degrees=(8, -6, 10), scale=1.08, wave_mm=1.0)
    carried = carry(atlas, Bone.TIBIA, bone)
    assert carried.verdict is Verdict.GOOD
    assert carried.residual_mm < 0.3
    plate = atlas.coverage > 0.5
    error = np.linalg.norm(carried.fit.vertices_mm - bone.vertices_mm, axis=1)[plate]
    assert np.median(error) < 1.2
    values = values_at(carried, bone.vertices_mm, vertex_normals(bone))
    assert np.abs(values.coverage - atlas.coverage).mean() < 0.03
    assert (values.compartment == atlas.compartment)[plate].mean() > 0.99


def test_a_bone_that_the_field_of_view_cuts_still_fits_what_is_there():
    atlas = load_atlas()[Bone.TIBIA]
    whole = moved(atlas.surface, degrees=(0, 0, 5), scale=1.0, wave_mm=0.5)
    edge = np.quantile(whole.vertices_mm[:, 0], 0.12)
    carried = carry(atlas, Bone.TIBIA, submesh(whole, whole.vertices_mm[:, 0] > edge)[0])
    assert carried.seen < 1.0
    shown = whole.vertices_mm[:, 0] > edge + 6.0
    error = np.linalg.norm(carried.fit.vertices_mm - whole.vertices_mm, axis=1)[shown & (atlas.coverage > 0.5)]
    assert np.median(error) < 2.0


def test_another_bone_is_not_taken_for_a_tibia():
    atlas = load_atlas()
    carried = carry(atlas[Bone.TIBIA], Bone.TIBIA, atlas[Bone.PATELLA].surface)
    assert carried.verdict is not Verdict.GOOD
    assert carried.reasons
