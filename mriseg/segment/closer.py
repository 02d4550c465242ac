"""Look again about the cartilages, on voxels half as wide as those of the first look."""

from __future__ import annotations

from dataclasses import dataclass

from mriseg.segment.labelling import box_around
from mriseg.segment.network import Network
from mriseg.segment.refine import refine
from mriseg.segment.resample import F32, Lines, apply_axes, part_of, there_and_back
from mriseg.segment.sharpen import sharpen
from mriseg.types import Bone, Volume

FAINT = 0.25  # fraction of cartilage that counts as found
MARGIN = 5  # voxels of the first look about it


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Closer:
    """What the second look found.

    Parameters
    ----------
    where : tuple of slices
        Box of the image's voxels.
    fractions : array, (7, i, j, k)
        Fractions of background and labels on the finer grid.
    back : three lines
        Where the voxels of the box lie on that grid.
    """

    where: tuple[slice, ...]
    fractions: F32
    back: Lines


def look_closer(knee: Volume, fractions: F32, network: Network, *, threads: int = 0) -> Closer | None:
    """Refine or sharpen, as ``network`` says, what the first look found about the cartilages.

    Parameters
    ----------
    knee : Volume
        In the right-knee frame.
    fractions : array, (7, I, J, K)
        What the network found on its own grid.
    network : Network
    threads : int
        Threads of onnxruntime; 0 for all.

    Returns
    -------
    Closer or None
        None where there is no cartilage.
    """
    box = box_around(fractions[[bone.cartilage for bone in Bone]].max(axis=0) > FAINT, margin=MARGIN)
    if box is None:
        return None
    grid = knee.grid
    there, back = there_and_back(grid.shape, grid.spacing_mm, network.spec.spacing_ras_mm, parts=2)
    i, j, k = (slice(2 * side.start, 2 * side.stop) for side in box)
    image = apply_axes(knee.data, (there[0][i], there[1][j], there[2][k]))
    coarse = fractions[(slice(None), *box)]
    shares = refine(image, coarse, network, threads=threads) if network.refiner else sharpen(image, coarse)
    where, lines = part_of(back, (i, j, k))
    return Closer(where=where, fractions=shares, back=lines)
