"""Headers of one series -> the volumes it holds, and what was refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mriseg.dicom.account import listed
from mriseg.dicom.content import blank_inside, holds_two_knees
from mriseg.dicom.describe import patient_key, series_header
from mriseg.dicom.grouping import drop_copies, echo_key, echo_numbers, group, kind
from mriseg.dicom.headers import FileHeader
from mriseg.dicom.lost import LostFile
from mriseg.dicom.naming import stem
from mriseg.dicom.pixels import as_slices, read_pixels
from mriseg.dicom.records import Frame, Refusal, RefusalKind, SeriesHeader
from mriseg.dicom.series import Series
from mriseg.dicom.stacks import Stack, build
from mriseg.dicom.values import number, text
from mriseg.dicom.walk import relative_name
from mriseg.errors import DicomError
from mriseg.types import Grid, Volume


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

    @property
    def grid(self) -> Grid:
        """Where the voxels lie."""
        return self.stack.grid

    def read(self, *, allow_unplaced: bool = False) -> Volume:
        """Decode the pixels, rescaled, on the grid that the headers describe.

        Raises
        ------
        DicomError
            Where a file cannot be decoded, copies of a slice differ, a slice is blank or two knees are seen; and for a
            volume without position unless ``allow_unplaced``.
        """
        if not (self.placed or allow_unplaced):
            raise DicomError(f"{self.name}: the header has no position; nothing can be measured on this volume.")
        try:
            volume = Volume(data=read_pixels(self.stack, self.copies), grid=self.stack.grid)
        except DicomError as error:
            raise DicomError(f"{self.name}: {error}") from error
        blank = [self.stack.frames[k].label for k in blank_inside(as_slices(volume.data, self.stack))]
        if blank:
            raise DicomError(
                f"{self.name}: {len(blank)} slices between others hold no image ({listed(blank, 6)}); the files are "
                "damaged. Copy them again."
            )
        if self.placed and holds_two_knees(volume):
            slices = f"{self.stack.frames[0].label} to {self.stack.frames[-1].label}"
            raise DicomError(f"{self.name}: two knees lie in one field of view ({slices}); crop to one knee first.")
        return volume


def volumes_of(
    series: Series, root: Path, refused: list[Refusal], lost: Sequence[LostFile] = ()
) -> Iterator[FoundVolume]:
    """Yield the volumes of one series; add to ``refused`` what is none.

    What is left of a stack of which a part was refused is refused too: it is a piece of a knee that looks whole. So are
    slices among which files lie that cannot be read (``lost``).
    """
    headers = series.headers
    by_file = {f.path: h for h in headers for f in h.frames}
    frames, copies = drop_copies([f for h in headers for f in h.frames])

    def refuse(slices: Sequence[Frame], reason: str) -> None:
        files = tuple(sorted({relative_name(f.path, root) for f in slices}))
        because = f"{series.note}; {reason}" if series.note else reason
        refused.append(Refusal(name=files[0], reason=because, kind=RefusalKind.GEOMETRY, files=files))

    mixed = _mixed(headers)
    if mixed:
        refuse(frames, mixed)
        return
    in_series = frozenset(f.instance for f in frames if f.instance is not None)
    stacks, torn = [], set()
    for candidate in group(frames):
        kept = {id(f) for f in candidate}
        pairs = tuple(pair for pair in copies if id(pair[0]) in kept)
        try:
            stack = build(candidate, in_series)
            _check_copies(pairs)
            stacks.append((stack, pairs))
        except DicomError as error:
            refuse(candidate, str(error))
            torn.add(kind(candidate[0]))
    if lost and stacks:
        refuse([f for stack, _ in stacks for f in stack.frames], _missed(lost, root))
        return
    echoes = echo_numbers(frames)
    for stack, pairs in stacks:
        if kind(stack.frames[0]) in torn:
            refuse(stack.frames, "the other slices of this stack were refused; a part of it is no volume.")
        else:
            file = by_file[stack.frames[0].path]
            yield _found(stack, pairs, file, note=series.note, echoes=echoes, in_series=len(frames))


def _missed(lost: Sequence[LostFile], root: Path) -> str:
    names = listed([relative_name(each.path, root) for each in lost], 6)
    return (
        f"slices may be missing: {len(lost)} files that lie among them cannot be read ({names}). "
        "Copy them again, or take them out where they are none of its slices."
    )


def _mixed(headers: Sequence[FileHeader]) -> str:
    """Say which files carry the series identifier of another patient or study; "" where none does."""
    owners = [(patient_key(h.get), text(h.get("StudyInstanceUID"))) for h in headers]
    strangers = [h.frames[0].label for h, owner in zip(headers, owners, strict=True) if owner != owners[0]]
    if not strangers:
        return ""
    return f"one series identifier for several patients or studies: {', '.join(strangers[:6])} differ from the others."


def _check_copies(pairs: Sequence[tuple[Frame, Frame]]) -> None:
    """Refuse copies of a slice that disagree about where it lies."""
    for kept, copy in pairs:
        if any(getattr(kept, k) != getattr(copy, k) for k in ("position", "orientation", "rows", "columns", "echo_ms")):
            raise DicomError(f"{kept.label} and {copy.label} carry one identifier but differ in position or size.")


def _found(
    stack: Stack,
    copies: tuple[tuple[Frame, Frame], ...],
    file: FileHeader,
    *,
    note: str,
    echoes: Mapping[float, int],
    in_series: int,
) -> FoundVolume:
    header = series_header(stack, file.get)
    first = stack.frames[0]
    echo = ""
    if len(echoes) > 1 and first.echo_ms is not None:
        echo = f"e{sorted(echoes).index(echo_key(first.echo_ms)) + 1}"
        header = replace(header, echo_number=echoes[echo_key(first.echo_ms)])
    component = "" if first.component == "magnitude" else first.component[:4]
    derived = "derived" if header.derived else ""
    localizer = "localizer" if header.localizer else ""
    notes = [note, *stack.notes] if note else list(stack.notes)
    if copies:
        notes.append(f"{len(copies)} files are copies of slices that are there already; not used")
    claimed = first.in_acquisition
    if claimed and claimed > in_series:
        notes.append(f"the header announces {claimed} images, this series holds {in_series}")
    if len({(f.slope, f.intercept, f.philips_slope) for f in stack.frames}) > 1:
        notes.append("the scaling of the pixels differs between slices; the sidecar has that of the first")
    if number(file.get("RescaleSlope")) == 0:
        notes.append("RescaleSlope is 0, which would leave no image; taken as 1")
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
