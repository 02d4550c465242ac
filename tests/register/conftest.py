"""A small analytic knee: three lumpy bones with cartilage, marrow texture and known motion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mriseg.geometry import apply_affine
from mriseg.types import Bone, Grid, LabelMap, RigidTransform, Volume

CENTRES = {Bone.FEMUR: (0.0, 0.0, 21.0), Bone.TIBIA: (0.0, -2.0, -19.0), Bone.PATELLA: (2.0, 30.0, 20.0)}
RADII = {Bone.FEMUR: (22.0, 17.0, 18.0), Bone.TIBIA: (21.0, 15.0, 16.0), Bone.PATELLA: (12.0, 8.0, 13.0)}
JOINT = {Bone.FEMUR: (0.0, 0.3, -1.0), Bone.TIBIA: (0.0, 0.0, 1.0), Bone.PATELLA: (0.0, -1.0, 0.0)}
CARTILAGE_MM = 2.4


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """Image and label map of one visit."""

    volume: Volume
    labels: LabelMap


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallKnee:
    """Draws visits; ``shape_seed`` says whose knee it is."""

    shape_seed: int = 0

    def scan(
        self,
        motion: dict[Bone, RigidTransform] | None = None,
        *,
        loss: float = 0.0,
        noise: float = 4.0,
        seed: int = 1,
        gain: float = 0.0,
        contrast: tuple[float, ...] = (90.0, 60.0, 15.0, 180.0),
    ) -> Scan:
        """Scan the knee; ``contrast`` of background, marrow, cortex, cartilage; ``gain`` of a linear coil bias."""
        grid = Grid(shape=(58, 112, 104), affine=_affine())
        points = apply_affine(grid.affine, np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1))
        background, marrow, cortex, cartilage = contrast
        image = np.full(grid.shape, background)
        labels = np.zeros(grid.shape, dtype=np.uint8)
        for bone in Bone:
            own = points if motion is None else apply_affine(motion[bone].inverse().matrix, points)
            distance, facing = self._distance(bone, own)
            layer = CARTILAGE_MM * (1.0 - loss) * np.clip((facing - 0.55) / 0.15, 0.0, 1.0)
            image = _over(image, np.maximum(distance - layer, -distance), cartilage)
            image = _over(image, distance, cortex)
            image = _over(image, distance + 1.0, marrow + 12.0 * self._texture(own))
            labels[(distance < layer) & (labels == 0)] = bone.cartilage
            labels[distance < 0] = bone.label
        ramp = 1.0 + gain * np.linspace(-1.0, 1.0, grid.shape[1])[None, :, None]
        image = image * ramp + np.random.default_rng(seed).normal(0.0, noise, grid.shape)
        return Scan(volume=Volume(data=image.astype(np.float32), grid=grid), labels=LabelMap(data=labels, grid=grid))

    def _distance(self, bone: Bone, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Approximate signed distance to the bone, and the cosine to the direction of the joint."""
        away = points - np.array(CENTRES[bone])
        unit = away / np.maximum(np.linalg.norm(away, axis=-1, keepdims=True), 1e-6)
        rng = np.random.default_rng([self.shape_seed, list(Bone).index(bone)])
        size = np.ones(points.shape[:-1])
        for _ in range(5):
            size += 0.11 * np.sin(3.0 * unit @ rng.normal(size=3) + rng.uniform(0, 6))
        scaled = np.linalg.norm(away / np.array(RADII[bone]), axis=-1)
        joint = np.array(JOINT[bone]) / np.linalg.norm(JOINT[bone])
        return (scaled - size) * min(RADII[bone]), unit @ joint

    def _texture(self, points: np.ndarray) -> np.ndarray:
        rng = np.random.default_rng(self.shape_seed + 100)
        waves = [np.sin(points @ rng.normal(0.0, 0.6, 3) + rng.uniform(0, 6)) for _ in range(6)]
        return np.asarray(np.sum(waves, axis=0) / 2.0)

    def plate(self, bone: Bone) -> np.ndarray:
        """Points around the cartilage of a bone."""
        centre, joint = np.array(CENTRES[bone]), np.array(JOINT[bone])
        middle = centre + joint / np.linalg.norm(joint) * min(RADII[bone])
        return middle + np.random.default_rng(5).uniform(-8, 8, (200, 3))


@pytest.fixture(scope="session")
def knee() -> SmallKnee:
    return SmallKnee()


@pytest.fixture(scope="session")
def other_knee() -> SmallKnee:
    return SmallKnee(shape_seed=7)


@pytest.fixture(scope="session")
def motion() -> dict[Bone, RigidTransform]:
    """Each bone moved in its own way, by about 5 degrees and 4 mm."""
    rng = np.random.default_rng(3)
    return {bone: turn_about(CENTRES[bone], rng.uniform(-4, 4, 3), rng.uniform(-3, 3, 3)) for bone in Bone}


@pytest.fixture(scope="session")
def baseline(knee: SmallKnee) -> Scan:
    return knee.scan(gain=0.15)


@pytest.fixture(scope="session")
def followup(knee: SmallKnee, motion: dict[Bone, RigidTransform]) -> Scan:
    return knee.scan(motion, seed=2, gain=-0.15, loss=0.2)


@pytest.fixture(scope="session")
def turn() -> Callable[..., RigidTransform]:
    return turn_about


def turn_about(centre: object, rotation_deg: object, shift_mm: object) -> RigidTransform:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(np.asarray(rotation_deg, dtype=float), degrees=True).as_matrix()
    c = np.asarray(centre, dtype=float)
    matrix[:3, 3] = c - matrix[:3, :3] @ c + np.asarray(shift_mm, dtype=float)
    return RigidTransform(matrix=matrix)


def _affine() -> np.ndarray:
    affine = np.diag([1.0, 0.8, 0.8, 1.0])
    affine[:3, 3] = (-29.0, -37.0, -43.0)
    return affine


def _over(image: np.ndarray, distance: np.ndarray, level: object) -> np.ndarray:
    share = np.clip(0.5 - distance / 0.9, 0.0, 1.0)
    return image * (1.0 - share) + share * np.asarray(level)
