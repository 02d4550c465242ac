"""Label maps to DICOM SEG and back; needs the extra ``seg`` (highdicom), imported only when it is used."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.filereader import read_partial
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid

from mriseg.dicom.headers import at_pixels
from mriseg.dicom.pixels import as_slices
from mriseg.dicom.scan import FoundVolume
from mriseg.dicom.sources import open_dicom, quiet
from mriseg.dicom.values import text
from mriseg.errors import DicomError, GeometryError, SegmentationError
from mriseg.files import replacing
from mriseg.geometry import RAS_LPS
from mriseg.types import Array, FloatArray, Grid, Label, LabelMap

if TYPE_CHECKING:
    import highdicom

BONES = {
    Label.FEMUR: codes.SCT.Femur,
    Label.TIBIA: codes.SCT.Tibia,
    Label.PATELLA: codes.SCT.Patella,
}
WANTED = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate"),
    *("StudyTime", "ReferringPhysicianName", "PositionReferenceIndicator", "Laterality"),
)
ON_GRID = 0.05  # largest distance of a segment's voxel from a voxel of the grid, in voxels


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
    hd = _highdicom()
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
            segment_descriptions=[_description(hd, n, label, manual) for n, label in enumerate(present, start=1)],
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


def read_seg(path: Path, grid: Grid | None = None, labels: Mapping[int, Label] | None = None) -> LabelMap:
    """Read a DICOM SEG object.

    Parameters
    ----------
    path : Path
    grid : Grid, optional
        Where the label map shall lie, as the series does; every voxel of the object must meet one of its voxels. None
        gives the slices that the object holds.
    labels : mapping, optional
        Segment number -> label. None goes by the codes and names of the segments.

    Raises
    ------
    SegmentationError
        Where segments overlap, or a segment is no known structure.
    GeometryError
        Where the object does not lie on ``grid``.
    DicomError
        Where the file is no DICOM SEG or highdicom is not installed.
    """
    hd = _highdicom()
    with quiet():
        try:
            segmentation = hd.seg.segread(path)
            known = labels if labels is not None else _labels(segmentation)
            volume = segmentation.get_volume(combine_segments=True, segment_numbers=sorted(known), dtype=np.uint8)
        except SegmentationError:
            raise
        except RuntimeError as error:
            raise SegmentationError(f"{path.name}: segments overlap; expected one label a voxel.") from error
        except Exception as error:  # damaged objects raise many types; their text quotes header values
            raise DicomError(f"{path.name}: no readable DICOM SEG ({type(error).__name__}).") from error
    data = np.zeros(volume.array.shape, dtype=np.uint8)
    for number, label in known.items():
        data[volume.array == number] = label
    affine = RAS_LPS @ np.asarray(volume.affine, dtype=np.float64)
    if grid is None:
        return LabelMap(data=data, grid=Grid(shape=data.shape, affine=affine))
    return LabelMap(data=_placed(data, affine, grid, path.name), grid=grid)


def _highdicom() -> Any:
    try:
        import highdicom
        import highdicom.seg
    except ImportError as error:
        raise DicomError("DICOM SEG needs the package highdicom: pip install 'mriseg[seg]'.") from error
    logging.getLogger("highdicom").setLevel(logging.ERROR)
    return highdicom


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


def _description(hd: Any, number: int, label: Label, manual: bool) -> highdicom.seg.SegmentDescription:
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


def _labels(segmentation: Any) -> dict[int, Label]:
    """Say which structure each segment is, by its codes, or else by its name."""
    found = {int(s.SegmentNumber): _label(s) for s in segmentation.SegmentSequence}
    unknown = [number for number, label in found.items() if label is None]
    if unknown:
        raise SegmentationError(
            f"segments {unknown} are no known bone or cartilage of the knee; say which label they have."
        )
    return {number: label for number, label in found.items() if label is not None}


def _label(segment: Dataset) -> Label | None:
    kind = _code(segment, "SegmentedPropertyTypeCodeSequence")
    region = _code(segment, "AnatomicRegionSequence")
    for bone, code in BONES.items():
        if kind == code.value:
            return bone
        if kind == codes.SCT.Cartilage.value and region == code.value:
            return Label(bone + 1)
    name = text(segment.get("SegmentLabel")).upper().replace(" ", "_").replace("-", "_")
    return Label.__members__.get(name)


def _code(segment: Dataset, keyword: str) -> str:
    sequence = segment.get(keyword)
    return text(sequence[0].get("CodeValue")) if sequence else ""


def _placed(data: Array, affine: FloatArray, grid: Grid, name: str) -> Array:
    """Put labels on a grid whose voxels they meet, turning axes where needed; nothing is resampled."""
    to_grid = np.linalg.inv(grid.affine) @ affine
    turn = np.rint(to_grid[:3, :3])
    corner = to_grid[:3, 3]
    far = to_grid[:3, :3] @ (np.array(data.shape) - 1) + corner
    ends = np.array([corner, far])
    exact = turn @ (np.array(data.shape) - 1) + np.rint(corner)
    regular = (np.abs(turn).sum(axis=0) == 1).all() and (np.abs(turn).sum(axis=1) == 1).all()
    if not regular or np.abs(ends - [np.rint(corner), exact]).max() > ON_GRID:
        raise GeometryError(f"{name}: the segments do not lie on the voxels of the series; resample them first.")
    low, high = np.rint(ends.min(axis=0)).astype(int), np.rint(ends.max(axis=0)).astype(int)
    if (low < 0).any() or (high >= grid.shape).any():
        raise GeometryError(f"{name}: the segments reach beyond the series.")
    axes = np.abs(turn).argmax(axis=1)
    signs = turn[np.arange(3), axes].astype(int)
    turned = data.transpose(axes)[tuple(slice(None, None, sign) for sign in signs)]
    result = np.zeros(grid.shape, dtype=np.uint8)
    result[tuple(slice(a, b + 1) for a, b in zip(low, high, strict=True))] = turned
    return result
