"""One simulated knee with its truth, and the shipped network."""

from __future__ import annotations

import numpy as np
import pytest

from mriseg.segment import Network, load_network
from mriseg.simulate.fields import inverse
from mriseg.simulate.knee import digital_knee
from mriseg.simulate.motion import rest_pose
from mriseg.simulate.scanner import add_noise, prescribe
from mriseg.simulate.scene import Scene, scan
from mriseg.simulate.signal import SEQUENCES, SequenceName, Tissue, signals
from mriseg.simulate.soft_tissue import Anatomy
from mriseg.types import Bone, LabelMap, Volume


@pytest.fixture(scope="session")
def network() -> Network:
    return load_network()


@pytest.fixture(scope="session")
def knee() -> tuple[Volume, LabelMap]:
    """A right knee as DESS, coarser than in a clinic so that tests stay quick, and its true label map."""
    rng = np.random.default_rng(4)
    shape, sequence = digital_knee(rng), SEQUENCES[SequenceName.DESS]
    pose = rest_pose(shape)
    grid = prescribe(shape, pose, sequence, (1.4, 0.9, 0.9), rng, crop=True)
    anatomy = Anatomy(placement=inverse(shape.bones[Bone.FEMUR].to_mean.matrix))
    contrast = signals(sequence)
    scene = Scene(knee=shape, pose=pose, defects=(), anatomy=anatomy)
    image, truth = scan(scene, grid, contrast, supersample=(1, 1, 1))
    noisy = add_noise(image / np.float32(contrast[Tissue.CARTILAGE]) * 300, 15.0, rng)
    return Volume(data=noisy, grid=grid), truth
