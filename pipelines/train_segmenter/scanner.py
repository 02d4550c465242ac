"""What a scanner does to a clean image: coil, slices, blur, motion, noise, metal."""

from __future__ import annotations

import numpy as np
import torch
from chance import Chance

Tensor = torch.Tensor
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


def draw_resolution(chance: Chance) -> list[tuple[float, float]]:
    """Slice spacing and profile width in mm along i, j, k: mostly sagittal stacks, some coronal and axial."""
    fine = chance.happens(FINE_SHARE)
    in_plane = chance.uniform(0.3, 0.7) if fine else chance.uniform(0.3, 1.2)
    slices = chance.uniform(0.4, 1.0) if fine else chance.uniform(1.0, 4.5)
    result = [(in_plane, in_plane)] * 3
    axis = int(chance.rng.choice(3, p=[0.8, 0.1, 0.1]))
    result[axis] = (slices, slices * chance.uniform(0.6, 1))
    return result


def scan(image: Tensor, chance: Chance, *, voxel_mm: float) -> Tensor:
    """Measured magnitude image (I, J, K) of a clean one with voxels of ``voxel_mm``."""
    shape = tuple(image.shape)
    if chance.happens(0.8):
        image = image * torch.exp(chance.waves(shape, chance.uniform(25, 90)) * chance.uniform(0, 0.35))
    if chance.happens(0.03):
        image = image * (chance.waves(shape, 30) < 1.8)
    if chance.happens(0.12):
        axis, shift = int(chance.rng.integers(1, 3)), int(chance.rng.integers(8, 50))
        image = image + chance.uniform(0.02, 0.12) * torch.roll(image, shift, axis)
    resolution = draw_resolution(chance)
    backs = []
    for axis, (spacing, profile) in enumerate(resolution):
        if max(spacing, profile) > voxel_mm:
            forward, back = slice_matrices(shape[axis], spacing, profile, chance.uniform(0, 1), voxel_mm=voxel_mm)
            image = along(image, forward.to(image.device), axis)
            backs.append((axis, back))
    level = chance.uniform(0, 0.03) if chance.happens(FINE_SHARE) else chance.uniform(0.02, 0.09)
    real, imaginary = (chance.noise(tuple(image.shape)) * level for _ in range(2))
    image = torch.sqrt((image + real) ** 2 + imaginary**2)
    for axis, back in backs:
        image = along(image, back.to(image.device), axis)
    if chance.happens(0.5):
        image = image.clamp(min=0) ** float(np.exp(chance.normal(0, 0.25)))
    return image
