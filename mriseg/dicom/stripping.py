"""One image -> a copy that holds nothing but what :mod:`profile` lists, with dates shifted and identifiers replaced."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID

from mriseg.dicom.describe import patient_key
from mriseg.dicom.naming import clean
from mriseg.dicom.profile import CODE_WORDS, EMPTIED, KEPT, METHODS, PRIVATE, TERMS
from mriseg.dicom.pseudonyms import Pseudonyms
from mriseg.dicom.values import getter, numbers, text

NUMERIC = {"DS", "IS", "US", "SS", "UL", "SL", "FL", "FD", "SV", "UV"}
MAX_NESTING = 8


def strip(dataset: Dataset, names: Pseudonyms) -> FileDataset:
    """Return a copy of one image that holds nothing but what :mod:`profile` lists."""
    get = getter(dataset)
    key = _patient_key(dataset)
    result = FileDataset("", _kept(dataset, names, names.days(key), MAX_NESTING), preamble=bytes(128))
    result.set_original_encoding(*dataset.original_encoding)
    result.PatientName = result.PatientID = names.patient(key)
    for keyword in EMPTIED:
        setattr(result, keyword, "")
    result.PatientIdentityRemoved = "YES"
    result.DeidentificationMethod = [meaning[:64] for _, meaning in METHODS]
    result.DeidentificationMethodCodeSequence = [_code(value, meaning) for value, meaning in METHODS]
    result.LongitudinalTemporalInformationModified = "MODIFIED"
    _trim_pixels(result)
    result.file_meta = FileMetaDataset()
    result.file_meta.TransferSyntaxUID = UID(text(dataset.file_meta.get("TransferSyntaxUID")))
    result.file_meta.MediaStorageSOPClassUID = UID(text(get("SOPClassUID")))
    result.file_meta.MediaStorageSOPInstanceUID = UID(text(result.get("SOPInstanceUID")))
    return result


def _patient_key(dataset: Dataset) -> str:
    """Return what ties the visits of one patient together: the id, or else name and birth date, or else the study."""
    get = getter(dataset)
    return patient_key(get) or text(get("StudyInstanceUID"))


def _kept(dataset: Dataset, names: Pseudonyms, days: int, depth: int) -> Dataset:
    result = Dataset()
    for tag in dataset.keys():  # noqa: SIM118
        try:
            element = dataset[tag]
            kept = _private(element) if element.tag.is_private else _element(element, names, days, depth)
        except Exception:
            continue
        if kept is not None:
            result.add(kept)
            if element.tag.is_private:
                creator = element.private_creator or ""
                result.add_new((element.tag.group, element.tag.element >> 8), "LO", creator)
    return result


def _element(element: DataElement, names: Pseudonyms, days: int, depth: int) -> DataElement | None:
    """Return the element as it may stay, or None."""
    if element.keyword not in KEPT or element.VR not in dictionary_VR(element.tag).split(" or "):
        return None
    if element.VR == "SQ":
        items = [_kept(item, names, days, depth - 1) for item in element.value] if depth else []
        return DataElement(element.tag, "SQ", items) if items else None
    if element.keyword == "PixelData":
        return element
    value = _value(element, names, days)
    return None if value is None else DataElement(element.tag, element.VR, value)


def _value(element: DataElement, names: Pseudonyms, days: int) -> object:
    """Return a checked, shifted or remapped value, or None where it is not what its type promises."""
    parts = [text(part) for part in (element.value if element.VM > 1 else [element.value])]
    kept: object = None
    match element.VR:
        case "UI":
            kept = [names.uid(part) for part in parts]
        case "DA" | "DT":
            kept = _shifted(parts[0], days)
        case "TM" if re.fullmatch(r"\d{2,6}(\.\d{1,6})?", parts[0]):
            kept = parts[0]
        case "AT":
            kept = element.value
        case vr if vr in NUMERIC and numbers(element.value):
            kept = element.value
        case "CS" | "LO" | "SH":
            words = [_words(element.keyword, part) for part in parts]
            kept = words if any(words) else None
    return kept


def _words(keyword: str, value: str) -> str:
    """Keep the known words of one value."""
    if keyword in TERMS:
        return value if value in TERMS[keyword] else ""
    if value.lower() in CODE_WORDS or value == clean(value):
        return value
    return " ".join(word for word in clean(value).split() if not word.startswith("#"))


def _shifted(value: str, days: int) -> str | None:
    """Move a date or date-time back; the time of day stays. None where it is no date."""
    found = re.fullmatch(r"(\d{8})(\d{0,6}(\.\d{1,6})?)([+-]\d{4})?", value)
    if not found:
        return None
    try:
        return f"{datetime.strptime(found[1], '%Y%m%d') - timedelta(days=days):%Y%m%d}{found[2]}"
    except (ValueError, OverflowError):
        return None


def _private(element: DataElement) -> DataElement | None:
    """Return one of the few private elements that are needed, where it is a number."""
    vr = PRIVATE.get((element.private_creator or "", element.tag.group, element.tag.element & 0xFF))
    return element if vr is not None and vr == element.VR and numbers(element.value) else None


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
    return item


def _trim_pixels(dataset: Dataset) -> None:
    """Cut what lies behind the last pixel of uncompressed images."""
    if dataset["PixelData"].is_undefined_length:
        return
    count = int(dataset.get("NumberOfFrames") or 1)
    needed = dataset.Rows * dataset.Columns * count * dataset.BitsAllocated // 8
    dataset["PixelData"].value = dataset.PixelData[: needed + needed % 2]
