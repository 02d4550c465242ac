"""One DICOM file -> its frames and the header facts, without reading pixels."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Protocol

from pydicom.dataset import FileDataset
from pydicom.filereader import read_partial
from pydicom.tag import BaseTag

from mriseg.dicom.frames import first_frame, per_frame, read_frame
from mriseg.dicom.records import Frame
from mriseg.dicom.sources import HostileFileError, open_dicom
from mriseg.dicom.values import Get, getter, text, whole
from mriseg.errors import DicomError

MR_CLASSES = {"1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.4.1", "1.2.840.10008.5.1.4.1.1.4.4"}
NATIVE = {"1.2.840.10008.1.2": "<", "1.2.840.10008.1.2.1": "<", "1.2.840.10008.1.2.2": ">"}
IMPLICIT = "1.2.840.10008.1.2"
OVERLAY_BIT_POSITIONS = tuple(0x60000102 + (group << 16) for group in range(0, 32, 2))
PIXEL_DATA = {0x7FE00008, 0x7FE00009, 0x7FE00010}
MAX_VOXELS = 1 << 28  # of one file; 1024 x 1024 x 256, or 1 GiB as float32


class NotMrError(DicomError):
    """A DICOM file that is no MR image."""


class _Sized(Protocol):
    def seek(self, offset: int, whence: int = 0) -> int: ...
    def tell(self) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FileHeader:
    """Frames of one file, and its values for the :class:`SeriesHeader`."""

    series_uid: str
    frames: tuple[Frame, ...]
    get: Get


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
        except RecursionError as error:
            raise HostileFileError("sequences are nested without end.") from error
        except Exception as error:  # pydicom raises many types on damaged bytes; their text quotes header values
            raise DicomError(f"the header is damaged ({type(error).__name__}).") from error
        pixels_at, claimed = _pixel_element(file, dataset)
        held = _size(file) - pixels_at
    try:
        return _file_header(path, dataset, pixels_at, claimed, held)
    except RecursionError as error:
        raise HostileFileError("sequences are nested without end.") from error
    except DicomError:
        raise
    except Exception as error:
        raise DicomError(f"the header is damaged ({type(error).__name__}).") from error


def at_pixels(tag: BaseTag, vr: str | None, length: int) -> bool:  # noqa: ARG001
    """Stop reading a file before its pixels."""
    return tag in PIXEL_DATA


def _size(file: _Sized) -> int:
    file.seek(0, 2)
    return file.tell()


def _pixel_element(file: BinaryIO, dataset: FileDataset) -> tuple[int, int | None]:
    """Return where the pixel bytes begin and how many are claimed; None where they are encapsulated."""
    syntax = str(dataset.file_meta.get("TransferSyntaxUID", ""))
    order = ">" if NATIVE.get(syntax) == ">" else "<"
    head = file.read(8 if syntax == IMPLICIT else 12)
    if len(head) < 8:
        return file.tell(), 0
    length = struct.unpack(order + "L", head[-4:])[0]
    return file.tell(), None if length == 0xFFFFFFFF else length


def _file_header(path: Path, dataset: FileDataset, pixels_at: int, claimed: int | None, held: int) -> FileHeader:
    top = getter(dataset)
    _check_is_mr(top)
    rows, columns, count = (whole(top(k)) or 0 for k in ("Rows", "Columns", "NumberOfFrames"))
    many = count > 1 or "PerFrameFunctionalGroupsSequence" in dataset
    count = max(count, 1)
    bits = whole(top("BitsAllocated")) or 0
    if rows < 1 or columns < 1 or bits not in (8, 16, 32):
        raise DicomError(f"no usable image: {rows} rows, {columns} columns, {bits} bits a pixel.")
    if whole(top("HighBit")) not in (None, (whole(top("BitsStored")) or bits) - 1):
        raise DicomError("the pixels do not lie in the lower bits of their words (HighBit), as they have to.")
    if rows * columns * count > MAX_VOXELS:
        raise HostileFileError(f"the header claims {columns} x {rows} x {count} pixels, more than any MR image has.")
    needed = rows * columns * count * bits // 8
    damage = _damage(claimed, held, needed, count)
    raw = _raw_format(dataset, top, bits)
    size = needed // count
    frames = tuple(
        replace(
            read_frame(path, get),
            index=i if many else -1,
            rows=rows,
            columns=columns,
            raw=(pixels_at + i * size, *raw) if raw else None,
            damage=damage,
            pixels_at=pixels_at,
        )
        for i, get in enumerate(per_frame(top, count))
    )
    return FileHeader(series_uid=text(top("SeriesInstanceUID")), frames=frames, get=first_frame(top))


def _damage(claimed: int | None, held: int, needed: int, count: int) -> str:
    """Say why the pixels of a file cannot be complete; "" where nothing speaks against it."""
    if claimed is None:
        return "truncated: the compressed pixels are missing" if held < 16 * count else ""
    found = min(claimed, held)
    return "" if found >= needed else f"truncated: {found} of {needed} bytes of pixels"


def _check_is_mr(top: Get) -> None:
    kind, modality = text(top("SOPClassUID")), text(top("Modality"))
    if kind not in MR_CLASSES and not (kind == "" and modality == "MR"):
        raise NotMrError("a DICOM file that is no MR image.")
    if (whole(top("SamplesPerPixel")) or 1) != 1 or text(top("PhotometricInterpretation")) not in (
        "MONOCHROME1",
        "MONOCHROME2",
    ):
        raise NotMrError("a colour image; expected grey values.")


def _raw_format(dataset: FileDataset, top: Get, bits: int) -> tuple[str, int] | None:
    """Return numpy dtype and stored bits of pixels that need no decoding, or None.

    Pixels that share their words with an overlay, a retired habit, are left to pydicom.
    """
    order = NATIVE.get(str(dataset.file_meta.get("TransferSyntaxUID", "")))
    stored = whole(top("BitsStored")) or 0
    shared_words = any(whole(top(tag)) for tag in OVERLAY_BIT_POSITIONS)
    if order is None or bits not in (16, 32) or not 1 <= stored <= bits or shared_words:
        return None
    return f"{order}{'i' if whole(top('PixelRepresentation')) else 'u'}{bits // 8}", stored
