"""What lies in a planted defect: fluid, synovium, or the cartilage that faces it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mriseg.geometry import apply_affine
from mriseg.simulate.articular import ArticularSurface
from mriseg.simulate.defects import Filling, PlantedDefect, place_defect
from mriseg.simulate.knee import Knee
from mriseg.simulate.motion import rest_pose
from mriseg.simulate.scene import Scene, scan
from mriseg.simulate.signal import SEQUENCES, SequenceName, Tissue, signals
from mriseg.simulate.trial import draw_anatomy
from mriseg.types import Bone, FloatArray, Grid, Label, LabelMap

CONTRAST = signals(SEQUENCES[SequenceName.DESS])


@pytest.fixture(scope="module")
def defect(surfaces: dict[Bone, ArticularSurface]) -> PlantedDefect:
    rng = np.random.default_rng(5)
    return place_defect(surfaces[Bone.TIBIA], "MT", areas_mm2=(90.0, 90.0), depth=1.0, name="d1", rng=rng)[0]


def picture(knee: Knee, defect: PlantedDefect, filling: Filling) -> tuple[FloatArray, LabelMap, FloatArray]:
    """Signal and labels of a box about the defect; voxels in the middle of what was cut near the femur."""
    affine = np.diag([0.5, 0.5, 0.5, 1.0])
    pose = rest_pose(knee)
    affine[:3, 3] = pose[defect.bone].apply(defect.centre_mm[None])[0] - 8.0
    grid = Grid(shape=(32, 32, 32), affine=affine)
    anatomy = draw_anatomy(knee, np.random.default_rng(1))
    scene = Scene(knee=knee, pose=pose, defects=(replace(defect, filling=filling),), anatomy=anatomy)
    image, labels = scan(scene, grid, CONTRAST, supersample=(1, 1, 1))
    own = pose[defect.bone].inverse().matrix @ affine
    points = apply_affine(own, np.stack(np.indices(grid.shape), axis=-1).astype(np.float64))
    shape = knee.bones[defect.bone]
    middle = (defect.distance(points) < -1.5) & (shape.bone.at(points) > 0.8) & (shape.outer.at(points) < -0.8)
    femur = pose[Bone.FEMUR].inverse().matrix @ affine
    faced = knee.bones[Bone.FEMUR].outer.on_grid(grid.shape, femur) < 3.8
    return image, labels, middle & faced


@pytest.mark.parametrize(("filling", "tissue"), [(Filling.FLUID, Tissue.FLUID), (Filling.SYNOVIUM, Tissue.SYNOVIUM)])
def test_a_defect_has_the_signal_of_what_fills_it(
    knee: Knee, defect: PlantedDefect, filling: Filling, tissue: Tissue
) -> None:
    image, labels, middle = picture(knee, defect, filling)
    assert middle.sum() > 30
    assert image[middle] == pytest.approx(CONTRAST[tissue], rel=0.02)
    assert not labels.mask(Label.TIBIAL_CARTILAGE)[middle].any()


def test_the_cartilage_that_faces_a_defect_reaches_into_it_and_leaves_the_bone_bare(
    knee: Knee, defect: PlantedDefect
) -> None:
    image, labels, middle = picture(knee, defect, Filling.OPPOSING)
    assert labels.mask(Label.FEMORAL_CARTILAGE)[middle].mean() > 0.95
    assert np.median(image[middle]) == pytest.approx(CONTRAST[Tissue.CARTILAGE], rel=0.02)
    _, open_labels, _ = picture(knee, defect, Filling.FLUID)
    own = (m.mask(Label.TIBIAL_CARTILAGE) for m in (labels, open_labels))
    assert np.array_equal(*own)
