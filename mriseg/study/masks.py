"""Label maps of readers: one way to read them and to check them, for studies and for single commands."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mriseg.anatomy import SideOpinion, examine
from mriseg.dicom import read_seg
from mriseg.errors import MrisegError, SegmentationError
from mriseg.itk_files import read_itk
from mriseg.named_segments import label_map_of
from mriseg.nifti import read_label_map
from mriseg.study.mask_files import ENDINGS, ending_of
from mriseg.types import LabelMap, Side


def read_mask(path: Path, declared: Mapping[int | str, int] | None = None) -> LabelMap:
    """Read a label map: NIfTI, NRRD, 3D Slicer segmentation, MetaImage or DICOM SEG, by the ending of its name.

    Parameters
    ----------
    path : Path
    declared : mapping, optional
        Value, or name of a segment, -> label or 0: ``[segment.labels]`` of ``study.toml``.

    Raises
    ------
    SegmentationError
        Where the ending is no known one, or the values or segments are no known structures.
    GeometryError, DicomError
        Where the file is damaged or does not say where it lies.
    """
    ending = ending_of(path)
    if not ending:
        raise SegmentationError(f"{path.name}: its ending is not read. Save it as one of {', '.join(ENDINGS)}.")
    if ending == ".dcm":
        return read_seg(path, declared=declared)
    if ending in {".nii.gz", ".nii"}:
        numbers = {value: label for value, label in (declared or {}).items() if isinstance(value, int)}
        return read_label_map(path, numbers)
    return label_map_of(read_itk(path), path.name, declared)


def refuse_contradictions(label_map: LabelMap, side: Side, name: str) -> SideOpinion:
    """Refuse a label map that can be no knee; return which knee its bones look like.

    Raises
    ------
    SegmentationError
        With everything in it that contradicts anatomy.
    """
    seen = examine(label_map, side)
    if seen.contradictions:
        raise SegmentationError(
            f"{name}: the label map contradicts anatomy: {'; '.join(seen.contradictions)}. Mend the file, or say what "
            "its values mean in [segment.labels] of study.toml."
        )
    return seen.side


def read_checked(path: Path, side: Side) -> tuple[LabelMap, str]:
    """Read a label map for a single command, and what is to be said about its side (empty where nothing is).

    Raises
    ------
    MrisegError
        Where the file cannot be read, contradicts anatomy, or is surely the other knee.
    """
    label_map = read_mask(path)
    shown = refuse_contradictions(label_map, side, path.name)
    said = f"{path.name}: given as side {side}, its shape says: {shown}."
    if shown.contradicts(side):
        raise MrisegError(f"{said} Correct the side, or the orientation in the file.")
    return label_map, f"{said} Look at it before its figures are used." if shown.doubts(side) else ""
