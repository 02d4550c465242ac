"""Copy MR images without what identifies a patient (DICOM PS3.15 Annex E; the list is in :mod:`profile`)."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from pydicom import dcmread
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID

from mriseg.dicom.headers import FileHeader, read_header
from mriseg.dicom.naming import clean
from mriseg.dicom.profile import CODE_WORDS, EMPTIED, KEPT, METHODS, PRIVATE, TERMS
from mriseg.dicom.records import Refusal
from mriseg.dicom.scan import find_files, refuse
from mriseg.dicom.sources import open_dicom, quiet
from mriseg.dicom.values import getter, numbers, text
from mriseg.errors import DicomError
from mriseg.files import replacing

WELL_KNOWN = "1.2.840.10008."
NUMERIC = {"DS", "IS", "US", "SS", "UL", "SL", "FL", "FD", "SV", "UV"}
MAX_NESTING = 8
SHIFT_DAYS = (365, 3650)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pseudonyms:
    """Consistent replacements that only the holder of ``secret`` can link to the originals."""

    secret: bytes

    def __post_init__(self) -> None:
        if len(self.secret) < 16:
            raise DicomError("the secret for pseudonyms is too short; expected at least 16 bytes.")

    def uid(self, original: str) -> str:
        """Replace an instance UID; identifiers that the standard itself defines stay."""
        if original.startswith(WELL_KNOWN):
            return original
        return f"2.25.{int.from_bytes(self._digest('uid', original)[:16], 'big')}"

    def patient(self, key: str) -> str:
        """Return the pseudonym of a patient."""
        return "P" + self._digest("patient", key).hex()[:12].upper()

    def days(self, key: str) -> int:
        """Number of days to go back for all dates of one patient, so that intervals survive."""
        low, high = SHIFT_DAYS
        return low + int.from_bytes(self._digest("days", key)[:8], "big") % (high - low)

    def _digest(self, purpose: str, value: str) -> bytes:
        return hmac.new(self.secret, f"{purpose}\0{value}".encode(), hashlib.sha256).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Deidentified:
    """Files written, files left out, and warnings for a person to look at pixels."""

    written: tuple[Path, ...]
    refused: tuple[Refusal, ...]
    warnings: tuple[str, ...]


def deidentify(root: Path, out: Path, names: Pseudonyms) -> Deidentified:
    """Copy every MR image below ``root`` to ``out`` without identity.

    Folders and files are named by pseudonyms. What is no MR image (reports, documents, screen shots) is left out: it
    may hold identity in its content.

    Raises
    ------
    DicomError
        Where ``out`` lies inside ``root``.
    """
    if out.resolve().is_relative_to(root.resolve()):
        raise DicomError(f"{out.name}: the copy must not lie inside the folder that it is made of.")
    paths, refused = find_files(root)
    written, suspicious = [], Counter[str]()
    with quiet():
        for path in paths:
            try:
                header = read_header(path)
                dataset = _read(path)
                clean_copy = strip(dataset, names)
                target = _target(out, clean_copy)
                _save(clean_copy, target)
            except (DicomError, OSError) as error:
                refused.append(refuse(path, root, error))
                continue
            written.append(target)
            if _may_show_text(header):
                suspicious[f"{target.parent.relative_to(out)}"] += 1
    warnings = [f"{folder}: {n} images may show burned-in text; look at them" for folder, n in suspicious.items()]
    return Deidentified(written=tuple(written), refused=tuple(refused), warnings=tuple(warnings))


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


def _read(path: Path) -> FileDataset:
    with open_dicom(path) as file:
        try:
            return dcmread(file, force=True)
        except Exception as error:  # pydicom raises many types on damaged bytes; their text quotes header values
            raise DicomError(f"the file is damaged ({type(error).__name__}).") from error


def _patient_key(dataset: Dataset) -> str:
    """Return what ties the visits of one patient together: the id, or else name and birth date, or else the study."""
    get = getter(dataset)
    person = text(get("PatientName")) + text(get("PatientBirthDate")) if text(get("PatientName")) else ""
    return text(get("PatientID")) or person or text(get("StudyInstanceUID"))


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


def _target(out: Path, dataset: Dataset) -> Path:
    """Name the copy by pseudonyms alone."""
    number = int(dataset.get("SeriesNumber") or 0)
    folder = out / str(dataset.PatientID) / f"{dataset.StudyInstanceUID}"[-12:] / f"{number:04d}"
    return folder / f"{dataset.SOPInstanceUID}.dcm"


def _save(dataset: FileDataset, path: Path) -> None:
    try:
        with replacing(path) as partial:
            dataset.save_as(partial, enforce_file_format=True)
    except Exception as error:
        raise DicomError(f"the copy cannot be written ({type(error).__name__}).") from error


def _may_show_text(header: FileHeader) -> bool:
    """Whether a person should look at the pixels: text is announced, or not excluded in a picture made afterwards."""
    said = text(header.get("BurnedInAnnotation")).upper()
    kinds = {kind for frame in header.frames for kind in frame.image_type}
    made_later = bool(kinds & {"SECONDARY", "SCREEN SAVE"}) or text(header.get("ConversionType")) != ""
    return said == "YES" or (said != "NO" and made_later)


def read_secret(path: Path) -> Pseudonyms:
    """Read the secret of a study, or make one that only its owner can read."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(os.urandom(32).hex() + "\n")
    return Pseudonyms(secret=path.read_text(encoding="ascii").strip().encode())
