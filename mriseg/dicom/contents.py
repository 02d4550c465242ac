"""What a file is that is no DICOM image, by its first bytes, and what can be done about it."""

from __future__ import annotations

from mriseg.errors import DicomError

UNPACK = "unpack it, then look again"
COPY = "copy it again from its source"
EXPORT = "export DICOM from the scanner"
START = 0
# (place, first bytes, what it is, what to do)
SIGNATURES = (
    (START, b"PK\x03\x04", "zip archive that was not opened", "let its name end in .zip, or unpack it"),
    (START, b"7z\xbc\xaf\x27\x1c", "7z archive", UNPACK),
    (START, b"Rar!", "RAR archive", UNPACK),
    (START, b"\xfd7zXZ\0", "xz archive", UNPACK),
    (START, b"BZh", "bzip2 archive", UNPACK),
    (START, b"\x28\xb5\x2f\xfd", "zstd archive", UNPACK),
    (START, b"\x1f\x8b", "gzip archive", UNPACK),
    (257, b"ustar", "tar archive", UNPACK),
    (START, b"%PDF", "PDF document", ""),
    (START, b"\x89PNG", "PNG picture", ""),
    (START, b"\xff\xd8\xff", "JPEG picture", ""),
    (START, b"II*\0", "TIFF picture", ""),
    (START, b"MM\0*", "TIFF picture", ""),
    (START, b"GIF8", "GIF picture", ""),
    (344, b"n+1\0", "NIfTI image", "it is converted already"),
    (344, b"ni1\0", "NIfTI image", "it is converted already"),
    (4, b"n+2\0", "NIfTI image", "it is converted already"),
    (START, b"NRRD", "NRRD image", "it is converted already"),
    (START, b"ObjectType", "MetaImage", "it is converted already"),
    (START, b"# === DATA DESCRIPTION FILE", "Philips PAR file", EXPORT),
    (START, b"<PRIDE_V5", "Philips XML/REC file", EXPORT),
    (START, b"##TITLE", "Bruker parameter file", EXPORT),
    (START, b"\x89HDF", "HDF5 file", EXPORT),
    (START, b"\x00\x05\x16\x07", "macOS resource fork", ""),
    (START, b"\0\0\0\1Bud1", "macOS folder file", ""),
    (START, b"\xd0\xcf\x11\xe0", "Office file or Thumbs.db", ""),
    (START, b"MZ", "Windows program", ""),
    (START, b"\x7fELF", "Linux program", ""),
    (START, b"version https://git-lfs", "Git LFS pointer", "fetch the file that it stands for (git lfs pull)"),
    (START, b"/annex/objects/", "git-annex pointer", "fetch the file that it stands for (git annex get)"),
)


class PassedOverError(DicomError):
    """A file that is no MR image: ``what`` it is, in words that identify nobody, and ``advice``, if there is any."""

    def __init__(self, reason: str, *, what: str, advice: str = "") -> None:
        super().__init__(reason)
        self.what, self.advice = what, advice


class NotDicomError(PassedOverError):
    """The bytes are those of no DICOM file."""


class NotMrError(PassedOverError):
    """A DICOM file that is no MR image."""


class CopyError(PassedOverError):
    """An image that is there already."""


class DamagedError(DicomError):
    """A DICOM file that is damaged; ``series_uid`` tells where it belongs, "" where that was lost too."""

    def __init__(self, reason: str, *, series_uid: str = "") -> None:
        super().__init__(reason)
        self.series_uid = series_uid


def what_it_is(data: bytes) -> NotDicomError:
    """Say what a file is that starts with ``data`` and is no DICOM."""
    if not data:
        return NotDicomError("no DICOM file: it is empty, without the mark DICM.", what="empty file", advice=COPY)
    if not data.strip(b"\0"):
        return NotDicomError(
            "no DICOM file: nothing but zeros, without the mark DICM.", what="file of zeros", advice=COPY
        )
    missing = "no DICOM file: neither the mark DICM at byte 128 nor DICOM elements at its start"
    for place, bytes_, what, advice in SIGNATURES:
        if data[place : place + len(bytes_)] == bytes_:
            return NotDicomError(f"{missing}, but a {what}.", what=what, advice=advice)
    start = data[:512].lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return NotDicomError(f"{missing}, but a web page.", what="web page", advice="download the file itself again")
    if start.isascii() and b"\0" not in start:
        return NotDicomError(f"{missing}, but text.", what="text file")
    return NotDicomError(f"{missing}.", what="file of unknown content")
