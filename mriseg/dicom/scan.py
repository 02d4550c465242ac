"""A folder tree or archive -> the volumes it holds, from headers alone."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import numpy as np

from mriseg.dicom.content import holds_two_knees
from mriseg.dicom.describe import series_header
from mriseg.dicom.grouping import drop_copies, group
from mriseg.dicom.headers import FileHeader, NotMrError, read_header
from mriseg.dicom.naming import stem, unique
from mriseg.dicom.pixels import read_pixels
from mriseg.dicom.records import Frame, Refusal, RefusalKind, SeriesHeader
from mriseg.dicom.sources import HostileFileError, NotDicomError, members, quiet
from mriseg.dicom.stacks import Stack, build
from mriseg.errors import DicomError
from mriseg.geometry import apply_affine
from mriseg.types import Grid, Volume

THREADS = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FoundVolume:
    """One volume that a folder holds; its pixels are read by :meth:`read`.

    Parameters
    ----------
    series_uid : str
    sop_uids : tuple of str
        In the order of slices; one for a multi-frame file.
    files : tuple of Path
        A member of an archive is named ``archive.zip/member``.
    name : str
        File stem without patient data, unique within one scan.
    header : SeriesHeader
    notes : tuple of str
        What a reader should know, in plain sentences.
    placed : bool
        False where the header has no position: nothing may be measured on such a volume.
    """

    series_uid: str
    sop_uids: tuple[str, ...]
    files: tuple[Path, ...]
    name: str
    header: SeriesHeader
    notes: tuple[str, ...]
    placed: bool
    stack: Stack = field(repr=False)
    copies: tuple[tuple[Frame, Frame], ...] = field(repr=False, default=())

    def read(self, *, allow_unplaced: bool = False) -> Volume:
        """Decode the pixels, rescaled, on the grid that the headers describe.

        Raises
        ------
        DicomError
            Where a file cannot be decoded, copies of a slice differ or two knees are seen; and for a volume without
            position unless ``allow_unplaced``.
        """
        if not (self.placed or allow_unplaced):
            raise DicomError(f"{self.name}: the header has no position; nothing can be measured on this volume.")
        try:
            volume = Volume(data=read_pixels(self.stack, self.copies), grid=self.stack.grid)
        except DicomError as error:
            raise DicomError(f"{self.name}: {error}") from error
        if self.placed and holds_two_knees(volume):
            slices = f"{self.stack.frames[0].label} to {self.stack.frames[-1].label}"
            raise DicomError(f"{self.name}: two knees lie in one field of view ({slices}); crop to one knee first.")
        return volume


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scan:
    """Everything that a folder holds: volumes by series number, and what was refused."""

    volumes: tuple[FoundVolume, ...]
    refused: tuple[Refusal, ...]


def scan(root: Path) -> Scan:
    """Find the MR volumes below a folder, or in one file or zip archive; no pixel is read.

    Raises
    ------
    DicomError
        Where ``root`` does not exist. Everything wrong below it is a :class:`Refusal`.
    """
    paths, refused = find_files(root)
    series: dict[str, list[FileHeader]] = defaultdict(list)
    with quiet(), ThreadPoolExecutor(THREADS) as pool:
        for path, found in zip(paths, pool.map(_try_header, paths), strict=True):
            if isinstance(found, FileHeader):
                series[found.series_uid].append(found)
            else:
                refused.append(refuse(path, root, found))
        volumes = [v for headers in series.values() for v in _volumes(headers, root, refused)]
    volumes.sort(key=lambda v: (v.header.series_number or 0, v.name, v.header.echo_ms or 0.0, v.series_uid))
    names = unique([v.name for v in volumes])
    return Scan(volumes=tuple(_renamed(v, n) for v, n in zip(volumes, names, strict=True)), refused=tuple(refused))


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


def _try_header(path: Path) -> FileHeader | DicomError:
    try:
        return read_header(path)
    except DicomError as error:
        return error
    except (OSError, ValueError):
        return DicomError("the file cannot be read.")


def _kind(error: Exception) -> RefusalKind:
    kinds: dict[type[Exception], RefusalKind] = {
        NotDicomError: RefusalKind.NOT_DICOM,
        NotMrError: RefusalKind.NOT_MR,
        HostileFileError: RefusalKind.HOSTILE,
    }
    return kinds.get(type(error), RefusalKind.UNREADABLE)


def _relative(path: Path, root: Path) -> str:
    """Name a file below ``root``, printable whatever its bytes are."""
    name = path.name if path == root else path.relative_to(root).as_posix()
    return name.encode("utf-8", "backslashreplace").decode()


def _refusal(path: Path, root: Path, reason: str, kind: RefusalKind) -> Refusal:
    name = _relative(path, root)
    return Refusal(name=name, reason=reason, kind=kind, files=(name,))


def _volumes(headers: Sequence[FileHeader], root: Path, refused: list[Refusal]) -> Iterator[FoundVolume]:
    """Yield the volumes of one series; add to ``refused`` what is none."""
    by_file = {f.path: h for h in headers for f in h.frames}
    frames, copies = drop_copies([f for h in headers for f in h.frames])
    candidates = group(frames)
    echoes = sorted({f.echo_ms for f in frames if f.echo_ms is not None})
    for candidate in candidates:
        kept = {id(f) for f in candidate}
        pairs = tuple(pair for pair in copies if id(pair[0]) in kept)
        try:
            stack = build(candidate)
            _check_copies(pairs)
        except DicomError as error:
            files = tuple(sorted({_relative(f.path, root) for f in candidate}))
            refused.append(Refusal(name=files[0], reason=str(error), kind=RefusalKind.GEOMETRY, files=files))
            continue
        yield _found(stack, pairs, by_file[stack.frames[0].path], echoes, len(frames))


def _check_copies(pairs: Sequence[tuple[Frame, Frame]]) -> None:
    """Refuse copies of a slice that disagree about where it lies."""
    for kept, copy in pairs:
        if any(getattr(kept, k) != getattr(copy, k) for k in ("position", "orientation", "rows", "columns", "echo_ms")):
            raise DicomError(f"{kept.label} and {copy.label} carry one identifier but differ in position or size.")


def _found(
    stack: Stack, copies: tuple[tuple[Frame, Frame], ...], file: FileHeader, echoes: Sequence[float], in_series: int
) -> FoundVolume:
    header = series_header(stack, file.get)
    first = stack.frames[0]
    echo = ""
    if len(echoes) > 1 and first.echo_ms is not None:
        echo = f"e{echoes.index(first.echo_ms) + 1}"
    component = "" if first.component == "magnitude" else first.component[:4]
    derived = "derived" if first.image_type[:1] == ("DERIVED",) else ""
    localizer = "localizer" if "LOCALIZER" in first.image_type else ""
    notes = list(stack.notes)
    if copies:
        notes.append(f"{len(copies)} files are copies of slices that are there already; not used")
    claimed = first.in_acquisition
    if claimed and claimed > in_series:
        notes.append(f"the header announces {claimed} images, this series holds {in_series}")
    if header.lossy:
        notes.append("the pixels were compressed with loss")
    if header.burned_in:
        notes.append("the header says that text is burned into the pixels")
    return FoundVolume(
        series_uid=header.series_uid,
        sop_uids=tuple(dict.fromkeys(f.sop_uid for f in stack.frames)),
        files=tuple(dict.fromkeys(f.path for f in stack.frames)),
        name=stem(header.series_number, header.description, header.plane, (localizer, derived, component, echo)),
        header=header,
        notes=tuple(notes),
        placed=stack.placed,
        stack=stack,
        copies=copies,
    )


def _renamed(volume: FoundVolume, name: str) -> FoundVolume:
    return volume if volume.name == name else replace(volume, name=name)


def matching_volume(found: Scan, grid: Grid) -> FoundVolume:
    """Return the one volume whose voxels a label map on ``grid`` lies on, whole or in part.

    Echoes of one series share their voxels: the first of them is returned.

    Raises
    ------
    DicomError
        Where no volume, or volumes of several series, fit.
    """
    fitting = [v for v in found.volumes if v.placed and _shares_voxels(v.stack.grid, grid)]
    series = {v.series_uid for v in fitting}
    if len(series) != 1:
        names = ", ".join(v.name for v in fitting) or "none"
        raise DicomError(f"expected one series on the grid of the label map, found {len(series)} ({names}).")
    return fitting[0]


def _shares_voxels(series: Grid, labels: Grid) -> bool:
    """Whether both ends of ``labels`` fall on voxels of ``series``."""
    ends = apply_affine(labels.affine, np.array([np.zeros(3), np.array(labels.shape) - 1.0]))
    voxels = apply_affine(np.asarray(np.linalg.inv(series.affine)), ends)
    inside = (voxels > -0.5).all() and (voxels < np.array(series.shape) - 0.5).all()
    return bool(inside and np.abs(voxels - np.rint(voxels)).max() < 0.05)
