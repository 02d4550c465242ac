"""What a scanner does to a clean image: coil, slices, blur, motion, noise, metal."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

Tensor = torch.Tensor
Rng = np.random.Generator
Noise = Callable[[tuple[int, ...], float, Rng], Tensor]
FINE_SHARE = 0.7  # of images with slices under 1 mm, and of images with little noise


def slice_matrices(
    n: int, spacing_mm: float, profile_mm: float, phase: float, *, voxel_mm: float
) -> tuple[Tensor, Tensor]:
    """Matrices that take ``n`` voxels to slices of a soft profile and bring them back by linear interpolation."""
    step = spacing_mm / voxel_mm
    centres = np.arange(-phase * step, n - 1 + step, step)
    x = np.arange(n)
    half, edge = profile_mm / voxel_mm / 2, max(0.25, 0.12 * profile_mm / voxel_mm)
    gap = np.abs(x[None] - np.clip(centres, 0, n - 1)[:, None])
    weights = 1 / (1 + np.exp(np.clip((gap - half) / edge, -30, 30)))
    forward = weights / weights.sum(1, keepdims=True)
    position = np.clip((x - centres[0]) / step, 0, len(centres) - 1.001)
    low = position.astype(int)
    back = np.zeros((n, len(centres)))
    back[x, low] = 1 - (position - low)
    back[x, low + 1] += position - low
    return torch.from_numpy(forward.astype(np.float32)), torch.from_numpy(back.astype(np.float32))


def along(image: Tensor, matrix: Tensor, axis: int) -> Tensor:
    """Apply a matrix (M, N) along one axis of length N."""
    return torch.movedim(torch.tensordot(matrix, image, dims=([1], [axis])), 0, axis)


def draw_resolution(rng: Rng) -> list[tuple[float, float]]:
    """Slice spacing and profile width in mm along i, j, k: mostly sagittal stacks, some coronal and axial."""
    fine = rng.random() < FINE_SHARE
    in_plane = float(rng.uniform(0.3, 0.7)) if fine else float(rng.uniform(0.3, 1.2))
    slices = float(rng.uniform(0.4, 1.0)) if fine else float(rng.uniform(1.0, 4.5))
    result = [(in_plane, in_plane)] * 3
    axis = int(rng.choice(3, p=[0.8, 0.1, 0.1]))
    result[axis] = (slices, slices * float(rng.uniform(0.6, 1)))
    return result


def scan(image: Tensor, rng: Rng, noise: Noise, *, voxel_mm: float) -> Tensor:
    """Measured magnitude image (I, J, K) of a clean one with voxels of ``voxel_mm``."""
    shape = tuple(image.shape)
    if rng.random() < 0.8:
        image = image * torch.exp(noise(shape, rng.uniform(25, 90), rng) * float(rng.uniform(0, 0.35)))
    if rng.random() < 0.03:
        image = image * (noise(shape, 30, rng) < 1.8)
    if rng.random() < 0.12:
        axis, shift = int(rng.integers(1, 3)), int(rng.integers(8, 50))
        image = image + float(rng.uniform(0.02, 0.12)) * torch.roll(image, shift, axis)
    resolution = draw_resolution(rng)
    backs = []
    for axis, (spacing, profile) in enumerate(resolution):
        if max(spacing, profile) > voxel_mm:
            forward, back = slice_matrices(shape[axis], spacing, profile, float(rng.random()), voxel_mm=voxel_mm)
            image = along(image, forward, axis)
            backs.append((axis, back))
    level = float(rng.uniform(0, 0.03) if rng.random() < FINE_SHARE else rng.uniform(0.02, 0.09))
    real, imaginary = (
        torch.from_numpy(rng.standard_normal(tuple(image.shape), dtype=np.float32)) * level for _ in range(2)
    )
    image = torch.sqrt((image + real) ** 2 + imaginary**2)
    for axis, back in backs:
        image = along(image, back, axis)
    if rng.random() < 0.5:
        image = image.clamp(min=0) ** float(np.exp(rng.normal(0, 0.25)))
    return image
