"""Open one DICOM file, plain or inside a zip archive, without trusting what it claims about itself."""

from __future__ import annotations

import io
import logging
import stat
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from mriseg.dicom.archives import archive_of, open_member
from mriseg.dicom.contents import NotDicomError, what_it_is
from mriseg.dicom.encoding import WINDOW, HostileFileError, is_dicom, true_view
from mriseg.dicom.views import BoundedReader
from mriseg.errors import DicomError

MAX_UNPACKED_BYTES = 1 << 29  # one member of an archive or one packed file; a whole enhanced MR study fits
GZIP = b"\x1f\x8b"


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


@contextmanager
def open_dicom(path: Path, *, syntax: str | None = None) -> Iterator[BinaryIO]:
    """Open a DICOM file, plain, in an archive or packed by gzip, with a head that is true.

    Parameters
    ----------
    path : Path
        A file, or an archive member as ``archive.zip/member``.
    syntax : str, optional
        Transfer syntax of the pixels where it was found to be another one than the file says.

    Raises
    ------
    NotDicomError
        Where the file is none.
    HostileFileError
        Where unpacking would take more than 512 MiB.
    DicomError
        Where the file cannot be opened or unpacked.
    """
    archive = archive_of(path)
    try:
        file = open_member(archive, path, MAX_UNPACKED_BYTES) if archive else _plain(path)
    except (OSError, zipfile.BadZipFile, zlib.error, struct.error) as error:
        raise DicomError("the file cannot be opened.") from error
    try:
        file = true_view(_gunzipped(file), limit=MAX_UNPACKED_BYTES, syntax=syntax)
        yield file
    finally:
        file.close()


def _plain(path: Path) -> BinaryIO:
    """Open a regular file; a pipe or a device would block for ever."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise NotDicomError("not a regular file.", what="pipe or device")
    return BoundedReader(path.open("rb"), path.stat().st_size)  # type: ignore[return-value]


def _gunzipped(file: BinaryIO) -> BinaryIO:
    """Return the file at its start, unpacked into memory where gzip packed a DICOM file."""
    packed = file.read(len(GZIP)) == GZIP
    file.seek(0)
    if not packed:
        return file
    unpack = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        start = unpack.decompress(file.read(WINDOW), WINDOW)
        if not is_dicom(start):
            raise what_it_is(start if what_it_is(start).advice else GZIP)
        data = start + unpack.decompress(unpack.unconsumed_tail + file.read(), MAX_UNPACKED_BYTES)
    except zlib.error as error:
        raise DicomError("the gzip file is damaged.") from error
    if unpack.unconsumed_tail:
        raise HostileFileError("the gzip file unpacks to more than 512 MiB; unpack it by hand to read it.")
    if not unpack.eof:
        raise DicomError("the gzip file is cut off. Copy it again.")
    return io.BytesIO(data)
