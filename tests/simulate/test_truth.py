"""The ruler of the truth against shapes whose area, thickness and volume are known on paper."""

from __future__ import annotations

import numpy as np
import pytest

from mriseg.simulate.articular import layer_volumes
from mriseg.simulate.defects import PlantedDefect, place_defect, sized
from mriseg.simulate.scene import Scene, scan
from mriseg.simulate.signal import SEQUENCES, SequenceName, signals
from mriseg.simulate.soft_tissue import Anatomy
from mriseg.simulate.truth import cut_thickness, defect_rows, region_rows
from mriseg.types import Bone, Grid, Label, RigidTransform, Side

RADIUS_MM, SHELL_MM = 18.0, 2.5


def cap(*, half_axis: float, depth: float = 1.0) -> PlantedDefect:
    return PlantedDefect(
        defect_id="d1",
        plate="P",
        bone=Bone.PATELLA,
        centre_mm=np.array([0.0, RADIUS_MM, 0.0]),
        normal=np.array([0.0, 1.0, 0.0]),
        axis=np.array([1.0, 0.0, 0.0]),
        half_axes_mm=(half_axis, half_axis),
        depth=depth,
    )


def cap_area(half_axis: float) -> float:
    """Area of the spherical cap inside a cylinder through the pole."""
    return 2 * np.pi * RADIUS_MM**2 * (1 - np.sqrt(1 - (half_axis / RADIUS_MM) ** 2))


def value(rows, region, metric, defect=""):
    return next(r.value for r in rows if (r.region, r.metric, r.defect_id) == (region, metric, defect))


def test_sphere_area_thickness_and_volume(ball_surface):
    assert ball_surface.area_mm2.sum() == pytest.approx(4 * np.pi * RADIUS_MM**2, rel=0.005)
    assert ball_surface.thickness_mm == pytest.approx(SHELL_MM, abs=0.03)
    shell = 4 / 3 * np.pi * ((RADIUS_MM + SHELL_MM) ** 3 - RADIUS_MM**3)
    assert layer_volumes(ball_surface, ball_surface.thickness_mm).sum() == pytest.approx(shell, rel=0.005)


@pytest.mark.parametrize("half_axis", [3.0, 5.0, 7.5])
def test_full_thickness_cut_has_the_area_of_its_cap(ball_knee, ball_surface, half_axis):
    defect = cap(half_axis=half_axis)
    rows = defect_rows(
        ball_knee, {Bone.PATELLA: ball_surface}, [defect], {Bone.PATELLA: RigidTransform.identity()}, Side.RIGHT
    )
    assert value(rows, "P", "area_mm2", "d1") == pytest.approx(cap_area(half_axis), rel=0.02)
    assert value(rows, "P", "mean_depth_pct", "d1") == pytest.approx(100.0)


def test_partial_cut_leaves_its_share_of_the_thickness(ball_knee, ball_surface):
    thickness, denuded = cut_thickness(ball_knee, ball_surface, [cap(half_axis=6.0, depth=0.6)])
    pole = np.linalg.norm(ball_surface.vertices_mm - [0, RADIUS_MM, 0], axis=1) < 4.0
    assert thickness[pole] == pytest.approx(0.4 * SHELL_MM, abs=0.03)
    assert not denuded.any()


@pytest.mark.parametrize("area", [25.0, 110.0, 240.0])
def test_a_cut_can_be_sized_to_an_area(ball_surface, area):
    defect = sized(cap(half_axis=5.0), ball_surface, area)
    assert cap_area(defect.half_axes_mm[0]) == pytest.approx(area, rel=0.02)


def test_denuded_and_covered_area_add_up(knee, surfaces):
    rng = np.random.default_rng(3)
    pair = place_defect(surfaces[Bone.FEMUR], "cMF", areas_mm2=(110.0, 150.0), depth=1.0, name="d1", rng=rng)
    whole = region_rows(knee, {b: surfaces[b] for b in Bone}, ())
    cut = region_rows(knee, {b: surfaces[b] for b in Bone}, (pair[1],))
    assert value(whole, "cMF", "dAB") == 0
    assert value(cut, "cMF", "tAB") == value(whole, "cMF", "tAB")
    assert value(cut, "cMF", "dAB") == pytest.approx(150.0, rel=0.03)
    assert value(cut, "cMF", "cAB") + value(cut, "cMF", "dAB") == pytest.approx(value(cut, "cMF", "tAB"))
    assert value(cut, "cMF", "VC") < value(whole, "cMF", "VC")
    assert value(cut, "FT", "dAB") == pytest.approx(value(cut, "cMF", "dAB"))
    assert value(cut, "MT", "ThCtAB") == value(whole, "MT", "ThCtAB")


def test_a_digital_knee_has_the_size_of_real_knees(knee, surfaces):
    rows = region_rows(knee, surfaces, ())
    ranges = {"MT": (850, 1500), "LT": (750, 1400), "cMF": (400, 1000), "cLF": (400, 1000), "P": (800, 1600)}
    for plate, (low, high) in ranges.items():
        assert low < value(rows, plate, "tAB") < high
        assert 1.2 < value(rows, plate, "ThCtAB") < 3.5


def test_sampled_label_map_holds_the_true_volume(knee, surfaces):
    """Voxels counted on a fine grid agree with the prisms of the ruler, with a defect cut."""
    defect = place_defect(
        surfaces[Bone.TIBIA], "MT", areas_mm2=(120.0, 120.0), depth=1.0, name="d1", rng=np.random.default_rng(5)
    )[0]
    pose = dict.fromkeys(Bone, RigidTransform.identity())
    scene = Scene(knee=knee, pose=pose, defects=(defect,), anatomy=Anatomy(placement=np.eye(4)))
    affine = np.diag([0.7, 0.5, 0.5, 1.0])
    affine[:3, 3] = (-45.0, -35.0, -12.0)
    grid = Grid(shape=(128, 140, 50), affine=affine)
    _, labels = scan(scene, grid, signals(SEQUENCES[SequenceName.DESS]), supersample=(1, 1, 1))
    counted = labels.mask(Label.TIBIAL_CARTILAGE).sum() * grid.voxel_mm3
    rows = region_rows(knee, surfaces, (defect,))
    assert counted == pytest.approx(value(rows, "MT", "VC") + value(rows, "LT", "VC"), rel=0.03)
