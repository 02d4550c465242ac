"""Header values of one volume -> :class:`SeriesHeader`."""

from __future__ import annotations

from datetime import datetime

from mriseg.dicom.naming import clean, describe
from mriseg.dicom.real_world import real_world_mapping
from mriseg.dicom.records import SeriesHeader
from mriseg.dicom.stacks import Stack
from mriseg.dicom.values import Get, moment, number, text, whole
from mriseg.types import Side

LATERALITY_TAGS = ("FrameLaterality", "ImageLaterality", "Laterality")


def series_header(stack: Stack, get: Get) -> SeriesHeader:
    """Collect what is known of a volume; ``get`` looks values up in its first file."""
    first = stack.frames[0]
    columns_mm, rows_mm, slices_mm = stack.spacing_mm
    side, tag = _laterality(get)
    return SeriesHeader(
        series_uid=text(get("SeriesInstanceUID")),
        study_uid=text(get("StudyInstanceUID")),
        series_number=whole(get("SeriesNumber")),
        manufacturer=clean(text(get("Manufacturer"))),
        model=clean(text(get("ManufacturerModelName"))),
        field_tesla=number(get("MagneticFieldStrength")),
        coil=clean(text(get("ReceiveCoilName"))),
        software=clean(text(get("SoftwareVersions"))),
        label=describe(text(get("SeriesDescription"))),
        description=text(get("SeriesDescription")),
        protocol=text(get("ProtocolName")),
        sequence_name=clean(text(get("SequenceName")) or text(get("PulseSequenceName"))),
        scanning_sequence=clean(text(get("ScanningSequence")) or text(get("EchoPulseSequence"))),
        sequence_variant=clean(text(get("SequenceVariant"))),
        scan_options=clean(text(get("ScanOptions"))),
        acquisition_type=clean(text(get("MRAcquisitionType"))),
        repetition_ms=number(get("RepetitionTime")),
        echo_ms=first.echo_ms,
        flip_deg=number(get("FlipAngle")),
        inversion_ms=number(get("InversionTimes")) or number(get("InversionTime")),
        echo_number=first.echo_number,
        bandwidth_hz=number(get("PixelBandwidth")),
        image_type=tuple(map(clean, first.image_type)),
        component=first.component,
        plane=stack.plane,
        spacing_mm=(columns_mm, rows_mm, slices_mm),
        shape=(first.columns, first.rows, len(stack.frames)),
        body_part=clean(text(get("BodyPartExamined"))),
        laterality=side,
        laterality_tag=tag,
        burned_in=text(get("BurnedInAnnotation")).upper() == "YES",
        lossy=text(get("LossyImageCompression")) == "01",
        real_world=real_world_mapping(get),
        trial_subject=text(get("ClinicalTrialSubjectID")),
        trial_timepoint=text(get("ClinicalTrialTimePointID")),
        patient_key=patient_key(get),
        acquired=_acquired(get),
    )


def patient_key(get: Get) -> str:
    """Return what ties the visits of one patient together: the id, or else name and birth date; "" without either."""
    name = text(get("PatientName"))
    return text(get("PatientID")) or (name + text(get("PatientBirthDate")) if name else "")


def _laterality(get: Get) -> tuple[Side | None, str]:
    """Return the side that all tags with a side agree on, and the tag; a contradiction, or both, names no side."""
    said = {tag: text(get(tag)).upper() for tag in LATERALITY_TAGS}
    both = next((tag for tag, value in said.items() if value == "B"), None)
    if both:
        return None, f"{both} says both"
    sides = {tag: Side(value) for tag, value in said.items() if value in ("L", "R")}
    if not sides:
        return None, ""
    if len(set(sides.values())) > 1:
        return None, "contradiction: " + ", ".join(f"{tag} {side}" for tag, side in sides.items())
    return next((side, tag) for tag, side in sides.items())


def _acquired(get: Get) -> datetime | None:
    pairs = (
        ("AcquisitionDateTime", ""),
        ("FrameAcquisitionDateTime", ""),
        ("AcquisitionDate", "AcquisitionTime"),
        ("SeriesDate", "SeriesTime"),
        ("StudyDate", "StudyTime"),
    )
    found = (moment(get(date), get(time) if time else None) for date, time in pairs if text(get(date)))
    return next((m for m in found if m), None)
