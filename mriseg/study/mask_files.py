"""Which file is the reader's label map of a visit: found by its name alone, and never passed over in silence."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from mriseg.errors import StudyError
from mriseg.study.paths import StudyPaths

Key = tuple[str, str]  # participant, visit

ENDINGS = (".nii.gz", ".nii", ".seg.nrrd", ".nrrd", ".mha", ".dcm")
SIDECAR = ".json"  # written beside label maps by mriseg and by BIDS
# Words that a name of a mask is made of, beside those that folders of images have: none of them names a patient.
WORDS = frozenset(
    """
    dseg seg segm segmentation segmentations segment label labels labelmap mask masks map maps desc corrected reader
    readers manual auto old new final copy backup draft test version wrong name unnamed untitled knee bone bones femur
    tibia patella cartilage cartilages left right nii gz nrrd nhdr mha mhd mgz mgh hdr stl vtk vtp raw zraw tif tiff mat
    npy npz json
    """.split()  # noqa: SIM905
)
TEXTS = {".txt", ".md", ".tsv", ".csv", ".ctbl", ".pdf", ".json", ".toml"}


def ending_of(path: Path) -> str:
    """Ending of a file that is read as a label map, in lower case; empty for any other."""
    return next((ending for ending in ENDINGS if path.name.lower().endswith(ending)), "")


def reader_file(paths: StudyPaths, participant: str, visit: str) -> Path | None:
    """Return the correction of a visit, or else the mask in ``masks/``; None where the visit has no file at all.

    Raises
    ------
    StudyError
        Where several files stand for the visit, or one that would not be read: none is passed over in silence.
    """
    where = f"{participant} {visit}"
    corrections = list(named_as(paths.corrected(participant, visit)))
    for kind, files in (("corrections", corrections), ("masks", list(named_as(paths.mask(participant, visit))))):
        if len(files) > 1:
            raise StudyError(f"{where}: found several {kind} ({_names(files)}). Keep one of them.")
        if files and not ending_of(files[0]):
            raise StudyError(f"{where}: {_not_read(files[0].name)}")
    beside = [f for f in named_as(paths.labels(participant, visit)) if f != paths.labels(participant, visit)]
    if beside:
        stem = _stem(paths.corrected(participant, visit))
        raise StudyError(
            f"{where}: {_names(beside)} lies beside the label map of this visit and is not read under this name. "
            f"Name it {stem} and its ending, or remove it."
        )
    if corrections:
        return corrections[0]
    exact = list(named_as(paths.mask(participant, visit)))
    if exact:
        return exact[0]
    unread = [f for f in mask_files(paths) if mentions(f, (participant, visit))]
    if unread:
        raise StudyError(f"{where}: {_misnamed(paths, unread[0], (participant, visit))}")
    return None


def correction_file(paths: StudyPaths, participant: str, visit: str) -> Path:
    """Return the correction of a visit, whatever its ending; the NIfTI file that mriseg would write where none is."""
    default = paths.corrected(participant, visit)
    return next(named_as(default), default)


def files_of_visit(paths: StudyPaths, participant: str, visit: str) -> tuple[Path, ...]:
    """Every file that :func:`reader_file` looks at: what is made of the visit is out of date when one changes."""
    found = [*named_as(paths.corrected(participant, visit)), *named_as(paths.mask(participant, visit))]
    return tuple(found or [f for f in mask_files(paths) if mentions(f, (participant, visit))])


def mask_files(paths: StudyPaths) -> tuple[Path, ...]:
    """All files under ``masks/`` but hidden ones, in order."""
    folder = paths.root / "masks"
    return tuple(
        f
        for f in sorted(folder.rglob("*"))
        if f.is_file() and not any(part.startswith(".") for part in f.relative_to(folder).parts)
    )


def reader_or_none(paths: StudyPaths, participant: str, visit: str) -> Path | None:
    """Return :func:`reader_file`, or None where it raises."""
    try:
        return reader_file(paths, participant, visit)
    except StudyError:
        return None


def no_mask(paths: StudyPaths, participant: str, visit: str) -> str:
    """Say that a mask is missing where ``study.toml`` asks for one."""
    return (
        f"{participant} {visit}: masks/{paths.mask(participant, visit).name} does not exist. "
        'Expected a reader\'s label map, since study.toml asks for method = "readers".'
    )


def named_as(path: Path) -> Iterator[Path]:
    """Files with the name of ``path`` and any ending but that of the JSON file beside it."""
    if path.parent.is_dir():
        for file in sorted(path.parent.iterdir()):
            if _stem(file) == _stem(path) and file.is_file() and file.suffix.lower() != SIDECAR:
                yield file


def _stem(path: Path) -> str:
    return path.name.split(".", 1)[0]


def mentions(file: Path, key: Key) -> bool:
    """Whether the name of a file speaks of a participant and a visit, however it is spelt."""
    if file.suffix.lower() in TEXTS:
        return False
    name = file.name.lower()
    if exact := re.match(r"(sub-[a-z0-9]+)_ses-([a-z0-9]+)_", name):
        return exact.groups() == (key[0].lower(), key[1].lower())
    words = set(re.split(r"[^a-z0-9]+", name))
    number, visit = key[0].lower().removeprefix("sub-"), key[1].lower()
    return bool(words & {number, f"sub{number}"}) and bool(words & {visit, f"ses{visit}"})


def shown_mask(paths: StudyPaths, file: Path, ids: Iterable[str]) -> str:
    """Return the path of a file under ``masks/`` where it is harmless, else a mark, as for names under ``dicom/``.

    ``ids`` are those of participants and visits, which the study itself gave.
    """
    from mriseg.dicom import shown  # pydicom only where a name has to be said

    ours = WORDS | {word for text in ids for word in _words(text)}
    parts = file.relative_to(paths.root).parts
    rest = ["-".join(word for word in _words(part) if word not in ours) for part in parts]
    return "/".join(part if shown(r) == r else shown(part) for part, r in zip(parts, rest, strict=True))


def _words(text: str) -> list[str]:
    """Runs of letters and of digits, in lower case."""
    return re.findall(r"[a-z]+|[0-9]+", text.lower())


def _misnamed(paths: StudyPaths, file: Path, key: Key) -> str:
    name = shown_mask(paths, file, key)
    if not ending_of(file):
        return _not_read(name)
    return (
        f"{name} is not read under this name. Name it masks/{_stem(paths.mask(*key))}{ending_of(file)}, or remove it."
    )


def _not_read(name: str) -> str:
    return f"{name}: its ending is not read. Save it as one of {', '.join(ENDINGS)}."


def _names(files: list[Path]) -> str:
    return ", ".join(f.name for f in files)
