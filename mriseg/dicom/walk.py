"""Every file below a folder and in its archives, and what could not be listed, without following circles."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from mriseg.dicom.archives import MAX_DEPTH, is_archive, leads_out, members
from mriseg.dicom.contents import CopyError, NotDicomError, NotMrError, PassedOverError
from mriseg.dicom.encoding import HostileFileError
from mriseg.dicom.filenames import shown_path
from mriseg.dicom.records import Refusal, RefusalKind
from mriseg.errors import DicomError

DICOM_ENDINGS = {".dcm", ".dicom", ".ima"}


def find_files(root: Path) -> tuple[list[Path], list[Refusal]]:
    """List every file below a folder and in its archives, and what could not be listed.

    Raises
    ------
    DicomError
        Where ``root`` does not exist.
    """
    if not root.exists():
        raise DicomError(f"{root.name}: no such file or folder.")
    refused: list[Refusal] = []
    return list(_walk(root, refused)), refused


def refuse(path: Path, root: Path, error: Exception, *, among_slices: bool = False) -> Refusal:
    """Record that a file was not used; one that lies among slices is missed there, whatever it holds now."""
    reason = str(error) if isinstance(error, DicomError) else "the file cannot be read or written."
    what, advice = (error.what, error.advice) if isinstance(error, PassedOverError) else ("", "")
    kind = RefusalKind.UNREADABLE if among_slices else _kind(path, error)
    return replace(_refusal(path, root, reason, kind), what=what, advice=advice)


def _walk(root: Path, refused: list[Refusal]) -> Iterator[Path]:
    """Yield every file once, in the order of names; links may lead anywhere but never in circles."""
    if root.is_file():
        yield from _expand(root, root, refused)
        return
    seen: set[tuple[int, int]] = set()
    folders = [root]
    while folders:
        folder = folders.pop()
        try:
            facts = folder.stat()
            entries = sorted(os.scandir(folder), key=lambda e: e.name)
        except OSError:
            refused.append(_refusal(folder, root, "the folder cannot be read.", RefusalKind.UNREADABLE))
            continue
        if (facts.st_dev, facts.st_ino) in seen:
            continue
        seen.add((facts.st_dev, facts.st_ino))
        folders.extend(Path(e.path) for e in reversed(entries) if _is_folder(e))
        for entry in entries:
            if not _is_folder(entry):
                yield from _expand(Path(entry.path), root, refused)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _expand(path: Path, root: Path, refused: list[Refusal], depth: int = 0) -> Iterator[Path]:
    """Yield a file, or the members of an archive, also of one inside another."""
    if not is_archive(path) or depth > MAX_DEPTH:
        yield path
        return
    try:
        names = members(path)
    except (DicomError, OSError) as error:
        refused.append(refuse(path, root, error))
        return
    for name in names:
        if leads_out(name):
            text = "a member has a name that leads out of the archive."
            refused.append(_refusal(path, root, text, RefusalKind.HOSTILE))
        else:
            yield from _expand(path / name, root, refused, depth + 1)


def _kind(path: Path, error: Exception) -> RefusalKind:
    """Whether it is no reason to worry; what is named as DICOM and is none, is one."""
    if isinstance(error, NotDicomError):
        named = path.suffix.lower() in DICOM_ENDINGS and not path.name.startswith(".")
        return RefusalKind.UNREADABLE if named else RefusalKind.NOT_DICOM
    kinds: dict[type[Exception], RefusalKind] = {
        NotMrError: RefusalKind.NOT_MR,
        CopyError: RefusalKind.COPY,
        HostileFileError: RefusalKind.HOSTILE,
    }
    return kinds.get(type(error), RefusalKind.UNREADABLE)


def relative_name(path: Path, root: Path) -> str:
    """Name a file below ``root`` as it may be shown."""
    return shown_path(path.name if path == root else path.relative_to(root))


def _refusal(path: Path, root: Path, reason: str, kind: RefusalKind) -> Refusal:
    name = relative_name(path, root)
    return Refusal(name=name, reason=reason, kind=kind, files=(name,))
