"""A sphere with a shell of cartilage, whose truth is known on paper, and one digital knee."""

from __future__ import annotations

import numpy as np
import pytest

from mriseg.simulate.articular import ArticularSurface, articular_surface
from mriseg.simulate.fields import Field, grid_points
from mriseg.simulate.knee import BoneShape, Knee, ToMean, digital_knee, random_texture
from mriseg.types import Bone, Grid

RADIUS_MM, SHELL_MM = 18.0, 2.5


@pytest.fixture(scope="session")
def ball() -> BoneShape:
    affine = np.eye(4)
    affine[:3, 3] = -25.0
    grid = Grid(shape=(51, 51, 51), affine=affine)
    radius = np.linalg.norm(grid_points(grid), axis=-1)
    return BoneShape(
        bone=Field(data=(radius - RADIUS_MM).astype(np.float32), grid=grid),
        outer=Field(data=(radius - RADIUS_MM - SHELL_MM).astype(np.float32), grid=grid),
        to_mean=ToMean(matrix=np.eye(4)),
    )


@pytest.fixture(scope="session")
def ball_knee(ball: BoneShape) -> Knee:
    return Knee(bones={Bone.PATELLA: ball}, texture=random_texture(np.random.default_rng(0), ball.bone.grid))


@pytest.fixture(scope="session")
def ball_surface(ball: BoneShape) -> ArticularSurface:
    return articular_surface(Bone.PATELLA, ball)


@pytest.fixture(scope="session")
def knee() -> Knee:
    return digital_knee(np.random.default_rng(11))


@pytest.fixture(scope="session")
def surfaces(knee: Knee) -> dict[Bone, ArticularSurface]:
    return {bone: articular_surface(bone, shape) for bone, shape in knee.bones.items()}
