"""Segments with names, as 3D Slicer writes them into a ``.seg.nrrd`` file: layers, label values, names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mriseg.errors import SegmentationError
from mriseg.itk_files import ItkFile
from mriseg.structures import label_of_segment, labels_of, says_nothing
from mriseg.types import Array, Label, LabelMap, distinct


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One segment: its name, the value of its voxels, and the layer that holds them."""

    name: str
    value: int
    layer: int


def label_map_of(file: ItkFile, name: str, declared: Mapping[int | str, int] | None = None) -> LabelMap:
    """Turn a NRRD or MetaImage file into a label map.

    Where its header names segments, their names say what they are; otherwise the values do, as in NIfTI.

    Parameters
    ----------
    file : ItkFile
    name : str
        File name for error messages.
    declared : mapping, optional
        Value or name of a segment -> :class:`Label` value or 0, from ``study.toml``.

    Raises
    ------
    SegmentationError
        Where a segment is no known structure, a voxel belongs to two structures or to no segment, or, without names,
        as :func:`mriseg.structures.labels_of`.
    """
    segments = _segments(file.fields, name)
    if all(says_nothing(s.name) for s in segments):
        if len(file.layers) > 1:
            raise SegmentationError(
                f"{name}: holds {len(file.layers)} layers of segments without names. Name the segments (Femur, Femoral "
                "cartilage, ...), or save one label map."
            )
        numbers = {k: v for k, v in (declared or {}).items() if isinstance(k, int)}
        return LabelMap(data=labels_of(file.layers[0], name, numbers), grid=file.grid)
    return LabelMap(data=_by_name(file.layers, segments, name, declared or {}), grid=file.grid)


def _segments(fields: Mapping[str, str], name: str) -> list[Segment]:
    found = []
    for key in fields:
        head, _, tail = key.partition("_")
        if tail == "Name" and head.startswith("Segment"):
            try:
                value, layer = int(fields[f"{head}_LabelValue"]), int(fields.get(f"{head}_Layer", "0"))
            except (KeyError, ValueError) as error:
                raise SegmentationError(f"{name}: {head} of its header has no label value. Save it anew.") from error
            found.append(Segment(name=fields[key].strip(), value=value, layer=layer))
    return found


def _by_name(
    layers: Sequence[Array], segments: Sequence[Segment], name: str, declared: Mapping[int | str, int]
) -> Array:
    """Labels (I, J, K) of segments by their names."""
    result = np.zeros(layers[0].shape, dtype=np.uint8)
    for number, layer in enumerate(layers):
        here = {s.value: s for s in segments if s.layer == number}
        strange = sorted(set(distinct(layer)) - {0, *here})
        if strange:
            raise SegmentationError(f"{name}: the values {strange} of layer {number} belong to no segment.")
        for segment in here.values():
            label = label_of_segment(segment.name, segment.value, declared, name)
            part = layer == segment.value
            taken = distinct(result[part]) if label else []
            if other := [v for v in taken if v not in {0, label}]:
                raise SegmentationError(
                    f"{name}: segments overlap: voxels of {segment.name} are {Label(other[0]).name.lower()} too. "
                    "Expected one structure a voxel."
                )
            if label:
                result[part] = label
    return result
