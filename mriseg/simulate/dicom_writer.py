"""Write a volume as classic single-frame MR DICOM, the way a scanner exports a sagittal series."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, MRImageStorage, generate_uid

from mriseg.geometry import RAS_LPS, reorient
from mriseg.simulate.signal import Sequence, SequenceName
from mriseg.types import Array, FloatArray, Side, Volume

SCANNING = {
    SequenceName.DESS: ("GR", ["SS", "SP", "OSP"], "3D", "PFP"),
    SequenceName.SPGR: ("GR", ["SP", "OSP"], "3D", "FS"),
    SequenceName.TSE_FS: ("SE", ["SK", "SP", "OSP"], "2D", "FS"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesInfo:
    """What the headers of one series say.

    ``participant``, ``visit`` and ``trial`` are study ids; ``seed`` makes the UIDs; ``number`` is the series number.
    """

    trial: str
    participant: str
    visit: str
    site: str
    side: Side
    date: date
    sequence: Sequence
    description: str
    number: int
    seed: int


def sagittal_slices(volume: Volume) -> Iterator[tuple[Array, FloatArray]]:
    """Cut a volume into DICOM slices, from right to left as it is stored.

    Yields
    ------
    pixels : array, (rows, columns)
        Rows run to inferior, columns to posterior.
    affine : array, (4, 4)
        (column, row, slice 0) -> LPS mm of that slice.
    """
    canonical = reorient(volume)
    i, j, k = canonical.grid.shape
    lps = RAS_LPS @ canonical.grid.affine
    for n in range(i):
        pixels = canonical.data[n, ::-1, ::-1].T
        affine = np.eye(4)
        affine[:3, 0], affine[:3, 1], affine[:3, 2] = -lps[:3, 1], -lps[:3, 2], lps[:3, 0]
        affine[:3, 3] = (lps @ np.array([n, j - 1, k - 1, 1.0]))[:3]
        yield pixels, affine


def write_series(folder: Path, volume: Volume, info: SeriesInfo, *, compress: bool) -> list[Path]:
    """Write one file a slice into ``folder``; returns the files.

    Pixels are 12-bit unsigned without rescale. ``compress`` stores them as lossless JPEG 2000.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    series_uid = _uid(info, "series", str(info.number))
    for n, (pixels, affine) in enumerate(sagittal_slices(volume), start=1):
        dataset = _slice_dataset(info, series_uid, n, np.clip(np.rint(pixels), 0, 4095).astype(np.uint16), affine)
        if compress:
            dataset.compress(JPEG2000Lossless, generate_instance_uid=False)
        path = folder / f"IM_{info.number:02d}_{n:04d}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        files.append(path)
    return files


def _uid(info: SeriesInfo, *what: str) -> str:
    return str(generate_uid(entropy_srcs=[info.trial, str(info.seed), info.participant, info.visit, *what]))


def _slice_dataset(info: SeriesInfo, series_uid: str, n: int, pixels: Array, affine: FloatArray) -> Dataset:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = MRImageStorage
    ds.SOPClassUID = MRImageStorage
    ds.SOPInstanceUID = _uid(info, "instance", str(info.number), str(n))
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.StudyInstanceUID = _uid(info, "study")
    ds.SeriesInstanceUID = series_uid
    ds.FrameOfReferenceUID = _uid(info, "frame")
    _identify(ds, info, n)
    _describe_sequence(ds, info.sequence)
    _place(ds, affine)
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows, ds.Columns = pixels.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.WindowCenter, ds.WindowWidth = "300", "600"
    ds.PixelData = np.ascontiguousarray(pixels).tobytes()
    ds["PixelData"].VR = "OW"
    return ds


def _identify(ds: Dataset, info: SeriesInfo, n: int) -> None:
    day = info.date.strftime("%Y%m%d")
    ds.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND"]
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = day
    ds.StudyTime = ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = f"09{info.number:02d}00"
    ds.AccessionNumber = ""
    ds.ReferringPhysicianName = ""
    ds.Modality = "MR"
    ds.Manufacturer = "mriseg simulate"
    ds.ManufacturerModelName = "digital 3T"
    ds.DeviceSerialNumber = "0"
    ds.SoftwareVersions = version("mriseg")
    ds.InstitutionName = info.site
    ds.PatientName = ds.PatientID = info.participant
    ds.PatientBirthDate = ""
    ds.PatientSex = ""
    ds.PatientIdentityRemoved = "YES"
    ds.DeidentificationMethod = "no patient: simulated"
    ds.BodyPartExamined = "KNEE"
    ds.Laterality = info.side.value
    ds.PatientPosition = "FFS"
    ds.ClinicalTrialSponsorName = "mriseg"
    ds.ClinicalTrialProtocolID = info.trial
    ds.ClinicalTrialSiteID = info.site
    ds.ClinicalTrialSubjectID = info.participant
    ds.ClinicalTrialTimePointID = info.visit
    ds.StudyID = "1"
    ds.SeriesNumber = info.number
    ds.AcquisitionNumber = 1
    ds.InstanceNumber = n
    ds.StudyDescription = f"KNEE {'LEFT' if info.side is Side.LEFT else 'RIGHT'}"
    ds.SeriesDescription = ds.ProtocolName = info.description


def _describe_sequence(ds: Dataset, sequence: Sequence) -> None:
    kind, variant, dimension, options = SCANNING[sequence.name]
    ds.ScanningSequence = kind
    ds.SequenceVariant = variant
    ds.ScanOptions = options
    ds.MRAcquisitionType = dimension
    ds.RepetitionTime = f"{sequence.tr:g}"
    ds.EchoTime = f"{sequence.te:g}"
    ds.EchoNumbers = 1
    ds.EchoTrainLength = 7 if sequence.name is SequenceName.TSE_FS else 1
    ds.FlipAngle = f"{sequence.flip_deg:g}"
    ds.NumberOfAverages = 1
    ds.ImagingFrequency = "123.25"
    ds.ImagedNucleus = "1H"
    ds.MagneticFieldStrength = 3
    ds.ReceiveCoilName = "KNEE"


def _place(ds: Dataset, affine: FloatArray) -> None:
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    ds.ImagePositionPatient = [_decimal(v) for v in affine[:3, 3]]
    ds.ImageOrientationPatient = [_decimal(v) for v in [*(affine[:3, 0] / spacing[0]), *(affine[:3, 1] / spacing[1])]]
    ds.PixelSpacing = [_decimal(spacing[1]), _decimal(spacing[0])]
    ds.SliceThickness = _decimal(spacing[2])
    ds.SpacingBetweenSlices = _decimal(spacing[2])
    normal = np.cross(affine[:3, 0], affine[:3, 1])
    ds.SliceLocation = _decimal(float(affine[:3, 3] @ normal / np.linalg.norm(normal)))


def _decimal(value: float) -> str:
    """Number as DICOM decimal string, at most 16 characters."""
    for digits in range(12, 3, -1):
        text = f"{value:.{digits}g}"
        if len(text) <= 16:
            return text
    return f"{value:.4g}"
