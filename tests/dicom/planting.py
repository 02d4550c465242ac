"""Strings that identify a patient, planted into every kind of element, and a look for them in every kind of file."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import pydicom
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.valuerep import PersonName

# Tags of every text type, in the main data set: direct identity, free text, codes and technical text.
PLANTED_TAGS = """
PatientName PatientID OtherPatientIDs OtherPatientNames PatientAddress PatientComments PatientTelephoneNumbers
PatientMotherBirthName EthnicGroup AccessionNumber InstitutionName InstitutionAddress ReferringPhysicianName
OperatorsName PerformingPhysicianName StationName StudyID StudyDescription SeriesDescription ProtocolName
DeviceSerialNumber ImageComments RequestedProcedureDescription PerformedProcedureStepDescription
ClinicalTrialSubjectID ClinicalTrialSponsorName AdditionalPatientHistory ManufacturerModelName SoftwareVersions
SequenceName ReceiveCoilName BodyPartExamined RetrieveAETitle StackID
""".split()  # noqa: SIM905


def planted(ds: Dataset, person: str = "") -> list[str]:
    """Write identifying strings into every kind of element; return all of them.

    A series description keeps its words. Pixels that are compressed stay as they are.
    """
    words: list[str] = []

    def word() -> str:
        words.append(f"ZQIDENT{person}{len(words):02d}Q")
        return words[-1]

    def put(target: Dataset, name: str, value: str) -> None:
        tag = pydicom.tag.Tag(name)
        vr = dictionary_VR(tag)
        target[name] = DataElement(tag, vr, "0" if vr not in ("PN", "UR") else "")
        target[name]._value = PersonName(value) if vr == "PN" else value

    description = ds.get("SeriesDescription", "")
    for name in PLANTED_TAGS:
        put(ds, name, word())
    put(ds, "SeriesDescription", f"{description} {ds.SeriesDescription}".strip())
    ds.PatientName = f"{words[0]}^{word()}={word()}=" + word()
    inner, outer = Dataset(), Dataset()
    put(inner, "PatientName", word())
    put(inner, "ImageComments", word())
    outer.ReferencedImageSequence = Sequence([inner])
    put(outer, "RequestedProcedureDescription", word())
    ds.RequestAttributesSequence = Sequence([outer])
    siemens = ds.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
    siemens.add_new(0x10, "OB", b"binary " + word().encode() + b" header ")
    secret = Dataset()
    put(secret, "PatientID", word())
    siemens.add_new(0x20, "SQ", Sequence([secret]))
    ds.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0C, "LO", word())
    ds.private_block(0x2005, word(), create=True).add_new(0x0E, "FL", 2.0)
    ds.add_new(0x00091010, "UN", word().encode())
    ds.add_new(0x60003000, "OW", (word() + "1").encode())
    ds.add_new(0x60000010, "US", 8)
    ds.add_new(0xFFFCFFFC, "OB", word().encode() + b"x")
    ds.preamble = (word() + " in the preamble").encode().ljust(128, b"\0")
    if not ds.file_meta.TransferSyntaxUID.is_encapsulated:
        ds.PixelData = ds.PixelData + (word() + "1").encode()
    return words


def stamped(ds: Dataset, serial: str, moment: str) -> None:
    """Give a data set UIDs as scanners make them, of a serial number, a moment and a running number."""
    for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID"):
        tail = str(int(str(ds[name].value).rsplit(".", 1)[1]))[-12:].lstrip("0")
        ds[name].value = f"1.3.12.2.1107.5.2.32.{serial}.{moment}.{tail}"
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID


def text_of(folder: Path) -> bytes:
    """Return names and contents of all files below a folder, what is packed also unpacked; links are not followed."""
    files = [p for p in folder.rglob("*") if p.is_file() and not p.is_symlink()]
    return b"".join(str(p.relative_to(folder)).encode() + p.read_bytes() + _unpacked(p) for p in files)


def _unpacked(path: Path) -> bytes:
    if path.suffix == ".gz":
        return gzip.decompress(path.read_bytes())
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return b"".join(archive.read(name) for name in archive.namelist())
    return b""


def found_in(content: bytes, words: list[str]) -> list[str]:
    """Return the planted strings that ``content`` holds, in 8 or 16 bits a letter."""
    return [w for w in words if w.encode() in content or w.encode("utf-16-le") in content]
