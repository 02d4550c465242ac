"""A folder tree or archive -> the volumes it holds, from headers alone."""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mriseg.dicom.headers import FileHeader, read_header
from mriseg.dicom.naming import unique
from mriseg.dicom.records import Refusal
from mriseg.dicom.sources import quiet
from mriseg.dicom.volumes import FoundVolume, volumes_of
from mriseg.dicom.walk import find_files, refuse
from mriseg.errors import DicomError
from mriseg.geometry import apply_affine
from mriseg.types import Grid

THREADS = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scan:
    """Everything that a folder holds: volumes by series number, and what was refused."""

    volumes: tuple[FoundVolume, ...]
    refused: tuple[Refusal, ...]


def scan(root: Path) -> Scan:
    """Find the MR volumes below a folder, or in one file or zip archive; no pixel is read.

    Raises
    ------
    DicomError
        Where ``root`` does not exist. Everything wrong below it is a :class:`Refusal`.
    """
    paths, refused = find_files(root)
    series: dict[str, list[FileHeader]] = defaultdict(list)
    with quiet(), ThreadPoolExecutor(THREADS) as pool:
        for path, found in zip(paths, pool.map(_try_header, paths), strict=True):
            if isinstance(found, FileHeader):
                series[found.series_uid].append(found)
            else:
                refused.append(refuse(path, root, found))
        volumes = [v for headers in series.values() for v in volumes_of(headers, root, refused)]
    volumes.sort(key=lambda v: (v.header.series_number or 0, v.name, v.header.echo_ms or 0.0, v.series_uid))
    names = unique([v.name for v in volumes])
    return Scan(volumes=tuple(_renamed(v, n) for v, n in zip(volumes, names, strict=True)), refused=tuple(refused))


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
