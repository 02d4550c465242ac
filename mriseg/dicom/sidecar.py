"""The JSON that lies beside a converted volume: what it is and where it came from, without identity."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from mriseg.dicom.naming import public_uid
from mriseg.dicom.volumes import FoundVolume


def sidecar(found: FoundVolume, **extra: Any) -> dict[str, Any]:
    """Return JSON-ready facts of a volume; no name, date, time, place or patient id, no free text.

    UIDs are written as :func:`~mriseg.dicom.naming.public_uid` gives them.

    Parameters
    ----------
    found : FoundVolume
    **extra
        Further JSON-ready entries, which replace entries of the same name.
    """
    header = found.header
    first = found.stack.frames[0]
    return {
        "series_uid": public_uid(found.series_uid),
        "study_uid": public_uid(header.study_uid),
        "sop_uids": [public_uid(u) for u in found.sop_uids],
        "series_number": header.series_number,
        "description": header.label,
        "manufacturer": header.manufacturer,
        "model": header.model,
        "field_tesla": header.field_tesla,
        "software": header.software,
        "sequence_name": header.sequence_name,
        "scanning_sequence": header.scanning_sequence,
        "sequence_variant": header.sequence_variant,
        "acquisition_type": header.acquisition_type,
        "repetition_ms": header.repetition_ms,
        "echo_ms": header.echo_ms,
        "flip_deg": header.flip_deg,
        "inversion_ms": header.inversion_ms,
        "image_type": list(header.image_type),
        "component": header.component,
        "laterality": header.laterality,
        "laterality_tag": header.laterality_tag,
        "plane": header.plane,
        "placed": found.placed,
        "shape": list(header.shape),
        "spacing_mm": [round(s, 6) for s in header.spacing_mm],
        "rescale": {"slope": first.slope, "intercept": first.intercept, "philips_scale_slope": first.philips_slope},
        "real_world_value_mapping": list(header.real_world),
        "lossy": header.lossy,
        "burned_in_text": header.burned_in,
        "notes": list(found.notes),
        "mriseg": version("mriseg"),
        **extra,
    }
