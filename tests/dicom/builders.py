"""Small DICOM series with known voxels and positions, written with pydicom alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import (
    UID,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    generate_uid,
)

PLANES = {
    "axial": ((1, 0, 0), (0, 1, 0)),
    "axial-feet-first": ((1, 0, 0), (0, -1, 0)),
    "coronal": ((1, 0, 0), (0, 0, -1)),
    "sagittal": ((0, 1, 0), (0, 0, -1)),
}


def rotated(plane: str, *degrees: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Directions of a plane turned about x, then y, then z."""
    matrix = np.eye(3)
    for axis, angle in enumerate(degrees):
        a, b = [i for i in range(3) if i != axis]
        turn = np.eye(3)
        turn[a, a] = turn[b, b] = np.cos(np.radians(angle))
        turn[a, b], turn[b, a] = -np.sin(np.radians(angle)), np.sin(np.radians(angle))
        matrix = turn @ matrix
    x, y = PLANES[plane]
    return tuple(matrix @ x), tuple(matrix @ y)


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A stack of slices: (slices, rows, columns) voxels, LPS directions, mm."""

    shape: tuple[int, int, int] = (6, 9, 7)
    directions: tuple[tuple[float, ...], tuple[float, ...]] = PLANES["sagittal"]
    pixel_mm: tuple[float, float] = (0.5, 0.4)
    slice_mm: float = 1.5
    origin: tuple[float, float, float] = (-31.25, -60.5, 44.0)
    seed: int = 1
    signed: bool = False
    stored_bits: int = 12

    @property
    def pixels(self) -> np.ndarray:
        """Stored values, (slices, rows, columns)."""
        low, high = (
            (-(2 ** (self.stored_bits - 1)), 2 ** (self.stored_bits - 1)) if self.signed else (0, 2**self.stored_bits)
        )
        high -= 256  # room for what echoes add
        values = np.random.default_rng(self.seed).integers(low, high, self.shape)
        return values.astype(np.int16 if self.signed else np.uint16)

    def position(self, k: int) -> np.ndarray:
        """LPS mm of the first pixel of slice ``k``."""
        normal = np.cross(*self.directions)
        return np.asarray(self.origin) + k * self.slice_mm * normal

    @property
    def affine(self) -> np.ndarray:
        """(4, 4), column, row, slice -> RAS mm."""
        result = np.eye(4)
        result[:3, 0] = np.asarray(self.directions[0]) * self.pixel_mm[1]
        result[:3, 1] = np.asarray(self.directions[1]) * self.pixel_mm[0]
        result[:3, 2] = np.cross(*self.directions) * self.slice_mm
        result[:3, 3] = self.origin
        return np.diag([-1.0, -1.0, 1.0, 1.0]) @ result


def common(stack: Stack, number: int = 3) -> Dataset:
    """Everything a file of a series holds except geometry and pixels."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.Modality = "MR"
    ds.Manufacturer = "SIEMENS"
    ds.ManufacturerModelName = "Prisma"
    ds.PatientName = "Doe^Jane"
    ds.PatientID = "MRN-1"
    ds.PatientPosition = "HFS"
    ds.StudyInstanceUID = generate_uid(entropy_srcs=[f"study {stack.seed}"])
    ds.SeriesInstanceUID = generate_uid(entropy_srcs=[f"series {stack.seed} {number}"])
    ds.FrameOfReferenceUID = generate_uid(entropy_srcs=[f"frame {stack.seed}"])
    ds.SeriesNumber = number
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = "20240310"
    ds.StudyTime = ds.SeriesTime = ds.AcquisitionTime = "101112"
    ds.SeriesDescription = "SAG 3D DESS"
    ds.ProtocolName = "dess"
    ds.MRAcquisitionType = "3D"
    ds.ScanningSequence = "GR"
    ds.SequenceVariant = "SP"
    ds.MagneticFieldStrength = 3
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows, ds.Columns = stack.shape[1:]
    ds.BitsAllocated = 16
    ds.BitsStored = stack.stored_bits
    ds.HighBit = stack.stored_bits - 1
    ds.PixelRepresentation = int(stack.signed)
    return ds


def decimals(values: Iterable[float]) -> list[str]:
    """Decimal strings of at most 16 characters, as scanners write them."""
    return [f"{v:.10g}"[:16] for v in values]


def classic(stack: Stack, *, number: int = 3, echo: int = 1, **elements: object) -> list[Dataset]:
    """One file a slice, in the order of position; ``elements`` are set in all of them."""
    result = []
    for k, pixels in enumerate(stack.pixels):
        ds = common(stack, number)
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = MRImageStorage
        ds.SOPInstanceUID = generate_uid(entropy_srcs=[f"{stack.seed} {number} {echo} {k}"])
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        ds.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND"]
        ds.InstanceNumber = k + 1
        ds.AcquisitionNumber = 1
        ds.EchoNumbers = echo
        ds.EchoTime = decimals([4.5 * echo])[0]
        ds.RepetitionTime = "16.3"
        ds.FlipAngle = "25"
        ds.ImagePositionPatient = decimals(stack.position(k))
        ds.ImageOrientationPatient = decimals([*stack.directions[0], *stack.directions[1]])
        ds.PixelSpacing = decimals(stack.pixel_mm)
        ds.SliceThickness = decimals([stack.slice_mm])[0]
        ds.PixelData = pixels.tobytes()
        ds["PixelData"].VR = "OW"
        for name, value in elements.items():
            setattr(ds, name, value)
        result.append(ds)
    return result


def join(first: Dataset, others: Iterable[Dataset]) -> None:
    """Make ``others`` belong to the series, study and frame of reference of ``first``."""
    for ds in others:
        for name in ("SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID"):
            setattr(ds, name, getattr(first, name))


def item(**elements: object) -> DicomSequence:
    """A sequence of one item."""
    ds = Dataset()
    for name, value in elements.items():
        setattr(ds, name, value)
    return DicomSequence([ds])


def enhanced(stack: Stack, *, echoes: Sequence[float] = (4.5,), order: Sequence[int] | None = None) -> Dataset:
    """One multi-frame file: all slices of all echoes, in any ``order``; echo e is the stack's pixels plus 100 e."""
    ds = common(stack)
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[f"enhanced {stack.seed}"])
    ds.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    ds.InstanceNumber = 1
    ds.AcquisitionDateTime = "20240310101112"
    shared = Dataset()
    shared.PixelMeasuresSequence = item(
        PixelSpacing=decimals(stack.pixel_mm), SliceThickness=decimals([stack.slice_mm])[0]
    )
    shared.PlaneOrientationSequence = item(
        ImageOrientationPatient=decimals([*stack.directions[0], *stack.directions[1]])
    )
    shared.MRTimingAndRelatedParametersSequence = item(RepetitionTime="16.3", FlipAngle="25")
    shared.PixelValueTransformationSequence = item(RescaleIntercept="0", RescaleSlope="1", RescaleType="US")
    ds.SharedFunctionalGroupsSequence = DicomSequence([shared])
    frames, pixels = [], []
    cells = [(e, k) for e in range(len(echoes)) for k in range(stack.shape[0])]
    for n, (e, k) in enumerate(cells[i] for i in (order if order is not None else range(len(cells)))):
        frame = Dataset()
        frame.FrameContentSequence = item(
            StackID="1",
            InStackPositionNumber=k + 1,
            FrameAcquisitionNumber=1,
            TemporalPositionIndex=1,
            DimensionIndexValues=[1, k + 1, e + 1],
            FrameReferenceDateTime="20240310101112",
        )
        frame.PlanePositionSequence = item(ImagePositionPatient=decimals(stack.position(k)))
        frame.MREchoSequence = item(EffectiveEchoTime=float(echoes[e]))
        frame.MRImageFrameTypeSequence = item(
            FrameType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"], ComplexImageComponent="MAGNITUDE"
        )
        frames.append(frame)
        pixels.append(stack.pixels[k] + np.uint16(100 * e))
        del n
    ds.PerFrameFunctionalGroupsSequence = DicomSequence(frames)
    organization = generate_uid(entropy_srcs=["dimensions"])
    ds.DimensionOrganizationSequence = item(DimensionOrganizationUID=organization)
    ds.DimensionIndexSequence = DicomSequence(
        [
            item(
                DimensionOrganizationUID=organization,
                DimensionIndexPointer=tag,
                FunctionalGroupPointer=group,
            )[0]
            for tag, group in ((0x00209056, 0x00209111), (0x00209057, 0x00209111), (0x00189082, 0x00189114))
        ]
    )
    ds.NumberOfFrames = len(frames)
    ds.PixelData = np.stack(pixels).astype(stack.pixels.dtype).tobytes()
    ds["PixelData"].VR = "OW"
    return ds


def save(datasets: Iterable[Dataset], folder: Path, *, syntax: UID | None = None, suffix: str = ".dcm") -> list[Path]:
    """Write files named by their order; ``syntax`` compresses them first."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for i, ds in enumerate(datasets):
        if syntax is not None and syntax.is_encapsulated:
            ds.compress(syntax, generate_instance_uid=False)
        elif syntax is not None:
            ds.file_meta.TransferSyntaxUID = syntax
        path = folder / f"im{i:04d}{suffix}"
        ds.save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths
