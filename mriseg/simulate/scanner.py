"""The scanner: slice prescription, coil sensitivity, noise."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from mriseg.geometry import apply_affine
from mriseg.simulate.fields import Float32
from mriseg.simulate.knee import Knee, Pose
from mriseg.simulate.signal import Sequence
from mriseg.types import Bone, FloatArray, Grid

CROP_MARGIN_MM = (np.array([8.0, 10.0, 12.0]), np.array([8.0, 22.0, 12.0]))
TILT_DEG = 3.0


def prescribe(
    knee: Knee,
    pose: Pose,
    sequence: Sequence,
    spacing_mm: tuple[float, float, float],
    rng: np.random.Generator,
    *,
    crop: bool,
) -> Grid:
    """Lay an oblique sagittal stack over the knee, as a technologist would: along the femur, a few degrees off.

    Voxel axes run closest to right, anterior, superior. ``crop`` cuts the stack to the cartilage, 8 to 12 mm around it
    and the whole patella in front; otherwise it has the field of view of the sequence.
    """
    tilt = Rotation.from_rotvec(np.radians(rng.uniform(-TILT_DEG, TILT_DEG, 3))).as_matrix()
    axes = pose[Bone.FEMUR].matrix[:3, :3] @ tilt
    points = joint_points(knee, pose) @ axes
    low, high = points.min(axis=0), points.max(axis=0)
    if crop:
        low, high = low - CROP_MARGIN_MM[0], high + CROP_MARGIN_MM[1]
        shape = np.ceil((high - low) / spacing_mm).astype(int)
    else:
        fov = np.array(sequence.spacing_mm) * np.array(sequence.matrix)
        shape = np.rint(fov / spacing_mm).astype(int)
    centre = (low + high) / 2 + (0 if crop else rng.uniform(-3, 3, 3))
    affine = np.eye(4)
    affine[:3, :3] = axes * np.array(spacing_mm)
    affine[:3, 3] = axes @ (centre - (shape - 1) / 2 * np.array(spacing_mm))
    i, j, k = shape.tolist()
    return Grid(shape=(i, j, k), affine=affine)


def joint_points(knee: Knee, pose: Pose) -> FloatArray:
    """Points (N, 3) in the cartilage of all bones, in the scanner."""
    points = []
    for bone, shape in knee.bones.items():
        index = np.argwhere((shape.outer.data < 0) & (shape.bone.data > 0)).astype(np.float64)[::5]
        points.append(pose[bone].apply(apply_affine(shape.bone.grid.affine, index)))
    return np.concatenate(points)


def supersampling(spacing_mm: tuple[float, float, float], *, finest_mm: float = 0.8) -> tuple[int, int, int]:
    """How many points to average along each axis so that they lie at most ``finest_mm`` apart."""
    i, j, k = (int(np.ceil(s / finest_mm - 1e-9)) for s in spacing_mm)
    return i, j, k


def coil_sensitivity(grid: Grid, rng: np.random.Generator) -> Float32:
    """Smooth sensitivity of a knee coil: higher near its wall, with a slow drift; mean about 1, (I, J, K)."""
    axes = [np.linspace(-1.0, 1.0, n, dtype=np.float32) for n in grid.shape]
    x, y, z = axes[0][:, None, None], axes[1][None, :, None], axes[2][None, None, :]
    c = rng.uniform(-0.10, 0.10, 6).astype(np.float32)
    drift = c[0] * x + c[1] * y + c[2] * z + c[3] * x * y + c[4] * y * z + c[5] * x * z
    return np.asarray(1.0 + drift + 0.10 * (y * y - 0.33) - 0.18 * (z * z - 0.33), dtype=np.float32)


def add_noise(image: Float32, sigma: float, rng: np.random.Generator) -> Float32:
    """Magnitude of the image with Gaussian noise of ``sigma`` in both channels: Rician.

    References
    ----------
    Gudbjartsson and Patz 1995, doi:10.1002/mrm.1910340618.
    """
    real = image + np.float32(sigma) * rng.standard_normal(image.shape, dtype=np.float32)
    imaginary = np.float32(sigma) * rng.standard_normal(image.shape, dtype=np.float32)
    return np.asarray(np.hypot(real, imaginary), dtype=np.float32)
