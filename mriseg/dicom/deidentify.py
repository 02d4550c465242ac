"""Copy MR images without what identifies a patient (DICOM PS3.15 Annex E; the list is in :mod:`profile`)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset

from mriseg.dicom.headers import FileHeader, read_header
from mriseg.dicom.pseudonyms import Pseudonyms
from mriseg.dicom.records import Refusal
from mriseg.dicom.sources import open_dicom, quiet
from mriseg.dicom.stripping import strip
from mriseg.dicom.values import text
from mriseg.dicom.walk import find_files, refuse
from mriseg.errors import DicomError
from mriseg.files import replacing


@dataclass(frozen=True, slots=True, kw_only=True)
class Deidentified:
    """Files written, files left out, and warnings for a person to look at pixels."""

    written: tuple[Path, ...]
    refused: tuple[Refusal, ...]
    warnings: tuple[str, ...]


def deidentify(root: Path, out: Path, names: Pseudonyms) -> Deidentified:
    """Copy every MR image below ``root`` to ``out`` without identity.

    Folders and files are named by pseudonyms. What is no MR image (reports, documents, screen shots) is left out: it
    may hold identity in its content.

    Raises
    ------
    DicomError
        Where ``out`` lies inside ``root``.
    """
    if out.resolve().is_relative_to(root.resolve()):
        raise DicomError(f"{out.name}: the copy must not lie inside the folder that it is made of.")
    paths, refused = find_files(root)
    written, suspicious = [], Counter[str]()
    with quiet():
        for path in paths:
            try:
                header = read_header(path)
                dataset = _read(path)
                clean_copy = strip(dataset, names)
                target = _target(out, clean_copy)
                _save(clean_copy, target)
            except (DicomError, OSError) as error:
                refused.append(refuse(path, root, error))
                continue
            written.append(target)
            if _may_show_text(header):
                suspicious[f"{target.parent.relative_to(out)}"] += 1
    warnings = [f"{folder}: {n} images may show burned-in text; look at them" for folder, n in suspicious.items()]
    return Deidentified(written=tuple(written), refused=tuple(refused), warnings=tuple(warnings))


def _read(path: Path) -> FileDataset:
    with open_dicom(path) as file:
        try:
            return dcmread(file, force=True)
        except Exception as error:  # pydicom raises many types on damaged bytes; their text quotes header values
            raise DicomError(f"the file is damaged ({type(error).__name__}).") from error


def _target(out: Path, dataset: Dataset) -> Path:
    """Name the copy by pseudonyms alone."""
    number = int(dataset.get("SeriesNumber") or 0)
    folder = out / str(dataset.PatientID) / f"{dataset.StudyInstanceUID}"[-12:] / f"{number:04d}"
    return folder / f"{dataset.SOPInstanceUID}.dcm"


def _save(dataset: FileDataset, path: Path) -> None:
    try:
        with replacing(path) as partial:
            dataset.save_as(partial, enforce_file_format=True)
    except Exception as error:
        raise DicomError(f"the copy cannot be written ({type(error).__name__}).") from error


def _may_show_text(header: FileHeader) -> bool:
    """Whether a person should look at the pixels: text is announced, or not excluded in a picture made afterwards."""
    said = text(header.get("BurnedInAnnotation")).upper()
    kinds = {kind for frame in header.frames for kind in frame.image_type}
    made_later = bool(kinds & {"SECONDARY", "SCREEN SAVE"}) or text(header.get("ConversionType")) != ""
    return said == "YES" or (said != "NO" and made_later)
