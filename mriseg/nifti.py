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

from mriseg.errors import GeometryError
from mriseg.files import replacing
from mriseg.headers import believed_grid, refuse_oversized
from mriseg.structures import labels_of
from mriseg.types import Array, Grid, LabelMap, Volume

SLAB = 16
UNIT_MM: Mapping[str, float] = {"unknown": 1.0, "mm": 1.0, "meter": 1000.0, "micron": 0.001}
PACKED = {".gz", ".bz2", ".zst"}
UNREADABLE = (
    ImageFileError,
    HeaderDataError,
    OSError,
    EOFError,
    ValueError,
    KeyError,
    MemoryError,
    WrapStructError,
    zlib.error,
)
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
    return _grid_of(path, _open(path))


def read_label_map(path: Path, values: Mapping[int, int] | None = None) -> LabelMap:
    """Read a 3D NIfTI label map.

    Parameters
    ----------
    path : Path
        A file of whole numbers.
    values : mapping, optional
        Value in the file -> :class:`Label` value or 0; values outside of it are as in
        :func:`mriseg.structures.labels_of`.

    Raises
    ------
    SegmentationError
        Where the file holds fractions or values that no label is known for.
    GeometryError
        As :func:`read_volume`.
    """
    data, grid = _read(path)
    return LabelMap(data=labels_of(data, path.name, values), grid=grid)


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
    image = _open(path)
    file = Path(image.file_map["image"].filename or path)
    packed = file.suffix in PACKED
    refuse_oversized(path.name, image.shape, image.dataobj.dtype.itemsize, file.stat().st_size, packed=packed)
    grid = _grid_of(path, image)
    try:
        return np.asarray(image.dataobj).reshape(grid.shape), grid
    except UNREADABLE as error:
        raise _unreadable(path) from error


def _open(path: Path) -> nib.Nifti1Pair:
    """Header of a NIfTI file; other formats that nibabel knows have other rules for place and unit."""
    try:
        image = nib.load(path)
    except FileNotFoundError as error:
        raise GeometryError(f"{path.name}: no such file.") from error
    except UNREADABLE as error:
        raise _unreadable(path) from error
    if not isinstance(image, nib.Nifti1Pair):
        raise _unreadable(path)
    return image


def _grid_of(path: Path, image: nib.Nifti1Pair) -> Grid:
    """Grid in mm of a header that says where the image lies."""
    shape = tuple(int(n) for n in image.shape)
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) != 3:
        raise GeometryError(f"{path.name}: expected a 3D image, found shape {shape}.")
    header = image.header
    if not header["qform_code"] and not header["sform_code"]:
        raise GeometryError(
            f"{path.name}: its header does not say how the image lies (sform and qform are unset), so left and right "
            "are unknown. Convert the DICOM again, or save the file with its orientation."
        )
    unit = header.get_xyzt_units()[0]
    affine = np.diag([UNIT_MM[unit]] * 3 + [1.0]) @ image.affine
    return believed_grid(path.name, shape, affine, unit="none, taken as mm" if unit == "unknown" else unit)


def _unreadable(path: Path) -> GeometryError:
    return GeometryError(f"{path.name}: not a readable NIfTI file (truncated or another format).")


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
