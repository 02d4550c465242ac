"""Bones and cartilages of the knee as coded segments of DICOM SEG; highdicom is imported only when it is used."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from mriseg.dicom.values import text
from mriseg.errors import DicomError
from mriseg.structures import label_of_segment
from mriseg.types import Label

if TYPE_CHECKING:
    import highdicom

BONES = {
    Label.FEMUR: codes.SCT.Femur,
    Label.TIBIA: codes.SCT.Tibia,
    Label.PATELLA: codes.SCT.Patella,
}


def load_highdicom() -> Any:
    """Import highdicom, or raise a :class:`DicomError` that says how to install it."""
    try:
        import highdicom
        import highdicom.seg
    except ImportError as error:
        raise DicomError("DICOM SEG needs the package highdicom: pip install 'mriseg[seg]'.") from error
    logging.getLogger("highdicom").setLevel(logging.ERROR)
    return highdicom


def describe_segment(hd: Any, number: int, label: Label, manual: bool) -> highdicom.seg.SegmentDescription:
    """Describe one segment by codes of SNOMED CT."""
    bone = label in BONES
    structure = BONES[label] if bone else BONES[Label(label - 1)]
    algorithm = hd.AlgorithmIdentificationSequence(
        name="mriseg", family=codes.DCM.ArtificialIntelligence, version=version("mriseg")
    )
    return hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=label.name.replace("_", " ").capitalize(),
        segmented_property_category=codes.SCT.AnatomicalStructure if bone else codes.SCT.Tissue,
        segmented_property_type=structure if bone else codes.SCT.Cartilage,
        algorithm_type="MANUAL" if manual else "AUTOMATIC",
        algorithm_identification=None if manual else algorithm,
        anatomic_regions=None if bone else [structure],
    )


def labels_of(segmentation: Any, declared: Mapping[int | str, int], name: str) -> dict[int, int]:
    """Say which structure each segment is (0: not measured), by its codes, or else by its name or a declaration.

    Raises
    ------
    SegmentationError
        Where a segment of the file ``name`` is no known structure.
    """
    found = {}
    for segment in segmentation.SegmentSequence:
        number, coded = int(segment.SegmentNumber), _coded(segment)
        said = text(segment.get("SegmentLabel"))
        found[number] = coded if coded is not None else label_of_segment(said, number, declared, name)
    return found


def _coded(segment: Dataset) -> Label | None:
    kind = _code(segment, "SegmentedPropertyTypeCodeSequence")
    region = _code(segment, "AnatomicRegionSequence")
    for bone, code in BONES.items():
        if kind == code.value:
            return bone
        if kind == codes.SCT.Cartilage.value and region == code.value:
            return Label(bone + 1)
    return None


def _code(segment: Dataset, keyword: str) -> str:
    sequence = segment.get(keyword)
    return text(sequence[0].get("CodeValue")) if sequence else ""
