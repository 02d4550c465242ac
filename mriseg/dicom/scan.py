"""A folder tree or archive -> the volumes it holds, from headers alone."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mriseg.dicom.account import Account
from mriseg.dicom.headers import FileHeader, read_header
from mriseg.dicom.lost import LostFile, lost_by_series
from mriseg.dicom.naming import unique
from mriseg.dicom.records import Refusal
from mriseg.dicom.series import Series, by_series
from mriseg.dicom.sources import quiet
from mriseg.dicom.volumes import FoundVolume, volumes_of
from mriseg.dicom.walk import find_files, refuse
from mriseg.errors import DicomError
from mriseg.geometry import apply_affine
from mriseg.types import Grid

THREADS = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scan:
    """Everything that a folder holds: volumes by series number, and what was refused.

    ``files_read`` counts the files that were read as MR images, whether a volume was made of them or not.
    """

    volumes: tuple[FoundVolume, ...]
    refused: tuple[Refusal, ...]
    files_read: int = 0

    @property
    def account(self) -> Account:
        """What became of every file."""
        return Account(read=self.files_read, refused=self.refused)


def scan(root: Path) -> Scan:
    """Find the MR volumes below a folder, or in one file or zip archive; no pixel is read.

    Raises
    ------
    DicomError
        Where ``root`` does not exist. Everything wrong below it is a :class:`Refusal`.
    """
    paths, refused = find_files(root)
    headers: list[FileHeader] = []
    lost: list[LostFile] = []
    with quiet(), ThreadPoolExecutor(THREADS) as pool:
        for path, found in zip(paths, pool.map(_try_header, paths), strict=True):
            if isinstance(found, FileHeader):
                headers.append(found)
            else:
                lost.append(LostFile(path=path, error=found))
        series = by_series(headers)
        among = _lost_among(lost, series)
        missed = {each.path for group in among.values() for each in group}
        refused += [refuse(each.path, root, each.error, among_slices=each.path in missed) for each in lost]
        volumes = [v for n, each in enumerate(series) for v in volumes_of(each, root, refused, among.get(n, ()))]
    volumes.sort(key=lambda v: (v.header.series_number or 0, v.name, v.header.echo_ms or 0.0, v.series_uid))
    names = unique([v.name for v in volumes])
    return Scan(
        volumes=tuple(_renamed(v, n) for v, n in zip(volumes, names, strict=True)),
        refused=tuple(refused),
        files_read=len(headers),
    )


def _lost_among(lost: Sequence[LostFile], series: Sequence[Series]) -> dict[int, list[LostFile]]:
    """Return the lost files that lie among the single slices of each series."""
    files = [(header, n) for n, each in enumerate(series) for header in each.headers]
    slices = {header.frames[0].path: n for header, n in files if len(header.frames) == 1}
    return lost_by_series(lost, slices, {header.series_uid: n for header, n in files if header.series_uid})


def _try_header(path: Path) -> FileHeader | DicomError:
    try:
        return read_header(path)
    except DicomError as error:
        return error
    except (OSError, ValueError):
        return DicomError("the file cannot be read.")


def _renamed(volume: FoundVolume, name: str) -> FoundVolume:
    return volume if volume.name == name else replace(volume, name=name)


def matching_volume(found: Scan, grid: Grid) -> FoundVolume:
    """Return the one volume whose voxels a label map on ``grid`` lies on, whole or in part.

    Echoes of one series share their voxels: the first of them is returned.

    Raises
    ------
    DicomError
        Where no volume, or volumes of several series, fit.
    """
    fitting = [v for v in found.volumes if v.placed and _shares_voxels(v.stack.grid, grid)]
    series = {v.series_uid for v in fitting}
    if len(series) != 1:
        names = ", ".join(v.name for v in fitting) or "none"
        raise DicomError(f"expected one series on the grid of the label map, found {len(series)} ({names}).")
    return fitting[0]


def _shares_voxels(series: Grid, labels: Grid) -> bool:
    """Whether both ends of ``labels`` fall on voxels of ``series``."""
    ends = apply_affine(labels.affine, np.array([np.zeros(3), np.array(labels.shape) - 1.0]))
    voxels = apply_affine(np.asarray(np.linalg.inv(series.affine)), ends)
    inside = (voxels > -0.5).all() and (voxels < np.array(series.shape) - 0.5).all()
    return bool(inside and np.abs(voxels - np.rint(voxels)).max() < 0.05)
