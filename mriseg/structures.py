"""What the values and names in a file of labels stand for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from mriseg.errors import SegmentationError
from mriseg.types import Array, Bone, Label, distinct

LESIONS_ARE_BONE: Mapping[int, Label] = {7: Label.FEMUR, 8: Label.TIBIA, 9: Label.PATELLA}
MOST_VALUES = 256  # whole-body atlases have a hundred; an image has thousands
LEAST_ENCLOSED = 0.5  # of the surface of a lesion lies against its own bone; the rest against cartilage or the image
WORDS_OF = {
    Bone.FEMUR: {"femur", "femoral", "femoris"},
    Bone.TIBIA: {"tibia", "tibial", "tibiae"},
    Bone.PATELLA: {"patella", "patellar", "patellae"},
}
CARTILAGE_WORDS = {"cartilage", "cart", "cartilago"}
NOUNS = {"femur", "femoris", "tibia", "tibiae", "patella", "patellae", "bone"}
# Words that leave a name what it is; any other one makes it another structure.
PLAIN_WORDS = {"of", "the", "right", "left", "r", "l", "rt", "lt", "medial", "lateral", "distal", "proximal", "knee"}
PLAIN_WORDS |= {"articular", "hyaline", "segment", "segmentation", "label", "mask", "bone", "joint"}


def structure_named(name: str) -> Label | None:
    """Say which bone or cartilage a segment is by its English name; None for any other structure.

    Examples
    --------
    >>> structure_named("Medial tibial cartilage").name
    'TIBIAL_CARTILAGE'
    >>> structure_named("femur_R").name
    'FEMUR'
    >>> structure_named("Patellar tendon") is None
    True
    """
    words = set(re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", name).lower()))
    bones = [bone for bone, known in WORDS_OF.items() if words & known]
    if len(bones) != 1 or words - WORDS_OF[bones[0]] - CARTILAGE_WORDS - PLAIN_WORDS:
        return None
    if words & CARTILAGE_WORDS:
        return bones[0].cartilage
    return bones[0].label if words & NOUNS else None


def says_nothing(name: str) -> bool:
    """Whether a program gave this name by itself: ``Segment_1``, ``Label 3``, a number or nothing."""
    return re.fullmatch(r"(segment|label|mask|region)?[ _-]*\d*", name.strip().lower()) is not None


def labels_of(data: Array, name: str, values: Mapping[int, int] | None = None) -> npt.NDArray[np.uint8]:
    """Turn the values of a file into labels.

    Parameters
    ----------
    data : array, (I, J, K)
        As the file holds it.
    name : str
        File name for error messages.
    values : mapping, optional
        Value in the file -> :class:`Label` value or 0, as declared in ``study.toml``. A value outside of it must be a
        label already, or 7, 8, 9 inside femur, tibia or patella: a lesion of that bone, and counted as bone.

    Raises
    ------
    SegmentationError
        Where the file holds fractions or values that no label is known for.
    """
    whole = _whole_numbers(data, name)
    declared = dict(values or {})
    found = distinct(whole)
    lesions = {v: LESIONS_ARE_BONE[v] for v in found if v in LESIONS_ARE_BONE and v not in declared}
    unknown = [v for v in found if v not in declared and v not in {0, *Label, *lesions}]
    if len(found) > MOST_VALUES:
        raise SegmentationError(
            f"{name}: found {len(found)} different values from {found[0]} to {found[-1]}: an image and no label map."
        )
    if unknown:
        raise SegmentationError(
            f"{name}: found the label values {unknown}, expected 0 to {max(Label)}. {_how_to_map(unknown)}"
        )
    label_of = np.zeros(found[-1] - found[0] + 1, dtype=np.uint8)
    for value in found:
        label_of[value - found[0]] = declared.get(value, lesions.get(value, value))
    result: npt.NDArray[np.uint8] = label_of[whole - found[0]] if found[0] else label_of[whole]
    _refuse_lesions_outside(whole, result, lesions, name)
    return result


def _whole_numbers(data: Array, name: str) -> Array:
    """Return ``data`` as integers; an error where it holds fractions or NaN."""
    if data.dtype.kind in "iub":
        return data
    if data.dtype.kind != "f":
        raise SegmentationError(f"{name}: a label map needs whole numbers, found colours or complex numbers.")
    whole = np.rint(data)
    if not np.isfinite(data).all() or np.abs(data - whole).max(initial=0) > 1e-3:
        raise SegmentationError(f"{name}: a label map needs whole numbers, found fractions or NaN.")
    if np.abs(whole).max(initial=0) > np.iinfo(np.int32).max:
        raise SegmentationError(f"{name}: found values beyond {np.iinfo(np.int32).max}; a label map has small numbers.")
    return whole.astype(np.int64)


def _refuse_lesions_outside(whole: Array, labels: Array, lesions: Mapping[int, Label], name: str) -> None:
    """Raise where an undeclared 7, 8 or 9 does not lie inside its bone: it is another structure."""
    outside = [v for v, bone in lesions.items() if enclosed(whole == v, labels == bone) < LEAST_ENCLOSED]
    if outside:
        meant = ", ".join(f"{v} does not lie inside the {lesions[v].name.lower()}" for v in outside)
        raise SegmentationError(
            f"{name}: found the label values {outside}, which mean lesions inside a bone, but {meant}. "
            f"{_how_to_map(outside)}"
        )


def enclosed(part: npt.NDArray[np.bool_], whole: npt.NDArray[np.bool_]) -> float:
    """Share of the voxel faces of ``part`` (I, J, K) that lie against the rest of ``whole``; 1 for an empty part.

    ``whole`` holds ``part``. Faces at the edge of the image do not count.
    """
    inside = outside = 0
    for axis in range(part.ndim):
        p, w = np.moveaxis(part, axis, 0), np.moveaxis(whole, axis, 0)
        for one, other, rest in ((p[:-1], p[1:], w[1:]), (p[1:], p[:-1], w[:-1])):
            face = one & ~other
            inside += int(np.count_nonzero(face & rest))
            outside += int(np.count_nonzero(face & ~rest))
    return inside / (inside + outside) if inside + outside else 1.0


def _how_to_map(values: Iterable[int]) -> str:
    example = ", ".join(f"{v} = 0" for v in values)
    return f"Say what they are in [segment.labels] of study.toml ({example} where they are not measured)."


def label_of_segment(segment: str, value: int, declared: Mapping[int | str, int], name: str) -> int:
    """Label value of a named segment, 0 where it is not measured.

    Parameters
    ----------
    segment : str
        Its name.
    value : int
        Its value or number in the file.
    declared : mapping
        Value or name -> label, from ``study.toml``; upper and lower case are the same.
    name : str
        File name for error messages.

    Raises
    ------
    SegmentationError
        Where nothing says which structure it is, or name and declaration contradict each other.
    """
    by_name = {key.casefold(): label for key, label in declared.items() if isinstance(key, str)}
    if segment.casefold() in by_name:
        return by_name[segment.casefold()]
    known, by_value = structure_named(segment), declared.get(value)
    if known is not None and by_value is not None and known != by_value:
        raise SegmentationError(
            f"{name}: the segment {segment!r} has the value {value}, which [segment.labels] of study.toml calls "
            f"{Label(by_value).name.lower() if by_value else 'background'}. Correct one of the two."
        )
    found = known if known is not None else by_value
    if found is None and says_nothing(segment) and value in {*Label}:
        found = value
    if found is None:
        raise SegmentationError(
            f"{name}: segments [{value}] ({segment!r}) are no known bone or cartilage of the knee. Say so in "
            f'[segment.labels] of study.toml ("{segment}" = 0 where it is not measured).'
        )
    return int(found)
