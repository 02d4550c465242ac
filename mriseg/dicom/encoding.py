"""How the bytes of a DICOM file are written, told by the bytes: what a file says of itself may be wrong or missing.

A file is shown to every reader with a preamble, a mark and a transfer syntax that are true, so that nobody after this
has to doubt them.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import BinaryIO

from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from pydicom.valuerep import VR

from mriseg.dicom.contents import DamagedError, NotDicomError, what_it_is
from mriseg.dicom.syntaxes import syntax_name
from mriseg.dicom.views import Spliced
from mriseg.errors import DicomError

MARK = b"DICM"
MARK_AT = 128
WINDOW = 1 << 13  # bytes from which the encoding is told; the file meta group takes a few hundred
ELEMENTS = 6  # elements that have to make sense one after the other
SYNTAX, STORED_CLASS, CHARSET = 0x00020010, 0x00020002, 0x00080005
GROUPS = range(0x0004, 0x0041)  # of the first element of an image; 0008 but for what anonymisers leave
WIDE = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
KNOWN = {vr.value.encode() for vr in VR if len(vr.value) == 2}
UNDEFINED = 0xFFFFFFFF
PLAIN: dict[tuple[bool, str], str] = {
    (False, "<"): ImplicitVRLittleEndian,
    (True, "<"): ExplicitVRLittleEndian,
    (True, ">"): ExplicitVRBigEndian,
}
HOW = {str(uid): how for how, uid in PLAIN.items()}


class HostileFileError(DicomError):
    """The file claims more than it can hold or more than we are ready to unpack."""


def true_view(file: BinaryIO, *, limit: int, syntax: str | None = None) -> BinaryIO:
    """Show a file with a head that is true; the file itself where it is already.

    Parameters
    ----------
    file : file, at its start
    limit : int
        Most bytes that deflated data may unpack to.
    syntax : str, optional
        Transfer syntax of the pixels where it was found to be another one than the file says.

    Raises
    ------
    NotDicomError
        Where neither the mark nor the bytes behind it are those of DICOM.
    HostileFileError
        Where deflated data are larger than any image.
    DamagedError
        Where nothing follows the mark, or the data are in no encoding of DICOM.
    """
    data, size = file.read(WINDOW), file.seek(0, os.SEEK_END)
    begin = _begin(data)
    meta, start = _meta(data, begin)
    declared = meta.get(SYNTAX, b"").rstrip(b"\0 ").decode("ascii", "replace")
    if start >= size:
        raise DamagedError("the file is cut off: nothing follows its first bytes.")
    found = _encoding(data[start:], size - start, declared)
    if found is None:
        unpacked = io.BytesIO(_inflated(file, start, limit))
        return Spliced(_head(syntax or ExplicitVRLittleEndian, meta), unpacked, 0)  # type: ignore[return-value]
    charset = _unusable_charset(data, start, found)
    if (syntax or found) == declared and begin == MARK_AT + len(MARK) and not charset:
        file.seek(0)
        return file
    if charset:
        low, high = charset
        blank = data[start:low] + b" " * (high - low)
        return Spliced(_head(syntax or found, meta) + blank, file, high)  # type: ignore[return-value]
    return Spliced(_head(syntax or found, meta), file, start)  # type: ignore[return-value]


def _unusable_charset(data: bytes, start: int, syntax: str) -> tuple[int, int] | None:
    """Return where a SpecificCharacterSet lies that no program can look up, because zeros are within its name."""
    how = HOW.get(syntax, (True, "<"))
    for tag, _, at, length in islice(_elements(data, start, *how), ELEMENTS):
        if tag == CHARSET and at + length <= len(data):
            return (at, at + length) if b"\0" in data[at : at + length].rstrip(b"\0 ") else None
    return None


def is_dicom(data: bytes) -> bool:
    """Whether a file that starts with ``data`` is read as DICOM."""
    try:
        _begin(data)
    except NotDicomError:
        return False
    return True


def _begin(data: bytes) -> int:
    """Return where the first element lies: behind the mark, or at the start of files that were saved without it."""
    if data[MARK_AT : MARK_AT + len(MARK)] == MARK:
        return MARK_AT + len(MARK)
    begin = len(MARK) if data.startswith(MARK) else 0
    if not _meta(data, begin)[0] and not any(_makes_sense(data[begin:], UNDEFINED, *how, least=3) for how in PLAIN):
        raise what_it_is(data)
    return begin


def _meta(data: bytes, begin: int) -> tuple[Mapping[int, bytes], int]:
    """Return the elements of group 0002 and where they end, however long the group says that it is."""
    for explicit in (True, False):
        values, end = {}, begin
        for tag, _, value_at, length in _elements(data, begin, explicit, "<"):
            if tag >> 16 != 2 or value_at + length > len(data):
                break
            values[tag] = data[value_at : value_at + length]
            end = value_at + length
        if values:
            return values, end
    return {}, begin


def _elements(data: bytes, at: int, explicit: bool, order: str) -> Iterator[tuple[int, bytes, int, int]]:
    """Yield tag, VR, place and length of the value of one element after the other, as far as ``data`` goes."""
    while at + 12 <= len(data):
        group, element = struct.unpack_from(order + "2H", data, at)
        vr = data[at + 4 : at + 6] if explicit else b""
        if explicit and vr not in KNOWN:
            yield 0, b"", at, 0
            return
        if explicit and vr not in WIDE:
            length, at = struct.unpack_from(order + "H", data, at + 6)[0], at + 8
        else:
            at += 8 if explicit else 4
            length, at = struct.unpack_from(order + "L", data, at)[0], at + 4
        yield group << 16 | element, vr, at, length
        at += length


def _encoding(data: bytes, size: int, declared: str) -> str | None:
    """Return the transfer syntax that is true, None where the data are deflated.

    What the file says counts as long as the bytes bear it out.
    """
    says = HOW.get(declared, (True, "<"))
    if declared != DeflatedExplicitVRLittleEndian and _makes_sense(data, size, *says):
        return declared or PLAIN[says]
    fitting = [PLAIN[how] for how in PLAIN if _makes_sense(data, size, *how)]
    if fitting and (not declared or declared in (*PLAIN.values(), DeflatedExplicitVRLittleEndian)):
        return fitting[0]
    if fitting:
        raise DamagedError(f"the header is written as {UID(fitting[0]).name}, the file says {syntax_name(declared)}.")
    if declared == DeflatedExplicitVRLittleEndian or _window(data):
        return None
    raise DamagedError(f"damaged: the data follow no encoding of DICOM; the file says {syntax_name(declared)}.")


def _makes_sense(data: bytes, size: int, explicit: bool, order: str, *, least: int = 1) -> bool:
    """Whether the first elements, ``least`` or more, have ascending tags, known VRs and lengths that ``size`` holds.

    An element that reaches beyond the end, or a sequence of unknown length, ends the look; without a VR that speaks for
    it, such an element speaks against the encoding.
    """
    last, seen = 0, 0
    for tag, vr, at, length in _elements(data, 0, explicit, order):
        if tag <= last or (not last and tag >> 16 not in GROUPS):
            return False
        last, seen = tag, seen + 1
        endless = length == UNDEFINED and vr in (WIDE if explicit else {b""})
        if endless or seen == ELEMENTS:
            break
        if at + length > size:
            return explicit and seen >= least
    return seen >= least


def _window(data: bytes) -> int:
    """Return the window of deflated data, with or without the header of zlib; 0 where they are none."""
    for window in (-zlib.MAX_WBITS, zlib.MAX_WBITS):
        try:
            start = zlib.decompressobj(window).decompress(data, WINDOW)
        except zlib.error:
            continue
        if _makes_sense(start, UNDEFINED, explicit=True, order="<"):
            return window
    return 0


def _inflated(file: BinaryIO, start: int, limit: int) -> bytes:
    """Unpack deflated data and close their file."""
    file.seek(start)
    packed = file.read()
    file.close()
    unpack = zlib.decompressobj(_window(packed[:WINDOW]) or -zlib.MAX_WBITS)
    try:
        data = unpack.decompress(packed, limit)
    except zlib.error as error:
        raise DamagedError("the deflated data cannot be unpacked; the file is damaged.") from error
    if unpack.unconsumed_tail:
        raise HostileFileError("the deflated file unpacks to more than 512 MiB.")
    if not unpack.eof:
        raise DamagedError("the deflated data are cut off.")
    return data


def _head(syntax: str, meta: Mapping[int, bytes]) -> bytes:
    """Preamble, mark and a file meta group that says no more than what kind of object it is and how it is written."""
    uid = syntax.encode() + b"\0" * (len(syntax) % 2)
    stored = meta.get(STORED_CLASS, b"")
    group = [(STORED_CLASS, stored), (SYNTAX, uid)] if stored else [(SYNTAX, uid)]
    parts = b"".join(struct.pack("<2H2sH", tag >> 16, tag & 0xFFFF, b"UI", len(v)) + v for tag, v in group)
    return bytes(MARK_AT) + MARK + struct.pack("<2H2sHL", 2, 0, b"UL", 4, len(parts)) + parts
