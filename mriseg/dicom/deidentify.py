"""Copy MR images without what identifies a patient (DICOM PS3.15 Annex E; the list is in :mod:`profile`)."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset

from mriseg.dicom.account import Account
from mriseg.dicom.contents import CopyError
from mriseg.dicom.filenames import shown
from mriseg.dicom.headers import FileHeader, read_header
from mriseg.dicom.lost import LostFile, lost_by_series
from mriseg.dicom.pseudonyms import Pseudonyms
from mriseg.dicom.records import Refusal
from mriseg.dicom.sources import open_dicom, quiet
from mriseg.dicom.stripping import strip
from mriseg.dicom.values import text, whole
from mriseg.dicom.walk import find_files, refuse
from mriseg.errors import DicomError
from mriseg.files import replacing

IDENTIFIERS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deidentified:
    """Files written, which all exist, what became of the others, and warnings for a person."""

    written: tuple[Path, ...]
    account: Account
    warnings: tuple[str, ...]

    @property
    def refused(self) -> tuple[Refusal, ...]:
        """Files left out."""
        return self.account.refused


def deidentify(root: Path, out: Path, names: Pseudonyms) -> Deidentified:
    """Copy every MR image below ``root`` to ``out`` without identity.

    Folders and files are named by pseudonyms. What is no MR image (reports, documents, screen shots) is left out: it
    may hold identity in its content. So is an image whose identifiers are missing, or are those of another image that
    was copied before: its copy would take the place of the other. A copy that ``out`` holds already is kept.

    Raises
    ------
    DicomError
        Where ``out`` lies inside ``root``.
    """
    if out.resolve().is_relative_to(root.resolve()):
        raise DicomError(f"{out.name}: the copy must not lie inside the folder that it is made of.")
    paths, refused = find_files(root)
    written: dict[Path, Path] = {}
    suspicious: Counter[str] = Counter()
    lost: list[LostFile] = []
    with quiet():
        for path in paths:
            try:
                header = read_header(path)
                target = _copy(path, header, out, names, written)
            except Exception as error:  # nothing that one file holds may stop the others
                known = isinstance(error, DicomError | OSError)
                lost.append(LostFile(path=path, error=error if known else DicomError(_FAILED % type(error).__name__)))
                continue
            written[target] = path
            if _may_show_text(header):
                suspicious[f"{target.parent.relative_to(out)}"] += 1
    refused += [refuse(each.path, root, each.error) for each in lost]
    warnings = [f"{folder}: {n} images may show burned-in text; look at them" for folder, n in suspicious.items()]
    account = Account(read=len(written), refused=tuple(refused))
    return Deidentified(written=tuple(written), account=account, warnings=(*warnings, *_incomplete(written, lost, out)))


_FAILED = "the copy cannot be made (%s)."


def _copy(path: Path, header: FileHeader, out: Path, names: Pseudonyms, written: Mapping[Path, Path]) -> Path:
    """Write the copy of one image; return its path."""
    dataset = _read(path, header)
    missing = [name for name in IDENTIFIERS if not text(dataset.get(name))]
    if missing:
        raise DicomError(f"{', '.join(missing)} is missing: the copy could not be told from others. Export it again.")
    clean_copy = strip(dataset, names)
    target = _target(out, clean_copy)
    content = _encoded(clean_copy)
    same = target.exists() and target.read_bytes() == content
    if target in written and same:
        raise CopyError(
            f"the same image as {shown(written[target].name)}.", what="copy of an image that is there already"
        )
    if target in written:
        raise DicomError(
            f"has the SOPInstanceUID of {shown(written[target].name)}, whose copy it would replace. "
            "Export the images again with identifiers of their own."
        )
    if target.exists() and not same:
        raise DicomError("another copy with its identifiers is there already. Choose a new folder for the copies.")
    with replacing(target) as partial:
        partial.write_bytes(content)
    return target


def _incomplete(written: Mapping[Path, Path], lost: Sequence[LostFile], out: Path) -> list[str]:
    """Name the folders of copies among whose originals files lie that were not copied."""
    folders = list(dict.fromkeys(target.parent for target in written))
    among = lost_by_series(lost, {path: folders.index(target.parent) for target, path in written.items()}, {})
    return [
        f"{folders[n].relative_to(out)}: {len(files)} files that lie among its images could not be copied; "
        "the series may be incomplete"
        for n, files in sorted(among.items())
    ]


def _read(path: Path, header: FileHeader) -> FileDataset:
    with open_dicom(path, syntax=header.frames[0].syntax or None) as file:
        try:
            return dcmread(file, force=True)
        except Exception as error:  # pydicom raises many types on damaged bytes; their text quotes header values
            raise DicomError(f"the file is damaged ({type(error).__name__}).") from error


def _target(out: Path, dataset: Dataset) -> Path:
    """Name the copy by pseudonyms alone."""
    number = whole(dataset.get("SeriesNumber")) or 0
    folder = out / str(dataset.PatientID) / f"{dataset.StudyInstanceUID}"[-12:] / f"{number:04d}"
    return folder / f"{dataset.SOPInstanceUID}.dcm"


def _encoded(dataset: FileDataset) -> bytes:
    buffer = io.BytesIO()
    try:
        dataset.save_as(buffer, enforce_file_format=True)
    except Exception as error:  # pydicom raises many types on values that it cannot write
        raise DicomError(_FAILED % type(error).__name__) from error
    return buffer.getvalue()


def _may_show_text(header: FileHeader) -> bool:
    """Whether a person should look at the pixels: text is announced, or not excluded in a picture made afterwards."""
    said = text(header.get("BurnedInAnnotation")).upper()
    kinds = {kind for frame in header.frames for kind in frame.image_type}
    made_later = bool(kinds & {"SECONDARY", "SCREEN SAVE"}) or text(header.get("ConversionType")) != ""
    return said == "YES" or (said != "NO" and made_later)
