"""One knee MR volume of any contrast to a label map, with a verdict on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import nibabel as nib
import numpy as np

from mriseg.geometry import to_right_knee
from mriseg.segment.closer import look_closer
from mriseg.segment.inference import Progress, predict, silent
from mriseg.segment.labelling import LABELS, label_voxels
from mriseg.segment.network import Network
from mriseg.segment.plausibility import doubts, refuse_unusable
from mriseg.segment.resample import F32, apply_axes, there_and_back
from mriseg.segment.rules import Seen, draw
from mriseg.types import Bone, Label, LabelMap, Side, Verdict, Volume

DRAFT = "{name} is a draft that does not reach the accuracy a measurement needs: correct the label map by hand."
FIRST, LOOKED = 0.3, 0.6  # shares of the time until the first network has answered, and the second


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Segmentation:
    """A label map and how far it may be trusted.

    Parameters
    ----------
    label_map : LabelMap
        On the grid of the image.
    verdict : Verdict
        ``good``, or ``needs-review``.
    reasons : tuple of str
        Why the verdict is not ``good``; empty otherwise.
    confidence : mapping
        Label -> mean fraction that the network gives to it inside the structure, 0 to 1; 0 where nothing was found.
    """

    label_map: LabelMap
    verdict: Verdict
    reasons: tuple[str, ...]
    confidence: Mapping[Label, float]


def segment(
    volume: Volume,
    *,
    side: Side,
    network: Network,
    threads: int = 0,
    progress: Progress | None = None,
) -> Segmentation:
    """Segment the bones and cartilages of one knee.

    Parameters
    ----------
    volume : Volume
        One knee, any contrast, any orientation of the slices.
    side : Side
        Left knees are mirrored on the way in and out, so that mirrored images give mirrored label maps.
    network : Network
        From :func:`~mriseg.segment.network.load_network`.
    threads : int
        Threads of the network; 0 for all cores.
    progress : callable, optional
        Called with the share done, 0 to 1.

    Raises
    ------
    SegmentationError
        Where the image cannot be a knee MR (empty, CT, too small).
    """
    refuse_unusable(volume)
    knee = to_right_knee(volume, side)
    labels, confidence = labels_of(knee, network, threads=threads, progress=progress or silent)
    label_map = LabelMap(data=labels, grid=knee.grid)
    drafted = (DRAFT.format(name=network.spec.name),) if network.spec.draft else ()
    reasons = drafted + doubts(label_map, confidence)
    return Segmentation(
        label_map=to_grid_of(label_map, volume, side),
        verdict=Verdict.NEEDS_REVIEW if reasons else Verdict.GOOD,
        reasons=reasons,
        confidence=confidence,
    )


def labels_of(knee: Volume, network: Network, *, threads: int, progress: Progress) -> tuple[LABELS, dict[Label, float]]:
    """Label of each voxel of a right knee, (I, J, K), and the confidence in each label."""
    grid = knee.grid
    there, back = there_and_back(grid.shape, grid.spacing_mm, network.spec.spacing_ras_mm)
    first = FIRST if network.sharpens else 1.0
    fractions = predict(
        apply_axes(knee.data, there), network, threads=threads, progress=lambda share: progress(first * share)
    )
    confidence = confidence_of(fractions)
    closer = look_closer(knee, fractions, network, threads=threads) if network.sharpens else None
    progress(LOOKED if network.sharpens else 1.0)
    if closer is not None:
        fine = confidence_of(closer.fractions)
        confidence |= {bone.cartilage: fine[bone.cartilage] for bone in Bone}
    labels = draw(label_voxels(fractions, back), Seen(knee=knee, closer=closer, threads=threads), network)
    progress(1.0)
    return labels, confidence


def confidence_of(fractions: F32) -> dict[Label, float]:
    """Mean fraction of each label where it is the largest of (7, I, J, K); 0 where it nowhere is."""
    fractions = fractions[:, ::2, ::2, ::2]  # a mean does not need every voxel
    winner = fractions.argmax(axis=0)
    result = {}
    for label in Label:
        inside = fractions[label][winner == label]
        result[label] = float(inside.mean()) if inside.size else 0.0
    return result


def to_grid_of(label_map: LabelMap, volume: Volume, side: Side) -> LabelMap:
    """Bring a label map from the right-knee frame back to the axes and the side of ``volume``, voxel for voxel."""
    home = to_right_knee(label_map, side)
    source = nib.orientations.io_orientation(home.grid.affine)
    target = nib.orientations.io_orientation(volume.grid.affine)
    turn = nib.orientations.ornt_transform(source, target)
    data = nib.orientations.apply_orientation(home.data, turn)
    return LabelMap(data=np.ascontiguousarray(data), grid=volume.grid)
