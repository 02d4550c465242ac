"""NIfTI files to and from the types; the only place that reads or writes them.

A file is written beside its final name and moved into place, so that a killed run never leaves half a file.
"""

from __future__ import annotations

import io
import os
import zlib
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.fileholders import FileHolder

from mriseg.errors import GeometryError, SegmentationError
from mriseg.types import Array, Grid, Label, LabelMap, Volume


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
    whole = np.rint(data)
    if not np.isfinite(data).all() or np.abs(data - whole).max(initial=0) > 1e-3:
        raise SegmentationError(f"{path.name}: a label map needs whole numbers, found fractions or NaN.")
    mapping = LESIONS_ARE_BONE if values is None else values
    found = np.unique(whole).astype(int).tolist()
    unknown = [v for v in found if v not in mapping and v not in {0, *Label}]
    if unknown:
        raise SegmentationError(
            f"{path.name}: found the label values {unknown}, expected 0 to {max(Label)}. "
            "Map them in [segment.labels] of study.toml."
        )
    result = np.zeros(whole.shape, dtype=np.uint8)
    for value in found:
        result[whole == value] = mapping.get(value, value)
    return LabelMap(data=result, grid=grid)


LESIONS_ARE_BONE: Mapping[int, int] = {7: Label.FEMUR, 8: Label.TIBIA, 9: Label.PATELLA}


def write_volume(path: Path, volume: Volume) -> None:
    """Write an image as float32 NIfTI with sform equal to qform, atomically."""
    _write(path, volume.data, volume.grid)


def write_label_map(path: Path, label_map: LabelMap) -> None:
    """Write a label map as uint8 NIfTI with sform equal to qform, atomically."""
    _write(path, label_map.data, label_map.grid)


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
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        if path.suffix == ".gz":
            with partial.open("wb") as file, _Gzip(file, noisy=data.dtype.kind == "f") as packed:
                image.to_file_map({"image": FileHolder(fileobj=packed)})
        else:
            nib.save(image, partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


class _Gzip(io.RawIOBase):
    """Write one gzip stream, its blocks compressed by two threads; same bytes for same data.

    Each block ends on a byte boundary (Z_SYNC_FLUSH), so that the blocks joined are one ordinary deflate stream. Noise
    in an image leaves nothing to find for the search for repeats, the slow part of deflate: for ``noisy`` data it is
    reduced to runs, which saves a third of the time and costs a seventh of the size.
    """

    BLOCK = 1 << 22
    THREADS = 2

    def __init__(self, file: BinaryIO, *, noisy: bool) -> None:
        self._file = file
        self._strategy = zlib.Z_RLE if noisy else zlib.Z_DEFAULT_STRATEGY
        self._pool = ThreadPoolExecutor(self.THREADS)
        self._waiting: deque[Future[bytes]] = deque()
        self._block = bytearray()
        self._size = 0
        self._crc = 0
        file.write(b"\x1f\x8b\x08\0\0\0\0\0\x04\xff")

    def write(self, data: Any) -> int:
        """Take bytes of any amount."""
        view = memoryview(data).cast("B")
        self._block += view
        self._crc = zlib.crc32(view, self._crc)
        self._size += len(view)
        while len(self._block) >= self.BLOCK:
            self._submit(bytes(self._block[: self.BLOCK]), zlib.Z_SYNC_FLUSH)
            del self._block[: self.BLOCK]
        return len(view)

    def _submit(self, block: bytes, end: int) -> None:
        self._waiting.append(self._pool.submit(self._deflate, block, end))
        while len(self._waiting) > 2 * self.THREADS:
            self._file.write(self._waiting.popleft().result())

    def _deflate(self, block: bytes, end: int) -> bytes:
        packer = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS, 9, self._strategy)
        return packer.compress(block) + packer.flush(end)

    def writable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return how many bytes were taken."""
        return self._size

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Stay, or fill up with zeros to a position further on."""
        if whence != os.SEEK_SET or offset < self._size:
            raise io.UnsupportedOperation("a gzip stream is written in one direction")
        self.write(bytes(offset - self._size))
        return self._size

    def close(self) -> None:
        """Write what is left; the file beneath stays open."""
        if self.closed:
            return
        self._submit(bytes(self._block), zlib.Z_FINISH)
        for waiting in self._waiting:
            self._file.write(waiting.result())
        self._pool.shutdown()
        self._file.write(self._crc.to_bytes(4, "little") + (self._size & 0xFFFFFFFF).to_bytes(4, "little"))
        super().close()
