"""The rules that draw a label map after the networks have looked: an ordered, named list of a network's specification.

Each rule takes the labels so far and what is seen, and returns labels of its own; it changes neither. Which rules a
network goes through, and in which order, is ``rules`` of its specification, so that each can be left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mriseg.segment.anatomy import obey_anatomy, one_piece_each
from mriseg.segment.closer import Closer
from mriseg.segment.cortex import draw_cortex
from mriseg.segment.craters import CraterParameters, empty_craters
from mriseg.segment.detail import draw_detail
from mriseg.segment.labelling import LABELS, label_voxels
from mriseg.segment.network import Network
from mriseg.segment.shaft import extend_shafts
from mriseg.segment.signal import Signal, SignalParameters
from mriseg.segment.tendon import cut_tendons
from mriseg.types import Volume


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """What rules may look at.

    Parameters
    ----------
    knee : Volume
        The image, in the right-knee frame.
    closer : Closer or None
        What the second look found about the cartilages; None where there was none.
    signal : Signal or None
        Signal of cartilage, where it is shared with other visits; None learns it from this image.
    threads : int
    """

    knee: Volume
    closer: Closer | None = None
    signal: Signal | None = None
    threads: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One step of drawing.

    Parameters
    ----------
    name : str
        As specifications and sidecars call it.
    needs : str
        In words, what must be there; without it the labels stay as they are.
    apply : callable
        Labels (I, J, K) and :class:`Seen` to labels.
    parameters : mapping
        Numbers that it goes by, as sidecars keep them.
    """

    name: str
    needs: str
    apply: Callable[[LABELS, Seen], LABELS]
    parameters: Mapping[str, Any]


def look(labels: LABELS, seen: Seen) -> LABELS:
    """Take the second look's labels where it looked."""
    result = labels.copy()
    if seen.closer is not None:
        result[seen.closer.where] = label_voxels(seen.closer.fractions, seen.closer.back)
    return result


def detail(labels: LABELS, seen: Seen) -> LABELS:
    """Let the voxels of the image decide about the cartilages."""
    result = labels.copy()
    if seen.closer is not None:
        box, closer = seen.closer.where, seen.closer
        image, spacing_mm = seen.knee.data[box], seen.knee.grid.spacing_mm
        result[box] = draw_detail(labels[box], image, closer.fractions, closer.back, spacing_mm, threads=seen.threads)
    return result


def craters(labels: LABELS, seen: Seen) -> LABELS:
    """Empty what the image shows to be no cartilage."""
    return empty_craters(labels, seen.knee.data, seen.knee.grid.spacing_mm, signal=seen.signal, threads=seen.threads)


def shafts(labels: LABELS, seen: Seen) -> LABELS:
    """Carry ragged shafts on to the edge of the image."""
    return extend_shafts(one_piece_each(labels), seen.knee.data, seen.knee.grid.spacing_mm)


def cortex(labels: LABELS, seen: Seen) -> LABELS:
    """Join the dark shell to its bone."""
    return draw_cortex(labels, seen.knee.data, seen.knee.grid.spacing_mm, threads=seen.threads)


def tendons(labels: LABELS, seen: Seen) -> LABELS:
    """Cut the tendons from the patella."""
    return cut_tendons(labels, seen.knee.data, seen.knee.grid.spacing_mm)


def anatomy(labels: LABELS, seen: Seen) -> LABELS:
    """Take away what no knee has."""
    return obey_anatomy(labels, seen.knee.grid.spacing_mm)


RULES: Mapping[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule(name="look", needs="a second look", apply=look, parameters={}),
        Rule(name="detail", needs="a second look", apply=detail, parameters={}),
        Rule(
            name="craters",
            needs="cartilage and bone in the image, with contrast",
            apply=craters,
            parameters=asdict(SignalParameters()) | asdict(CraterParameters()),
        ),
        Rule(name="shafts", needs="a whole section of the shaft with its cortex", apply=shafts, parameters={}),
        Rule(name="cortex", needs="a bone", apply=cortex, parameters={}),
        Rule(name="tendons", needs="a patella whose marrow differs from its cortex", apply=tendons, parameters={}),
        Rule(name="anatomy", needs="", apply=anatomy, parameters={}),
    )
}


def draw(labels: LABELS, seen: Seen, names: Iterable[str]) -> LABELS:
    """Go through the rules of these names, one after the other; ``labels`` (I, J, K) stay as they are."""
    for name in names:
        labels = RULES[name].apply(labels, seen)
    return labels


def rules_of(network: Network) -> list[dict[str, Any]]:
    """Names and parameters of the rules of ``network`` in their order, as sidecars keep them."""
    return [{"name": name, "parameters": dict(RULES[name].parameters)} for name in network.spec.rules_in_order]
