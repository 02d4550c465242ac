"""Values of one frame: from the functional groups that the standard defines, never from whatever else is nested.

Sequences of manufacturers, references to other images and codes repeat the names of public attributes with other
meanings: a private Philips sequence holds an ImagePositionPatient that lies half a pixel off.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.dataset import Dataset

from mriseg.dicom.values import Get, Key, getter, number

# Macros of PS3.3 C.7.6.16 and C.8.13.5, and what is taken from each.
MACROS = {
    "PixelMeasuresSequence": ("PixelSpacing", "SliceThickness", "SpacingBetweenSlices"),
    "PlanePositionSequence": ("ImagePositionPatient",),
    "PlaneOrientationSequence": ("ImageOrientationPatient",),
    "FrameContentSequence": (
        "StackID",
        "InStackPositionNumber",
        "TemporalPositionIndex",
        "FrameAcquisitionNumber",
        "FrameAcquisitionDateTime",
    ),
    "FrameAnatomySequence": ("FrameLaterality",),
    "PixelValueTransformationSequence": ("RescaleSlope", "RescaleIntercept", "RescaleType"),
    "RealWorldValueMappingSequence": (),  # read by :mod:`mriseg.dicom.real_world`
    "TemporalPositionSequence": ("TemporalPositionTimeOffset",),
    "CardiacSynchronizationSequence": ("NominalCardiacTriggerDelayTime",),
    "ContrastBolusUsageSequence": ("ContrastBolusAgentNumber",),
    "MRImageFrameTypeSequence": ("FrameType", "ComplexImageComponent"),
    "MRTimingAndRelatedParametersSequence": ("RepetitionTime", "FlipAngle", "EchoTrainLength"),
    "MREchoSequence": ("EffectiveEchoTime",),
    "MRModifierSequence": ("InversionTimes",),
    "MRImagingModifierSequence": ("PixelBandwidth",),
    "MRReceiveCoilSequence": ("ReceiveCoilName",),
    "MRDiffusionSequence": ("DiffusionBValue",),
}
DIRECTION = ("DiffusionGradientDirectionSequence", "DiffusionGradientOrientation")  # nested once more
PHILIPS_SCALE_SLOPE = (0x2005, "Philips MR Imaging DD 001", 0x0E)
PHILIPS_FRAME = (0x2005, "Philips MR Imaging DD 005", 0x0F)  # a sequence that holds the scale slope of one frame
GE_COMPONENT = (0x0043, "GEMS_PARM_01", 0x2F)
CREATOR, UNSIGNED_SLOPE = 0x20050010, 0x2005100E


def functional_groups(shared: Dataset | None, frame: Dataset | None, top: Get) -> Get:
    """Return a function that looks a value up in one frame, then in what all frames share, then in the file.

    Of private values the scale slope of Philips alone is looked for.
    """
    groups = [item for item in (frame, shared) if item is not None]
    values: dict[object, object] = {}
    for item in reversed(groups):
        values.update(_public(item))
        slope = _philips_slope(item)
        if slope is not None:
            values[PHILIPS_SCALE_SLOPE] = slope

    def get(key: Key) -> object:
        value = values.get(key)
        return top(key) if value is None else value

    return get


def _public(item: Dataset) -> Iterator[tuple[str, object]]:
    """Yield keyword and value of all attributes that the macros of one item hold."""
    look = getter(item)
    for name, keywords in MACROS.items():
        macro = first_item(look(name))
        if macro is None:
            continue
        inner = getter(macro)
        yield from ((keyword, value) for keyword in keywords if (value := inner(keyword)) is not None)
        if name == "RealWorldValueMappingSequence":
            yield name, look(name)
        direction = first_item(inner(DIRECTION[0])) if name == "MRDiffusionSequence" else None
        if direction is not None:
            yield DIRECTION[1], getter(direction)(DIRECTION[1])


def first_item(sequence: object) -> Dataset | None:
    """Return the first item of a sequence, None where there is none."""
    try:
        return next((i for i in sequence if isinstance(i, Dataset)), None)  # type: ignore[attr-defined]
    except TypeError:
        return None


def _philips_slope(item: Dataset) -> float | None:
    """Scale slope of one frame, from the private sequence that Philips made for it."""
    inner = first_item(getter(item)(PHILIPS_FRAME))
    if inner is None:
        return None
    slope = getter(inner)(PHILIPS_SCALE_SLOPE)
    if slope is None and CREATOR not in inner:  # left out inside sequences by some exports
        slope = getter(inner)(UNSIGNED_SLOPE)
    return number(slope)
