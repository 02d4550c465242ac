"""Files in zip archives, also in archives inside archives; a member is named ``archive.zip/inner.zip/name``."""

from __future__ import annotations

import atexit
import io
import os
import shutil
import struct
import tempfile
import zipfile
import zlib
from functools import lru_cache
from itertools import count
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import BinaryIO

from mriseg.dicom.encoding import WINDOW, HostileFileError, is_dicom
from mriseg.errors import DicomError

ENDING = ".zip"
MAX_ARCHIVE_BYTES = 1 << 36
MAX_MEMBERS = 200_000
MAX_DEPTH = 3  # archives inside archives; a deeper one is passed over
MAX_INNER_BYTES = 1 << 32
CHUNK = 1 << 20
_inner: dict[tuple[Path, str, int, int], Path] = {}  # archives of archives that lie unpacked until the process ends
_lock = Lock()


def is_archive(path: Path | PurePosixPath) -> bool:
    """Whether a file is opened as a zip archive, by the ending of its name."""
    return path.suffix.lower() == ENDING


def archive_of(path: Path) -> Path | None:
    """Return the zip archive on disk that ``path`` points into, or None for a plain file."""
    if path.exists():
        return None
    return next((p for p in path.parents if is_archive(p) and p.is_file()), None)


def members(path: Path) -> dict[str, zipfile.ZipInfo]:
    """Return the files of a zip archive on disk, or of one inside another, by their names as paths.

    Names are brought into one form: ``./a`` and ``b//a``, also with backslashes, become ``a`` and ``b/a``. Of several
    members with one name the later ones are numbered, so that none is lost. A name that leads out of the archive stays
    as it is.

    Raises
    ------
    DicomError
        Where it is no archive, or claims more files or bytes than any study has.
    """
    outer = archive_of(path)
    archive = _unpacked(outer, path.relative_to(outer).as_posix()) if outer else path
    facts = archive.stat()
    return _directory(archive, facts.st_mtime_ns, facts.st_size)


def leads_out(name: str) -> bool:
    """Whether the name of a member could make us read a file of this computer."""
    pure = PurePosixPath(name)
    return pure.is_absolute() or ".." in pure.parts or "\0" in name or not pure.parts


def open_member(archive: Path, path: Path, limit: int) -> BinaryIO:
    """Unpack one member into memory; one that is no DICOM only as far as that shows.

    Raises
    ------
    HostileFileError
        Where it would take more than ``limit`` bytes.
    DicomError
        Where it is encrypted, packed by an unknown method or damaged.
    """
    archive, info = _locate(archive, path.relative_to(archive).as_posix())
    with archive.open("rb") as file:
        _to_data(file, info)
        if info.compress_type == zipfile.ZIP_STORED:
            return io.BytesIO(file.read(min(info.file_size, info.compress_size, limit)))
        unpack = zlib.decompressobj(-zlib.MAX_WBITS)
        start = unpack.decompress(file.read(min(info.compress_size, WINDOW)), WINDOW)
        if not is_dicom(start) and not start.startswith(b"\x1f\x8b"):
            return io.BytesIO(start)
        packed = unpack.unconsumed_tail + file.read(max(0, info.compress_size - WINDOW))
        data = start + unpack.decompress(packed, limit)
    if unpack.unconsumed_tail:
        raise HostileFileError("the archive member unpacks to more than 512 MiB; unpack it by hand to read it.")
    if zlib.crc32(data) != info.CRC:
        raise DicomError("the archive member is damaged: its checksum is wrong.")
    return io.BytesIO(data)


@lru_cache(maxsize=8)
def _directory(archive: Path, modified_ns: int, size: int) -> dict[str, zipfile.ZipInfo]:  # noqa: ARG001
    """Read the directory of an archive once, as long as the file stays the same."""
    try:
        with zipfile.ZipFile(archive) as zipped:
            infos = [i for i in zipped.infolist() if not i.is_dir()]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise DicomError("not a readable zip archive; it may be cut off. Copy it again.") from error
    if len(infos) > MAX_MEMBERS or sum(i.file_size for i in infos) > MAX_ARCHIVE_BYTES:
        raise HostileFileError(f"the archive claims {len(infos)} files or more bytes than any study; not unpacked.")
    result: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        name = _path_like(info.filename)
        copies = (f"{name} ({n})" for n in count(2))
        while name in result:
            name = next(copies)
        result[name] = info
    return result


def _path_like(name: str) -> str:
    """Bring the name of a member into the form of a path."""
    return PurePosixPath(name.replace("\\", "/")).as_posix()


def _locate(archive: Path, name: str) -> tuple[Path, zipfile.ZipInfo]:
    """Return the archive on disk, the inner one unpacked, and the member of it that ``name`` leads to."""
    infos = members(archive)
    if name in infos:
        return archive, infos[name]
    for parent in PurePosixPath(name).parents:
        if parent.as_posix() in infos and is_archive(parent):
            inner = _unpacked(archive, parent.as_posix())
            return _locate(inner, PurePosixPath(name).relative_to(parent).as_posix())
    raise DicomError("the archive holds no such member.")


def _unpacked(archive: Path, name: str) -> Path:
    """Return a temporary copy of an archive that lies inside another one."""
    archive, info = _locate(archive, name)
    facts = archive.stat()
    key = (archive, info.filename, facts.st_mtime_ns, facts.st_size)
    with _lock:
        if key not in _inner:
            path = _temporary_folder() / f"{len(_inner)}-{info.CRC:08x}-{facts.st_mtime_ns}{ENDING}"
            _unpack(archive, info, path)
            _inner[key] = path
        return _inner[key]


@lru_cache(maxsize=1)
def _temporary_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="mriseg-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _unpack(archive: Path, info: zipfile.ZipInfo, path: Path) -> None:
    """Write an inner archive to ``path``, piece by piece, no more of it than any study has."""
    _check_method(info)
    if info.file_size > MAX_INNER_BYTES:
        raise HostileFileError("the archive inside the archive is larger than 4 GiB; unpack it by hand.")
    try:
        with zipfile.ZipFile(archive) as zipped, zipped.open(info) as packed, path.open("wb") as file:
            shutil.copyfileobj(packed, file, CHUNK)
    except (zipfile.BadZipFile, OSError, zlib.error, EOFError) as error:
        raise DicomError("the archive inside the archive is damaged.") from error


def _check_method(info: zipfile.ZipInfo) -> None:
    if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DicomError("the archive member is encrypted or packed by an unknown method; unpack it by hand.")


def _to_data(file: BinaryIO, info: zipfile.ZipInfo) -> None:
    """Move to the packed bytes of a member."""
    _check_method(info)
    file.seek(info.header_offset)
    # The local header repeats name and extra field, with lengths of its own.
    name, extra = struct.unpack("<26x2H", file.read(30))
    file.seek(name + extra, os.SEEK_CUR)
