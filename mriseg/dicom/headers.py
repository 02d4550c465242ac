"""One DICOM file -> its frames and the header facts, without reading pixels."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from pydicom.dataset import FileDataset
from pydicom.filereader import read_partial
from pydicom.tag import BaseTag
from pydicom.uid import UID

from mriseg.dicom.codestreams import is_encapsulated, kind_of_codestream, why_cut
from mriseg.dicom.contents import DamagedError, NotMrError
from mriseg.dicom.encoding import KNOWN, UNDEFINED, HostileFileError
from mriseg.dicom.frames import first_frame, per_frame, read_frame
from mriseg.dicom.records import Frame
from mriseg.dicom.sources import open_dicom
from mriseg.dicom.syntaxes import NATIVE, can_decode, syntax_name, syntax_of_pixels
from mriseg.dicom.values import Get, getter, text, whole
from mriseg.errors import DicomError

MR_CLASSES = {"1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.4.1", "1.2.840.10008.5.1.4.1.1.4.4"}
OVERLAY_BIT_POSITIONS = tuple(0x60000102 + (group << 16) for group in range(0, 32, 2))
PIXEL_DATA = {0x7FE00008, 0x7FE00009, 0x7FE00010}
FLOAT_PIXELS = 0x7FE00008
MAX_VOXELS = 1 << 28  # of one file; 1024 x 1024 x 256, or 1 GiB as float32


@dataclass(frozen=True, slots=True, kw_only=True)
class FileHeader:
    """Frames of one file, and its values for the :class:`SeriesHeader`."""

    series_uid: str
    frames: tuple[Frame, ...]
    get: Get


@dataclass(frozen=True, slots=True, kw_only=True)
class _PixelElement:
    """Where the pixel bytes begin, how many are claimed and held, and the transfer syntax that they truly are in."""

    tag: int
    at: int
    claimed: int
    held: int
    declared: str
    syntax: str
    why_cut: str = ""


def read_header(path: Path) -> FileHeader:
    """Read one file up to its pixels.

    Parameters
    ----------
    path : Path
        A file, or an archive member as ``archive.zip/member``.

    Raises
    ------
    NotMrError
        For DICOM that is no MR image.
    HostileFileError
        Where the header claims more than the file holds or than we are ready to read.
    DicomError
        Where the file is damaged or lacks what an image needs. Messages never quote header values.
    """
    with open_dicom(path) as file:
        try:
            dataset = read_partial(file, stop_when=at_pixels)
            pixels = _pixel_element(file, dataset)
        except RecursionError as error:
            raise HostileFileError("sequences are nested without end.") from error
        except Exception as error:  # pydicom raises many types on damaged bytes; their text quotes header values
            raise DamagedError(f"the header is damaged ({type(error).__name__}).") from error
    top = getter(dataset)
    try:
        return _file_header(path, dataset, top, pixels)
    except RecursionError as error:
        raise HostileFileError("sequences are nested without end.") from error
    except (NotMrError, HostileFileError):
        raise
    except DicomError as error:
        raise DamagedError(str(error), series_uid=text(top("SeriesInstanceUID"))) from error
    except Exception as error:
        raise DamagedError(f"the header is damaged ({type(error).__name__}).") from error


def at_pixels(tag: BaseTag, vr: str | None, length: int) -> bool:  # noqa: ARG001
    """Stop reading a file before its pixels."""
    return tag in PIXEL_DATA


def _pixel_element(file: BinaryIO, dataset: FileDataset) -> _PixelElement:
    """Read tag, VR and length of the pixel data as they are written, and how the pixels are packed."""
    declared = text(dataset.file_meta.get("TransferSyntaxUID"))
    implicit, little = dataset.original_encoding
    order = "<" if little else ">"
    begin = file.tell()
    head = file.read(12)
    end = file.seek(0, os.SEEK_END)
    if len(head) < 8:
        return _PixelElement(tag=0, at=end, claimed=0, held=0, declared=declared, syntax=declared)
    group, element = struct.unpack(order + "2H", head[:4])
    at = begin + (12 if not implicit and head[4:6] in KNOWN else 8)
    claimed = struct.unpack(order + "L", head[at - begin - 4 : at - begin])[0]
    packed = claimed == UNDEFINED and is_encapsulated(file, at)
    return _PixelElement(
        tag=group << 16 | element,
        at=at,
        claimed=claimed,
        held=end - at,
        declared=declared,
        syntax=syntax_of_pixels(declared, kind_of_codestream(file, at) if packed else None),
        why_cut=why_cut(file, at, whole(getter(dataset)("NumberOfFrames")) or 1) if packed else "",
    )


def _file_header(path: Path, dataset: FileDataset, top: Get, pixels: _PixelElement) -> FileHeader:
    _check_is_mr(top, text(dataset.file_meta.get("MediaStorageSOPClassUID")))
    rows, columns, count = (whole(top(k)) or 0 for k in ("Rows", "Columns", "NumberOfFrames"))
    many = count > 1 or "PerFrameFunctionalGroupsSequence" in dataset
    count = max(count, 1)
    bits = whole(top("BitsAllocated")) or 0
    if not pixels.tag and not (rows and columns and bits):
        raise DicomError("the file is cut off: it ends within its header.")
    if rows < 1 or columns < 1 or bits not in (8, 16, 32):
        raise DicomError(f"no usable image: {rows} rows, {columns} columns, {bits} bits a pixel.")
    if whole(top("HighBit")) not in (None, (whole(top("BitsStored")) or bits) - 1):
        raise DicomError("the pixels do not lie in the lower bits of their words (HighBit), as they have to.")
    if rows * columns * count > MAX_VOXELS:
        raise HostileFileError(f"the header claims {columns} x {rows} x {count} pixels, more than any MR image has.")
    size = rows * columns * bits // 8
    damage = _damage(pixels, size * count)
    raw = _raw_format(top, bits, pixels)
    frames = tuple(
        replace(
            read_frame(path, get),
            index=i if many else -1,
            rows=rows,
            columns=columns,
            raw=(pixels.at + i * size, *raw) if raw else None,
            damage=damage,
            pixels_at=pixels.at,
            syntax=pixels.syntax if pixels.syntax != pixels.declared else "",
        )
        for i, get in enumerate(per_frame(top, count))
    )
    return FileHeader(series_uid=text(top("SeriesInstanceUID")), frames=frames, get=first_frame(top))


def _damage(pixels: _PixelElement, needed: int) -> str:
    """Say why the pixels of a file cannot be complete or read; "" where nothing speaks against it."""
    if not can_decode(pixels.syntax):
        return f"packed in {syntax_name(pixels.syntax)}, which mriseg cannot decode; export them without compression"
    if pixels.syntax not in NATIVE:
        return pixels.why_cut
    found = min(pixels.claimed, pixels.held)
    return "" if found >= needed else f"truncated: {found} of {needed} bytes of pixels"


def _check_is_mr(top: Get, stored: str) -> None:
    kind, modality = text(top("SOPClassUID")) or stored, text(top("Modality"))
    if not kind and not modality:
        raise DicomError("damaged: the file does not say what it is (SOPClassUID, Modality); it may be cut off.")
    if kind not in MR_CLASSES and not (kind == "" and modality == "MR"):
        name = UID(kind).name
        what = f"DICOM object: {name}" if name != kind else "DICOM object of a private or unknown class"
        raise NotMrError("a DICOM file that is no MR image.", what=what)
    photometric = text(top("PhotometricInterpretation"))
    if (whole(top("SamplesPerPixel")) or 1) != 1 or photometric not in ("MONOCHROME1", "MONOCHROME2", ""):
        raise NotMrError("a colour image; expected grey values.", what="DICOM colour image")


def _raw_format(top: Get, bits: int, pixels: _PixelElement) -> tuple[str, int] | None:
    """Return numpy dtype and stored bits of pixels that need no decoding, or None.

    Pixels that share their words with an overlay, a retired habit, are left to pydicom.
    """
    order = NATIVE.get(pixels.syntax)
    if pixels.tag == FLOAT_PIXELS and order and bits == 32:
        return f"{order}f4", bits
    stored = whole(top("BitsStored")) or 0
    shared_words = any(whole(top(tag)) for tag in OVERLAY_BIT_POSITIONS)
    if order is None or bits not in (16, 32) or not 1 <= stored <= bits or shared_words:
        return None
    return f"{order}{'i' if whole(top('PixelRepresentation')) else 'u'}{bits // 8}", stored
