"""Every file below a folder and in its archives, and what could not be listed, without following circles."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from mriseg.dicom.filenames import shown_path
from mriseg.dicom.headers import NotMrError
from mriseg.dicom.records import Refusal, RefusalKind
from mriseg.dicom.sources import HostileFileError, NotDicomError, members
from mriseg.errors import DicomError


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


def refuse(path: Path, root: Path, error: Exception) -> Refusal:
    """Record that a file was not used."""
    reason = str(error) if isinstance(error, DicomError) else "the file cannot be read or written."
    return _refusal(path, root, reason, _kind(error))


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


def _expand(path: Path, root: Path, refused: list[Refusal]) -> Iterator[Path]:
    """Yield a file, or the members of an archive."""
    if path.suffix.lower() != ".zip":
        yield path
        return
    try:
        names = members(path)
    except (DicomError, OSError) as error:
        refused.append(_refusal(path, root, str(error), _kind(error)))
        return
    for name in names:
        pure = PurePosixPath(name)
        # A name that does not stay below the archive could make us read a file of this computer.
        if pure.is_absolute() or ".." in pure.parts or "\0" in name or pure.as_posix() != name:
            refused.append(
                _refusal(path, root, "a member has a name that leads out of the archive.", RefusalKind.HOSTILE)
            )
        else:
            yield path / name


def _kind(error: Exception) -> RefusalKind:
    kinds: dict[type[Exception], RefusalKind] = {
        NotDicomError: RefusalKind.NOT_DICOM,
        NotMrError: RefusalKind.NOT_MR,
        HostileFileError: RefusalKind.HOSTILE,
    }
    return kinds.get(type(error), RefusalKind.UNREADABLE)


def relative_name(path: Path, root: Path) -> str:
    """Name a file below ``root`` as it may be shown."""
    return shown_path(path.name if path == root else path.relative_to(root))


def _refusal(path: Path, root: Path, reason: str, kind: RefusalKind) -> Refusal:
    name = relative_name(path, root)
    return Refusal(name=name, reason=reason, kind=kind, files=(name,))
