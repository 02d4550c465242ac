"""NIfTI files to and from the types; the only place that reads or writes them."""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Mapping
from pathlib import Path

import nibabel as nib
import numpy as np
from isal import igzip_threaded
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from mriseg.errors import GeometryError, SegmentationError
from mriseg.files import replacing
from mriseg.types import Array, Grid, Label, LabelMap, Volume, distinct

SLAB = 16
GZIP = b"\x1f\x8b"


def read_volume(path: Path) -> Volume:
    """Read a 3D NIfTI image, scaled to its real values.

    Raises
    ------
    GeometryError
        Where the file is no readable 3D image or its affine is unusable; the message names the file.
    """
    data, grid = _read(path)
    try:
        return Volume(data=data.astype(np.float32), grid=grid)
    except GeometryError as error:
        raise GeometryError(f"{path.name}: {error}") from error


def read_grid(path: Path) -> Grid:
    """Read where a 3D NIfTI image lies, without its voxels.

    Raises
    ------
    GeometryError
        As :func:`read_volume`.
    """
    try:
        image = nib.load(path)
        return Grid(shape=image.shape[:3], affine=image.affine)
    except (FileNotFoundError, ImageFileError, OSError, EOFError, ValueError, zlib.error, GeometryError) as error:
        raise GeometryError(f"{path.name}: not a readable 3D NIfTI file.") from error


def read_label_map(path: Path, values: Mapping[int, int] | None = None) -> LabelMap:
    """Read a 3D NIfTI label map.

    Parameters
    ----------
    path : Path
        A file of whole numbers.
    values : mapping, optional
        Value in the file -> :class:`Label` value or 0. Values outside of it must already be labels. None keeps the
        file's values, with 7, 8, 9 (lesion inside femur, tibia, patella) counted as bone.

    Raises
    ------
    SegmentationError
        Where the file holds fractions or values that no label is known for.
    GeometryError
        As :func:`read_volume`.
    """
    data, grid = _read(path)
    whole = _whole_numbers(data, path.name)
    mapping = LESIONS_ARE_BONE if values is None else values
    found = distinct(whole)
    unknown = [v for v in found if v not in mapping and v not in {0, *Label}]
    if unknown:
        raise SegmentationError(
            f"{path.name}: found the label values {unknown}, expected 0 to {max(Label)}. "
            "Map them in [segment.labels] of study.toml."
        )
    label_of = np.zeros(found[-1] - found[0] + 1, dtype=np.uint8)
    for value in found:
        label_of[value - found[0]] = mapping.get(value, value)
    return LabelMap(data=label_of[whole - found[0]] if found[0] else label_of[whole], grid=grid)


def _whole_numbers(data: Array, name: str) -> Array:
    """Return ``data`` as integers; an error where it holds fractions or NaN."""
    if data.dtype.kind in "iub":
        return data
    whole = np.rint(data)
    if not np.isfinite(data).all() or np.abs(data - whole).max(initial=0) > 1e-3:
        raise SegmentationError(f"{name}: a label map needs whole numbers, found fractions or NaN.")
    return whole.astype(np.int64)


LESIONS_ARE_BONE: Mapping[int, int] = {7: Label.FEMUR, 8: Label.TIBIA, 9: Label.PATELLA}


def write_volume(path: Path, volume: Volume) -> None:
    """Write an image as float32 NIfTI with sform equal to qform, atomically."""
    _write(path, volume.data, volume.grid)


def write_label_map(path: Path, label_map: LabelMap) -> None:
    """Write a label map as uint8 NIfTI with sform equal to qform, atomically."""
    _write(path, label_map.data, label_map.grid)


def is_cut_short(path: Path) -> bool:
    """Whether a NIfTI file is empty, ends before its voxels do, or is compressed and damaged.

    A file of any other kind is not cut short.
    """
    try:
        with path.open("rb") as raw:
            compressed = raw.read(2) == GZIP
        with gzip.open(path) if compressed else path.open("rb") as file:
            content = file.read()
    except (EOFError, zlib.error, gzip.BadGzipFile):
        return True
    if len(content) < nib.Nifti1Header.template_dtype.itemsize:
        return compressed or not content
    try:
        header = nib.Nifti1Header(content[: nib.Nifti1Header.template_dtype.itemsize])
        needed = header.get_data_offset() + math.prod(header.get_data_shape()) * header.get_data_dtype().itemsize
    except (ImageFileError, HeaderDataError, WrapStructError):
        return False
    return bool(len(content) < needed)


def _read(path: Path) -> tuple[Array, Grid]:
    try:
        image = nib.load(path)
        data = np.asarray(image.dataobj)
    except FileNotFoundError as error:
        raise GeometryError(f"{path.name}: no such file.") from error
    except (ImageFileError, OSError, EOFError, ValueError, zlib.error) as error:
        raise GeometryError(f"{path.name}: not a readable NIfTI file (truncated or another format).") from error
    while data.ndim > 3 and data.shape[-1] == 1:
        data = data[..., 0]
    if data.ndim != 3:
        raise GeometryError(f"{path.name}: expected a 3D image, found shape {data.shape}.")
    try:
        return data, Grid(shape=data.shape, affine=image.affine)
    except GeometryError as error:
        raise GeometryError(f"{path.name}: {error}") from error


def _write(path: Path, data: Array, grid: Grid) -> None:
    image = nib.Nifti1Image(data, grid.affine)
    image.header.set_xyzt_units("mm", "sec")
    image.set_qform(grid.affine, code=1)
    image.set_sform(image.get_qform(), code=1)
    with replacing(path) as partial:
        if path.suffix != ".gz":
            nib.save(image, partial)
            return
        # Deflate takes most of the time of a conversion; igzip needs a third of zlib's, at the same size.
        with igzip_threaded.open(partial, "wb", compresslevel=1, threads=2) as file:
            image.header.write_to(file)
            for low in range(0, data.shape[2], SLAB):
                # The first axis runs fastest in the file; slabs bound the memory that turning takes.
                file.write(np.ascontiguousarray(data[:, :, low : low + SLAB].T))
