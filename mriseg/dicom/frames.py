"""Header values of one file -> what describes each of its frames."""

from __future__ import annotations

from pathlib import Path

from mriseg.dicom.groups import GE_COMPONENT, PHILIPS_SCALE_SLOPE, first_item, functional_groups
from mriseg.dicom.records import Frame
from mriseg.dicom.values import Get, number, numbers, text, texts, whole
from mriseg.errors import DicomError

COMPONENTS = {
    "M": "magnitude", "MAGNITUDE": "magnitude", "P": "phase", "PHASE": "phase", "PHASE MAP": "phase",
    "R": "real", "REAL": "real", "I": "imaginary", "IMAGINARY": "imaginary", "0": "magnitude", "1": "phase",
    "2": "real", "3": "imaginary",
}  # fmt: skip
# What may tell apart images at one position, in the order in which it is tried.
SPLITTERS = (
    ("stack", ("StackID",)),
    ("time", ("TemporalPositionIndex", "TemporalPositionIdentifier")),
    ("acquisition", ("FrameAcquisitionNumber", "AcquisitionNumber")),
    ("inversion", ("InversionTimes", "InversionTime")),
    ("flip", ("FlipAngle",)),
    ("trigger", ("NominalCardiacTriggerDelayTime", "TriggerTime")),
    ("b-value", ("DiffusionBValue",)),
    ("gradient", ("DiffusionGradientOrientation",)),
    ("contrast", ("ContrastBolusAgentNumber", "ContrastBolusAgent")),
)  # fmt: skip


def per_frame(top: Get, count: int) -> list[Get]:
    """Return one look-up function a frame."""
    shared = first_item(top("SharedFunctionalGroupsSequence"))
    items = list(top("PerFrameFunctionalGroupsSequence") or [])
    if not items and shared is None:
        return [top] * count
    if items and len(items) != count:
        raise DicomError(f"{count} frames but {len(items)} frame descriptions.")
    return [functional_groups(shared, item, top) for item in items or [None] * count]


def first_frame(top: Get) -> Get:
    """Return the look-up function of the first frame; that of the file where it holds one image."""
    shared = first_item(top("SharedFunctionalGroupsSequence"))
    first = first_item(top("PerFrameFunctionalGroupsSequence"))
    return functional_groups(shared, first, top) if shared is not None or first is not None else top


def read_frame(path: Path, get: Get) -> Frame:
    """Read what describes one frame; size and place in the file are filled in by the caller."""
    image_type = texts(get("FrameType")) or texts(get("ImageType"))
    spacing = numbers(get("PixelSpacing"))
    echo = number(get("EffectiveEchoTime"))
    slope, intercept = number(get("RescaleSlope")), number(get("RescaleIntercept"))
    return Frame(
        path=path,
        index=-1,
        sop_uid=text(get("SOPInstanceUID")),
        rows=0,
        columns=0,
        position=_vector(get("ImagePositionPatient"), 3),
        orientation=_vector(get("ImageOrientationPatient"), 6),
        pixel_spacing=(spacing[0], spacing[1]) if spacing and len(spacing) == 2 and min(spacing) > 0 else None,
        thickness_mm=number(get("SliceThickness")),
        between_mm=number(get("SpacingBetweenSlices")),
        instance=whole(get("InstanceNumber")),
        echo_number=whole(get("EchoNumbers")),
        echo_ms=number(get("EchoTime")) if echo is None else echo,
        image_type=image_type,
        component=_component(image_type, get),
        split=tuple((name, next((t for t in (text(get(k)) for k in keys) if t), "")) for name, keys in SPLITTERS),
        slope=slope or 1.0,
        intercept=intercept or 0.0,
        philips_slope=number(get(PHILIPS_SCALE_SLOPE)) or None,
        raw=None,
        pixels_at=0,
        reference_uid=text(get("FrameOfReferenceUID")),
        in_acquisition=whole(get("ImagesInAcquisition")),
    )


def _vector(value: object, length: int) -> tuple[float, ...] | None:
    found = numbers(value)
    return found if found and len(found) == length else None


def _component(image_type: tuple[str, ...], get: Get) -> str:
    """Name the part of the complex signal that an image shows, "" where the header does not say."""
    named = (text(get("ComplexImageComponent")).upper(), *image_type[2:], text(get(GE_COMPONENT)))
    return next((COMPONENTS[n] for n in named if n in COMPONENTS), "")
