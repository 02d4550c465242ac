"""Headers of one series -> the volumes it holds, and what was refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mriseg.dicom.content import holds_two_knees
from mriseg.dicom.describe import series_header
from mriseg.dicom.grouping import drop_copies, group
from mriseg.dicom.headers import FileHeader
from mriseg.dicom.naming import stem
from mriseg.dicom.pixels import read_pixels
from mriseg.dicom.records import Frame, Refusal, RefusalKind, SeriesHeader
from mriseg.dicom.stacks import Stack, build
from mriseg.dicom.walk import relative_name
from mriseg.errors import DicomError
from mriseg.types import Volume


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


def volumes_of(headers: Sequence[FileHeader], root: Path, refused: list[Refusal]) -> Iterator[FoundVolume]:
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
            files = tuple(sorted({relative_name(f.path, root) for f in candidate}))
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
