"""What is known of DICOM images before their pixels are read."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from mriseg.dicom.filenames import shown
from mriseg.types import Side

Vector = tuple[float, ...]


class Plane(StrEnum):
    """Main plane of a stack; oblique where the slice normal is more than 30 degrees off every body axis."""

    SAGITTAL = "sagittal"
    CORONAL = "coronal"
    AXIAL = "axial"
    OBLIQUE = "oblique"
    UNKNOWN = "unknown"


class RefusalKind(StrEnum):
    """Why something was not turned into a volume; only the first three are no reason to worry."""

    NOT_DICOM = "not-dicom"
    NOT_MR = "not-mr"
    COPY = "copy"
    UNREADABLE = "unreadable"
    HOSTILE = "hostile"
    GEOMETRY = "geometry"

    @property
    def harmless(self) -> bool:
        """Whether a folder is expected to hold such files."""
        return self in (RefusalKind.NOT_DICOM, RefusalKind.NOT_MR, RefusalKind.COPY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Files that were not turned into a volume.

    Parameters
    ----------
    name : str
        The file, or the first file of a stack, relative to the scanned folder; a part that could identify a patient is
        a mark (:mod:`mriseg.dicom.filenames`).
    reason : str
        What was found and what was expected; carries no header value that could identify a patient.
    kind : RefusalKind
    files : tuple of str
        All files concerned, named alike.
    what, advice : str
        What a file is that was passed over, and what can be done with it; "" where it was not passed over.
    """

    name: str
    reason: str
    kind: RefusalKind
    files: tuple[str, ...] = ()
    what: str = ""
    advice: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesHeader:
    """Facts of one volume that decide which series is used and whether two visits match.

    Times are milliseconds, lengths mm, angles degrees; None or "" where the header says nothing. Texts hold known
    technical words alone (:func:`mriseg.dicom.naming.clean`). Fields that could identify a patient are kept out of
    ``repr`` and must not be written to any output.

    Parameters
    ----------
    description, protocol : str
        As they are in the header, to match rules against. Identifying; ``label`` is fit for output.
    spacing_mm : tuple of float, (3,)
        Along columns, rows and slices; the last one from slice positions wherever there are two slices.
    shape : tuple of int, (3,)
        Columns, rows, slices.
    laterality : Side or None
        Where the header names one side; ``laterality_tag`` is the attribute it came from.
    real_world : tuple of dict
        What pixel values mean in physical units (:mod:`mriseg.dicom.real_world`); never applied.
    patient_key : str
        Groups files of one patient; maps to a participant through the manifest only. Identifying.
    acquired : datetime or None
        Only for intervals between visits. Identifying.
    """

    series_uid: str
    study_uid: str
    series_number: int | None
    manufacturer: str
    model: str
    field_tesla: float | None
    coil: str
    software: str
    label: str
    sequence_name: str
    scanning_sequence: str
    sequence_variant: str
    scan_options: str
    acquisition_type: str
    repetition_ms: float | None
    echo_ms: float | None
    flip_deg: float | None
    inversion_ms: float | None
    echo_number: int | None
    bandwidth_hz: float | None
    image_type: tuple[str, ...]
    component: str
    plane: Plane
    spacing_mm: tuple[float, float, float]
    shape: tuple[int, int, int]
    body_part: str
    laterality: Side | None
    laterality_tag: str
    burned_in: bool
    lossy: bool
    real_world: tuple[dict[str, Any], ...]
    description: str = field(repr=False)
    protocol: str = field(repr=False)
    trial_subject: str = field(repr=False)
    trial_timepoint: str = field(repr=False)
    patient_key: str = field(repr=False)
    acquired: datetime | None = field(repr=False)

    @property
    def derived(self) -> bool:
        """Whether the images were computed from other images."""
        return self.image_type[:1] == ("DERIVED",)

    @property
    def localizer(self) -> bool:
        """Whether the images were made to plan other images."""
        return "LOCALIZER" in self.image_type


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One two-dimensional image: a classic file, or one frame of a multi-frame file.

    Positions and directions are DICOM's LPS mm. ``split`` holds the values that may tell apart images at one position
    (temporal position, acquisition, b-value...), by name. ``pixels_at`` is the byte offset of the pixel data,
    ``reference_uid`` names the frame of reference, ``raw`` is (byte offset, numpy dtype, bits stored) of
    uncompressed pixels that can be read without parsing the file again. ``damage`` says why the pixels cannot
    be complete, ``syntax`` is the transfer syntax that they were found to be in where
    the file says another one.
    """

    path: Path
    index: int
    sop_uid: str
    rows: int
    columns: int
    position: Vector | None
    orientation: Vector | None
    pixel_spacing: tuple[float, float] | None
    thickness_mm: float | None
    between_mm: float | None
    instance: int | None
    echo_number: int | None
    echo_ms: float | None
    image_type: tuple[str, ...]
    component: str
    split: tuple[tuple[str, str], ...]
    slope: float
    intercept: float
    philips_slope: float | None
    raw: tuple[int, str, int] | None
    pixels_at: int
    reference_uid: str
    in_acquisition: int | None
    damage: str = ""
    syntax: str = ""

    @property
    def label(self) -> str:
        """Name of the file as it may be shown, with the frame number where the file holds several."""
        name = shown(self.path.name)
        return name if self.index < 0 else f"{name} frame {self.index + 1}"
