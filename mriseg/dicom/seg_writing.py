"""Label map -> DICOM SEG; needs the extra ``seg`` (highdicom)."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.filereader import read_partial
from pydicom.uid import generate_uid

from mriseg.dicom.headers import at_pixels
from mriseg.dicom.pixels import as_slices
from mriseg.dicom.segments import describe_segment, load_highdicom
from mriseg.dicom.sources import open_dicom, quiet
from mriseg.dicom.volumes import FoundVolume
from mriseg.errors import GeometryError, SegmentationError
from mriseg.files import replacing
from mriseg.types import Label, LabelMap

WANTED = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate"),
    *("StudyTime", "ReferringPhysicianName", "PositionReferenceIndicator", "Laterality"),
)


def write_seg(path: Path, label_map: LabelMap, source: FoundVolume, *, manual: bool = False) -> None:
    """Write a label map as a DICOM SEG object that belongs to the series it was made on.

    The object carries the patient and study of the series, so that an archive files it there: it is as identified as
    the series is.

    Parameters
    ----------
    path : Path
    label_map : LabelMap
        On the grid of ``source``.
    source : FoundVolume
    manual : bool
        Whether a reader drew or corrected the labels.

    Raises
    ------
    GeometryError
        Where the grids differ.
    SegmentationError
        Where the label map is empty.
    DicomError
        Where the series cannot be read again or highdicom is not installed.
    """
    hd = load_highdicom()
    if not label_map.grid.same_as(source.stack.grid, tolerance_mm=1e-2):
        raise GeometryError(f"{source.name}: the label map lies on another grid than the series; resample it first.")
    present = [label for label in Label if label_map.mask(label).any()]
    if not present:
        raise SegmentationError(f"{source.name}: the label map is empty; there is nothing to write.")
    slices = as_slices(label_map.data, source.stack)
    stacked = np.zeros_like(slices)
    for number, label in enumerate(present, start=1):
        stacked[slices == label] = number
    with quiet():
        segmentation = hd.seg.Segmentation(
            source_images=_source_images(source),
            pixel_array=stacked,
            segmentation_type="BINARY",
            segment_descriptions=[describe_segment(hd, n, label, manual) for n, label in enumerate(present, start=1)],
            series_instance_uid=generate_uid(),
            series_number=900,
            sop_instance_uid=generate_uid(),
            instance_number=1,
            manufacturer="mriseg",
            manufacturer_model_name="mriseg",
            software_versions=version("mriseg"),
            device_serial_number="none",
            omit_empty_frames=False,
            content_label="KNEE",
        )
        segmentation.SeriesDescription = "Knee bones and cartilage"
        with replacing(path) as partial:
            segmentation.save_as(partial)


def _source_images(source: FoundVolume) -> list[Dataset]:
    """Read the headers of a series again, one data set a file, in the order of slices.

    Anonymisers drop elements that the standard wants at least empty; highdicom insists on them.
    """
    result: list[Dataset] = []
    for path in source.files:
        with open_dicom(path) as file:
            dataset = read_partial(file, stop_when=at_pixels)
        for keyword in WANTED:
            if keyword not in dataset:
                setattr(dataset, keyword, "")
        result.append(dataset)
    return result
