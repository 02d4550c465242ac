"""One knee MR volume of any contrast to a label map, with a verdict on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

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
from mriseg.segment.signal import cartilage_signal, pooled
from mriseg.types import Bone, Label, LabelMap, Side, Verdict, Volume

DRAFT = "{name} is a draft that does not reach the accuracy a measurement needs: correct the label map by hand."
FIRST, LOOKED = 0.5, 0.6  # share of the time of looking until the first network has answered; of all until both have


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Look:
    """What the networks found in one image: labels (I, J, K) before any rule, and confidence in each label."""

    seen: Seen
    labels: LABELS
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
    return segment_visits([volume], side=side, network=network, threads=threads, progress=progress)[0]


def segment_visits(
    volumes: Sequence[Volume],
    *,
    side: Side,
    network: Network,
    threads: int = 0,
    progress: Progress | None = None,
) -> list[Segmentation]:
    """Segment the visits of one knee together.

    All visits are judged with one spread of the signal of cartilage, in units of each image's own contrast, so that the
    noisier visit does not have the fewer craters. The order of the visits changes nothing, and one visit is as with
    :func:`segment`, whose parameters these are.

    Raises
    ------
    SegmentationError
        Where one of the images cannot be a knee MR.
    """
    for volume in volumes:
        refuse_unusable(volume)
    report, count = progress or silent, len(volumes)
    looks = [
        look_at(
            to_right_knee(v, side), network, threads=threads, progress=_part(report, LOOKED * n / count, LOOKED / count)
        )
        for n, v in enumerate(volumes)
    ]
    names = network.spec.rules_in_order
    at = names.index("craters") if "craters" in names else len(names)
    labels = [draw(look.labels, look.seen, names[:at]) for look in looks]
    seen = with_shared_signal([look.seen for look in looks], labels) if at < len(names) else [k.seen for k in looks]
    labels = [draw(drawn, shown, names[at:]) for drawn, shown in zip(labels, seen, strict=True)]
    report(1.0)
    return [
        judged(LabelMap(data=drawn, grid=look.seen.knee.grid), look, volume, side, network)
        for drawn, look, volume in zip(labels, looks, volumes, strict=True)
    ]


def judged(label_map: LabelMap, look: Look, volume: Volume, side: Side, network: Network) -> Segmentation:
    """Bring a label map of a right knee back to ``volume``, with the verdict on it."""
    drafted = (DRAFT.format(name=network.spec.name),) if network.spec.draft else ()
    reasons = drafted + doubts(label_map, look.confidence)
    return Segmentation(
        label_map=to_grid_of(label_map, volume, side),
        verdict=Verdict.NEEDS_REVIEW if reasons else Verdict.GOOD,
        reasons=reasons,
        confidence=look.confidence,
    )


def look_at(knee: Volume, network: Network, *, threads: int, progress: Progress) -> Look:
    """Show a right knee to the networks."""
    there, back = there_and_back(knee.grid.shape, knee.grid.spacing_mm, network.spec.spacing_ras_mm)
    first = FIRST if network.sharpens else 1.0
    fractions = predict(
        apply_axes(knee.data, there), network, threads=threads, progress=lambda share: progress(first * share)
    )
    confidence = confidence_of(fractions)
    closer = look_closer(knee, fractions, network, threads=threads) if network.sharpens else None
    if closer is not None:
        fine = confidence_of(closer.fractions)
        confidence |= {bone.cartilage: fine[bone.cartilage] for bone in Bone}
    progress(1.0)
    seen = Seen(knee=knee, closer=closer, threads=threads)
    return Look(seen=seen, labels=label_voxels(fractions, back), confidence=confidence)


def with_shared_signal(seen: Sequence[Seen], labels: Sequence[LABELS]) -> list[Seen]:
    """What is seen at each visit, with the signal of cartilage that the visits share; ``labels`` (I, J, K) of each."""
    found = [cartilage_signal(d, s.knee.data, s.knee.grid.spacing_mm) for d, s in zip(labels, seen, strict=True)]
    shared = iter(pooled([signal for signal in found if signal is not None]))
    return [replace(s, signal=None if own is None else next(shared)) for s, own in zip(seen, found, strict=True)]


def _part(report: Progress, start: float, share: float) -> Progress:
    """Progress of one part of the work."""
    return lambda done: report(start + share * done)


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
