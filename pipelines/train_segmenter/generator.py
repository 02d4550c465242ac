"""Endless knees that nobody scanned: real shapes, deformed and worn, drawn in any contrast and any resolution.

The idea is SynthSeg's (Billot et al. 2023, doi:10.1016/j.media.2023.102789): a network that has seen every contrast
depends on none. All arrays are (I, J, K) in the right-knee frame, i to the right, j to the front, k up; the voxels
of a crop are cubes of ``voxel_mm``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as fn
from anatomy_map import Tissue
from chance import Chance
from contrast import TISSUES, draw_contrast
from lesions import Lesions, attention, plant
from prepare import HULL_UNIT_MM, SDF_UNIT_MM
from scanner import scan

EDGE = 4.0  # the outermost voxels of many label maps are empty
Tensor = torch.Tensor


@dataclass(frozen=True, slots=True)
class Knee:
    """One prepared knee: ``channels`` as in prepare.py, on disk or on a device, and voxel size in mm."""

    name: str
    channels: np.ndarray | Tensor
    spacing_mm: np.ndarray
    focus: tuple[np.ndarray, ...]


def load_knee(path: Path, device: str | None = None) -> Knee:
    """Open a prepared knee, or put it on a device; ``focus`` holds voxels in each cartilage that there is."""
    channels = np.load(path, mmap_mode="r")
    affine = np.array(json.loads(path.with_suffix(".json").read_text())["affine"])
    focus = []
    for bone in (0, 2, 4):
        cartilage = (channels[bone + 1, ::3, ::3, ::3] < 0) & (channels[bone, ::3, ::3, ::3] > 0)
        if cartilage.sum() > 20:
            focus.append(np.argwhere(cartilage) * 3)
    kept = channels if device is None else torch.from_numpy(np.array(channels)).to(device)
    return Knee(path.stem, kept, np.linalg.norm(affine[:3, :3], axis=0), tuple(focus))


def draw_pose(knee: Knee, size: tuple[int, int, int], chance: Chance, *, voxel_mm: float) -> tuple[Tensor, float]:
    """Voxel positions (I, J, K, 3) in the prepared knee for one crop, and how much larger the knee becomes."""
    rng, device = chance.rng, chance.device
    extent = np.array(knee.channels.shape[1:]) - 1
    if chance.happens(0.65):
        place = knee.focus[rng.integers(len(knee.focus))]
        centre = place[rng.integers(len(place))] + rng.uniform(-22, 22, 3) / knee.spacing_mm
    else:
        centre = rng.uniform(0.18, 0.82, 3) * extent
    angles = np.radians(rng.normal(0, (9, 6, 6)))
    scale = np.exp(chance.normal(0, 0.07))
    linear = rotation(angles) @ np.diag(np.exp(rng.normal(0, 0.03, 3))) / scale
    if chance.happens(0.4):
        linear = linear @ np.diag([-1.0, 1, 1])
    axes = [torch.arange(n, dtype=torch.float32, device=device) - (n - 1) / 2 for n in size]
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1) * voxel_mm
    moved = grid @ torch.from_numpy(linear.T.astype(np.float32)).to(device)
    if chance.happens(0.8):
        wave = chance.uniform(12, 40)
        warp = torch.stack([chance.waves(size, wave) for _ in range(3)], -1)
        moved = moved + warp * (chance.uniform(0, 0.055) * wave * voxel_mm)
    step, origin = (torch.from_numpy(v.astype(np.float32)).to(device) for v in (knee.spacing_mm, centre))
    return moved / step + origin, float(scale)


def rotation(angles: np.ndarray) -> np.ndarray:
    """Rotation (3, 3) by ``angles`` (3,) rad about the three axes in turn."""
    result = np.eye(3)
    for axis, angle in enumerate(angles):
        a, b = [n for n in range(3) if n != axis]
        turn = np.eye(3)
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        result = result @ turn
    return result


def sample_knee(knee: Knee, at: Tensor) -> tuple[Tensor, Tensor]:
    """Signed distances (7, I, J, K) in mm and tissue codes (I, J, K) at voxel positions ``at``; edges go on."""
    last = torch.tensor(knee.channels.shape[1:], dtype=torch.float32, device=at.device) - 1
    at = torch.minimum(at.clamp(min=EDGE), last - EDGE)
    low = np.clip(np.floor(at.amin((0, 1, 2)).cpu().numpy()).astype(int) - 1, 0, np.array(knee.channels.shape[1:]) - 3)
    high = np.clip(np.ceil(at.amax((0, 1, 2)).cpu().numpy()).astype(int) + 2, low + 3, knee.channels.shape[1:])
    part = knee.channels[:, low[0] : high[0], low[1] : high[1], low[2] : high[2]]
    box = part if isinstance(part, Tensor) else torch.from_numpy(part.copy()).to(at.device)
    span = torch.tensor((high - low - 1).astype(np.float32), device=at.device)
    unit = ((at - torch.from_numpy(low.astype(np.float32)).to(at.device)) / span * 2 - 1).flip(-1)[None]
    mode = {"padding_mode": "border", "align_corners": True}
    smooth = fn.grid_sample(box[[0, 1, 2, 3, 4, 5, 7]].float()[None], unit, mode="bilinear", **mode)[0]
    codes = fn.grid_sample(box[6:7].float()[None], unit, mode="nearest", **mode)[0, 0]
    smooth[:6] *= SDF_UNIT_MM
    smooth[6] *= HULL_UNIT_MM
    return smooth, codes.long()


def wear(bone: Tensor, union: Tensor, chance: Chance, *, voxel_mm: float) -> tuple[Tensor, Tensor]:
    """Grow and shrink one bone a little; thin and thicken its cartilage (signed distances in mm)."""
    shape = tuple(bone.shape)
    if chance.happens(0.4):
        bump = chance.waves(shape, chance.uniform(3, 8.4) / voxel_mm) * chance.uniform(0, 0.5)
        bone, union = bone + bump, union + bump
    change = chance.waves(shape, chance.uniform(5, 15) / voxel_mm) * chance.uniform(0, 0.5) + chance.normal(0.05, 0.3)
    present = (bone - union).clamp(0, 1)
    union = union + torch.where(change < 0, change * present, change)
    return bone, torch.minimum(union, bone)


def occupancy(distance: Tensor, *, voxel_mm: float) -> Tensor:
    """Fraction of a voxel on the negative side of a boundary at ``distance`` mm from its centre."""
    return (0.5 - distance / voxel_mm).clamp(0, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Worn:
    """A knee of one image: lesions cut, ``fractions`` of the six labels, and where lesions count (all I, J, K)."""

    lesions: Lesions
    fractions: Tensor
    counts: Tensor


def soften(smooth: Tensor, chance: Chance, *, voxel_mm: float) -> Worn:
    """Wear the cartilages of a knee (6, I, J, K), cut lesions and take the fraction of each label in a voxel."""
    worn = [part for n in (0, 2, 4) for part in wear(smooth[n], smooth[n + 1], chance, voxel_mm=voxel_mm)]
    healthy = torch.stack(worn)
    lesions = plant(healthy, chance, voxel_mm=voxel_mm)
    parts = occupancy(lesions.distances, voxel_mm=voxel_mm)
    fractions = torch.stack([parts[n] if n % 2 == 0 else (parts[n] - parts[n - 1]).clamp(0) for n in range(6)])
    fractions = fractions / fractions.sum(0).clamp(min=1)
    return Worn(lesions=lesions, fractions=fractions, counts=attention(healthy, lesions.distances))


def soft_tissue(codes: Tensor, hull: Tensor, nearest: Tensor, chance: Chance) -> Tensor:
    """Final tissue index (I, J, K) of ``contrast.TISSUES``, with fluid, fat of any depth, skin and air."""
    result = codes.clone()
    shape = tuple(codes.shape)
    if chance.happens(0.3):
        blobs = (chance.waves(shape, chance.uniform(6, 25)) > chance.uniform(-0.5, 1)) & (codes != Tissue.FIBULA)
        other = int(chance.rng.choice([Tissue.FAT, Tissue.MUSCLE, Tissue.TENDON, Tissue.FAT_PAD]))
        result[blobs & (codes <= Tissue.FAT_PAD)] = other
    reach = float(chance.rng.choice([0.4, 1.0, 2.5, 6.0], p=[0.3, 0.35, 0.25, 0.1]))
    wet = nearest < reach * (0.5 + 0.6 * chance.waves(shape, 14))
    open_space = (result == Tissue.FAT) | (result == Tissue.JOINT_SPACE) | (result == Tissue.FAT_PAD)
    result[wet & open_space] = TISSUES.index("fluid")
    filling = ("fluid", "synovium", "fat")[chance.rng.choice(3, p=[0.4, 0.4, 0.2])]
    result[result == Tissue.JOINT_SPACE] = TISSUES.index(filling)
    depth = hull + chance.uniform(0.5, 3) * chance.waves(shape, 20)
    fat = float(chance.rng.choice([chance.uniform(1, 6), chance.uniform(6, 30)]))
    free = (nearest > 1.5) & (codes != Tissue.FIBULA)
    result[free & (depth > fat)] = TISSUES.index("skin")
    result[free & (depth > fat + chance.uniform(0.8, 2.5))] = TISSUES.index("air")
    return result


def cut_field(image: Tensor, target: Tensor, chance: Chance) -> tuple[Tensor, Tensor]:
    """Now and then end the field of view inside the crop: nothing but padding lies beyond."""
    if chance.happens(0.25):
        axis, side = int(chance.rng.integers(3)), bool(chance.rng.integers(2))
        n = int(image.shape[axis] * chance.uniform(0.05, 0.4))
        where = slice(0, n) if side else slice(-n, None)
        index = tuple(where if a == axis else slice(None) for a in range(3))
        image[index] = image.min() if chance.happens(0.8) else image.mean()
        target[(slice(None), *index)] = 0
    return image, target


def draw(
    knee: Knee, size: tuple[int, int, int], chance: Chance, *, voxel_mm: float, contrasts: int = 3
) -> list[tuple[Tensor, Tensor]]:
    """Some training pairs of one pose: image (1, I, J, K), zero mean and unit SD, and target (8, I, J, K).

    The target holds the fractions of background and the six labels, and last how much more
    a voxel counts (:func:`lesions.attention`).
    """
    at, scale = draw_pose(knee, size, chance, voxel_mm=voxel_mm)
    smooth, codes = sample_knee(knee, at)
    smooth *= scale
    if chance.happens(0.03):
        smooth[:6] = 6.0
    pairs = []
    for _ in range(contrasts):
        worn = soften(smooth[:6], chance, voxel_mm=voxel_mm)
        lesions = worn.lesions
        tissue = soft_tissue(codes, smooth[6], lesions.distances.amin(0), chance)
        tissue = torch.where(lesions.filling >= 0, lesions.filling, tissue)
        clean = draw_contrast(worn.fractions, lesions, tissue, chance)
        target = torch.cat([worn.fractions, worn.counts[None]])
        image, target = cut_field(scan(clean, chance, voxel_mm=voxel_mm), target, chance)
        image = (image - image.mean()) / (image.std() + 1e-6)
        pairs.append((image[None], torch.cat([1 - target[:6].sum(0, keepdim=True), target])))
    return pairs
