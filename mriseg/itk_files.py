"""NRRD and MetaImage files to the types, by SimpleITK; the only place that reads them.

The text in front of the values is read first: it says what SimpleITK does not pass on (unit, whether there is an
orientation) and how much memory the values ask for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from mriseg.errors import GeometryError
from mriseg.geometry import from_sitk
from mriseg.headers import believed_grid, refuse_oversized
from mriseg.types import Array, Grid

MOST_HEADER_BYTES = 1 << 20
UNIT_MM: Mapping[str, float] = {
    **dict.fromkeys(("", "mm", "millimeter", "millimetre", "millimeters", "millimetres"), 1.0),
    **dict.fromkeys(("um", "µm", "μm", "micron", "microns", "micrometer", "micrometre"), 0.001),
    **dict.fromkeys(("cm", "centimeter", "centimetre"), 10.0),
    **dict.fromkeys(("m", "meter", "metre", "meters", "metres"), 1000.0),
}
ANATOMICAL_SPACES = {"left-posterior-superior", "right-anterior-superior", "left-anterior-superior"}
ANATOMICAL_SPACES |= {"lps", "ras", "las"}
TURNED_BY = ("transformmatrix", "orientation", "rotation")  # three names of one key of MetaImage
READERS = {".nrrd": "NrrdImageIO", ".mha": "MetaImageIO"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ItkFile:
    """What such a file holds.

    Parameters
    ----------
    layers : tuple of array, (I, J, K)
        One, or several where segments lie in layers of their own.
    grid : Grid
    fields : mapping
        Key and value pairs of the header.
    """

    layers: tuple[Array, ...]
    grid: Grid
    fields: Mapping[str, str]


def read_itk(path: Path) -> ItkFile:
    """Read a ``.nrrd`` or ``.mha`` file.

    Raises
    ------
    GeometryError
        Where the file is damaged, its values lie in another file, its header says not how the image lies, names an
        unknown unit, or asks for more than a knee image can be; the message names the file.
    """
    fields = _header(path)
    unit = _unit(path, fields)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.SetImageIO(READERS[path.suffix.lower()])
    try:
        reader.ReadImageInformation()
        shape = (*reader.GetSize(), reader.GetNumberOfComponents())
        if reader.GetDimension() != 3:
            raise GeometryError(f"{path.name}: expected a 3D image, found {reader.GetDimension()} axes.")
        value_bytes = sitk.Image([1, 1, 1], reader.GetPixelID(), shape[-1]).GetSizeOfPixelComponent()
        refuse_oversized(path.name, shape, value_bytes, path.stat().st_size, packed=_packed(fields))
        image = reader.Execute()
    except RuntimeError as error:  # the text of ITK quotes the whole path
        raise GeometryError(f"{path.name}: not a readable {path.suffix[1:]} file (truncated or damaged).") from error
    image.SetSpacing([UNIT_MM[unit] * value for value in image.GetSpacing()])
    image.SetOrigin([UNIT_MM[unit] * value for value in image.GetOrigin()])
    data, grid = from_sitk(image)
    believed_grid(path.name, grid.shape, grid.affine, unit=unit or "none, taken as mm")
    layers = (data,) if data.ndim == 3 else tuple(np.moveaxis(data, 3, 0))
    return ItkFile(layers=layers, grid=grid, fields=fields)


def _header(path: Path) -> dict[str, str]:
    """Read the key and value pairs in front of the values; keys of the format in lower case, others as they are."""
    try:
        with path.open("rb") as stream:
            start = stream.read(MOST_HEADER_BYTES)
    except FileNotFoundError as error:
        raise GeometryError(f"{path.name}: no such file.") from error
    nrrd = start.startswith(b"NRRD")
    if not nrrd and not re.match(rb"\s*(ObjectType|NDims|Comment)\s*=", start):
        raise GeometryError(f"{path.name}: no {path.suffix[1:]} file: it does not begin as one.")
    fields = _nrrd_fields(start) if nrrd else _meta_fields(start)
    _refuse_unusable(path, fields, nrrd=nrrd)
    return fields


def _nrrd_fields(start: bytes) -> dict[str, str]:
    text = re.split(rb"\r?\n\r?\n", start, maxsplit=1)[0].decode("utf-8", errors="replace")
    fields = {}
    for line in text.splitlines()[1:]:
        if custom := re.match(r"([^#:]+):=(.*)", line):
            fields[custom[1]] = custom[2]
        elif own := re.match(r"([^#:]+): *(.*)", line):
            fields[own[1].lower()] = own[2].strip()
    return fields


def _meta_fields(start: bytes) -> dict[str, str]:
    fields = {}
    for line in start.split(b"\n"):
        key, _, value = line.decode("utf-8", errors="replace").partition("=")
        fields[key.strip().lower()] = value.strip()
        if key.strip().lower() == "elementdatafile":
            break
    return fields


def _refuse_unusable(path: Path, fields: Mapping[str, str], *, nrrd: bool) -> None:
    """Raise where the values lie in another file, or nothing says how they lie in the patient."""
    local = fields.get("elementdatafile", "LOCAL").upper() == "LOCAL"
    if "data file" in fields or "datafile" in fields or not local:
        raise GeometryError(f"{path.name}: its values lie in another file. Save it as one file, .nrrd or .mha.")
    if nrrd:
        oriented = fields.get("space", "").lower() in ANATOMICAL_SPACES and "space directions" in fields
    else:
        oriented = any(key in fields for key in TURNED_BY)
    if not oriented:
        found = f"space {fields['space']}" if fields.get("space") else "no space"
        raise GeometryError(
            f"{path.name}: its header does not say how the image lies in the patient (found "
            f"{found if nrrd else 'no TransformMatrix'}), so left and right are unknown. Save it with its orientation."
        )


def _unit(path: Path, fields: Mapping[str, str]) -> str:
    """Unit of lengths in the header, as spelt in ``UNIT_MM``; empty where it names none."""
    named: list[str] = re.findall(r'"([^"]*)"', fields.get("space units", "")) or [fields.get("distanceunits", "")]
    units = {unit.strip().lower().replace("?", "") for unit in named}
    if len(units) != 1 or not units <= set(UNIT_MM):
        raise GeometryError(
            f"{path.name}: its header gives lengths in {', '.join(sorted(units))}; expected one of mm, um, cm, m. "
            "Save the file anew, in mm."
        )
    return units.pop()


def _packed(fields: Mapping[str, str]) -> bool:
    return fields.get("encoding", "raw").lower() != "raw" or fields.get("compresseddata", "false").lower() == "true"
