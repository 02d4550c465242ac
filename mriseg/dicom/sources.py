"""Open one DICOM file, plain or inside a zip archive, without trusting what it claims about itself."""

from __future__ import annotations

import io
import logging
import os
import stat
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from mriseg.errors import DicomError

MARK = b"DICM"
MARK_AT = 128
MAX_UNPACKED_BYTES = 1 << 29  # one member of an archive or one deflated file; a whole enhanced MR study fits
MAX_ARCHIVE_BYTES = 1 << 36
MAX_MEMBERS = 200_000


class NotDicomError(DicomError):
    """The file does not carry the mark of a DICOM file."""


class HostileFileError(DicomError):
    """The file claims more than it can hold or more than we are ready to unpack."""


class BoundedReader(io.RawIOBase):
    """A file whose ``read(n)`` never asks for more bytes than are left, so that a false length costs no memory."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size

    def read(self, size: int | None = -1) -> bytes:
        """Read up to ``size`` bytes."""
        left = max(0, self._size - self._file.tell())
        return self._file.read(left if size is None or size < 0 else min(size, left))

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a position; beyond the end reads give nothing."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the position."""
        return self._file.tell()

    def close(self) -> None:
        """Close the file beneath."""
        self._file.close()
        super().close()


@contextmanager
def quiet() -> Iterator[None]:
    """Silence pydicom while headers are read: its warnings quote header values, which may identify a patient."""
    logger = logging.getLogger("pydicom")
    level = logger.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logger.setLevel(logging.CRITICAL + 1)
        try:
            yield
        finally:
            logger.setLevel(level)


def archive_of(path: Path) -> Path | None:
    """Return the zip archive that ``path`` points into, or None for a plain file."""
    if path.exists():
        return None
    return next((p for p in path.parents if p.suffix.lower() == ".zip" and p.is_file()), None)


def members(archive: Path) -> list[str]:
    """List the files of a zip archive.

    Raises
    ------
    DicomError
        Where it is no archive, or claims more files or bytes than any study has.
    """
    facts = archive.stat()
    return list(_directory(archive, facts.st_mtime_ns, facts.st_size))


@lru_cache(maxsize=8)
def _directory(archive: Path, modified_ns: int, size: int) -> dict[str, zipfile.ZipInfo]:  # noqa: ARG001
    """Read the directory of an archive once, as long as the file stays the same."""
    try:
        with zipfile.ZipFile(archive) as zipped:
            infos = {i.filename: i for i in zipped.infolist() if not i.is_dir()}
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise DicomError("not a readable zip archive.") from error
    if len(infos) > MAX_MEMBERS or sum(i.file_size for i in infos.values()) > MAX_ARCHIVE_BYTES:
        raise HostileFileError(f"the archive claims {len(infos)} files or more bytes than any study; not unpacked.")
    return infos


@contextmanager
def open_dicom(path: Path) -> Iterator[BinaryIO]:
    """Open a DICOM file at its start, uncompressed where it is deflated.

    Raises
    ------
    NotDicomError
        Where the mark at byte 128 is missing.
    HostileFileError
        Where unpacking would take more than 512 MiB.
    DicomError
        Where the file cannot be opened.
    """
    archive = archive_of(path)
    try:
        file = _member(archive, path) if archive else _plain(path)
    except (OSError, KeyError, zipfile.BadZipFile, zlib.error, struct.error) as error:
        raise DicomError("the file cannot be opened.") from error
    try:
        file.seek(MARK_AT)
        if file.read(4) != MARK:
            raise NotDicomError("no DICOM file: the mark DICM at byte 128 is missing.")
        try:
            file = _inflated(file)
        except zlib.error as error:
            raise DicomError("the deflated data cannot be unpacked; the file is damaged.") from error
        file.seek(0)
        yield file
    finally:
        file.close()


def _plain(path: Path) -> BinaryIO:
    """Open a regular file; a pipe or a device would block for ever."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise NotDicomError("not a regular file.")
    return BoundedReader(path.open("rb"), path.stat().st_size)  # type: ignore[return-value]


def _member(archive: Path, path: Path) -> BinaryIO:
    """Unpack one member of an archive into memory; one without the DICOM mark only as far as the mark."""
    facts = archive.stat()
    info = _directory(archive, facts.st_mtime_ns, facts.st_size)[path.relative_to(archive).as_posix()]
    if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DicomError("the archive member is encrypted or packed by an unknown method; unpack it by hand.")
    with archive.open("rb") as file:
        file.seek(info.header_offset)
        # The local header repeats name and extra field, with lengths of its own.
        name, extra = struct.unpack("<26x2H", file.read(30))
        file.seek(name + extra, os.SEEK_CUR)
        if info.compress_type == zipfile.ZIP_STORED:
            return io.BytesIO(file.read(min(info.file_size, info.compress_size, MAX_UNPACKED_BYTES)))
        unpack = zlib.decompressobj(-zlib.MAX_WBITS)
        start = unpack.decompress(file.read(min(info.compress_size, 4096)), MARK_AT + 4)
        if start[MARK_AT:] != MARK:
            return io.BytesIO(start)
        packed = unpack.unconsumed_tail + file.read(max(0, info.compress_size - 4096))
        data = start + unpack.decompress(packed, MAX_UNPACKED_BYTES)
    if unpack.unconsumed_tail:
        raise HostileFileError("the archive member unpacks to more than 512 MiB; unpack it by hand to read it.")
    if zlib.crc32(data) != info.CRC:
        raise DicomError("the archive member is damaged: its checksum is wrong.")
    return io.BytesIO(data)


def _inflated(file: BinaryIO) -> BinaryIO:
    """Return the file itself, or an uncompressed copy in memory where its transfer syntax is deflated."""
    file.seek(MARK_AT + 4)
    start = file.read(1024)
    syntax = start.partition(b"\x02\x00\x10\x00UI")[2]
    if not syntax[2:].startswith(DeflatedExplicitVRLittleEndian.encode()):
        return file
    # The file meta group begins with its own length: tag (4), VR and size (4), value (4).
    file.seek(MARK_AT + 16 + int.from_bytes(start[8:12], "little"))
    unpack = zlib.decompressobj(-zlib.MAX_WBITS)
    data = unpack.decompress(file.read(), MAX_UNPACKED_BYTES)
    if unpack.unconsumed_tail:
        raise HostileFileError("the deflated file unpacks to more than 512 MiB.")
    file.close()
    uid = ExplicitVRLittleEndian.encode() + b"\0"
    meta = b"\x02\x00\x10\x00UI" + len(uid).to_bytes(2, "little") + uid
    head = b"\x02\x00\x00\x00UL\x04\x00" + len(meta).to_bytes(4, "little")
    return io.BytesIO(bytes(MARK_AT) + MARK + head + meta + data)
