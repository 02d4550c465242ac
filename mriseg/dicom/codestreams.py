"""What compressed images say of themselves: their kind, whether they are whole, and their size against the header.

Decoders are written in C and C++. A false size makes them ask for any amount of memory, and some end the whole process.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO

from mriseg.dicom.records import Frame
from mriseg.errors import DicomError

ITEM = b"\xfe\xff\x00\xe0"
JPEG, JPEG_2000 = b"\xff\xd8\xff", b"\xff\x4f\xff\x51"
# Start-of-frame markers of all JPEG processes and of JPEG-LS; C4, C8 and CC are something else.
FRAME_MARKERS = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
HEADER_BYTES = 1 << 16
END_OF_SEQUENCE = b"\xfe\xff\xdd\xe0"
LOSSLESS_PROCESSES = {0xC3, 0xC7, 0xCB, 0xCF}
HIGH_THROUGHPUT = b"\xff\x50"  # the marker CAP of ISO 15444-15 follows SIZ
JP2 = b"\0\0\0\x0cjP  "


def is_encapsulated(file: BinaryIO, pixels_at: int) -> bool:
    """Whether pixel data begin with an item, as compressed ones do."""
    file.seek(pixels_at)
    return file.read(4) == ITEM


def kind_of_codestream(file: BinaryIO, pixels_at: int) -> str:
    """Name how the first compressed image is coded; "" where that cannot be told."""
    file.seek(pixels_at)
    fragments = _fragments(file)
    next(fragments, b"")  # the table of offsets
    return _kind(next(fragments, b""))


def _kind(start: bytes) -> str:
    if start.startswith((JPEG_2000, JP2)):
        size = struct.unpack_from(">H", start, 4)[0] if len(start) > 6 else 0
        return "HTJ2K" if start[4 + size : 6 + size] == HIGH_THROUGHPUT else "JPEG 2000"
    if start.startswith(JPEG):
        marker = _jpeg_frame(start)[0]
        if marker in (0xC0, 0xC1):
            return "JPEG baseline" if marker == 0xC0 else "JPEG extended"
        return "JPEG-LS" if marker == 0xF7 else "JPEG lossless" if marker in LOSSLESS_PROCESSES else ""
    count, first = struct.unpack_from("<2L", start) if len(start) >= 64 else (0, 0)
    return "RLE" if 1 <= count <= 15 and first == 64 else ""


def why_cut(file: BinaryIO, pixels_at: int, count: int) -> str:
    """Say why the items of compressed pixels are not complete; "" where they are.

    The mark of the end may be missing, as some programs leave it out, where every image has an item of its own.
    """
    end = file.seek(0, os.SEEK_END)
    file.seek(pixels_at)
    items = 0
    while (head := file.read(8))[:4] == ITEM and len(head) == 8:
        items += 1
        if file.seek(struct.unpack("<L", head[4:])[0], os.SEEK_CUR) > end:
            return f"truncated: the compressed pixels end in item {items}"
    if head[:4] == END_OF_SEQUENCE or items > count:
        return ""
    return f"truncated: {max(items - 1, 0)} items of compressed pixels for {count} images"


def check_codestreams(file: BinaryIO, frame: Frame) -> None:
    """Check every fragment of encapsulated pixel data that begins an image.

    Raises
    ------
    DicomError
        Where a codestream has another size than the header, more than one component, or no readable header.
    """
    file.seek(frame.pixels_at)
    for start in _fragments(file):
        size = None
        if start.startswith(JPEG_2000):
            size = _jpeg_2000_size(start)
        elif start.startswith(JPEG):
            size = _jpeg_size(start)
        if size is not None and size != (frame.rows, frame.columns, 1):
            raise DicomError(
                f"the compressed image says {size[1]} x {size[0]} pixels and {size[2]} components, "
                f"the header {frame.columns} x {frame.rows} and 1."
            )


def _fragments(file: BinaryIO) -> Iterator[bytes]:
    """Yield the first bytes of each item; the end of the file ends the list."""
    while (head := file.read(8))[:4] == ITEM and len(head) == 8:
        length = struct.unpack("<L", head[4:])[0]
        begin = file.tell()
        yield file.read(min(length, HEADER_BYTES))
        file.seek(begin + length)


def _jpeg_2000_size(start: bytes) -> tuple[int, int, int]:
    """Rows, columns and components of a JPEG 2000 codestream (ISO 15444-1, A.5.1)."""
    try:
        x1, y1, x0, y0, tile_x, tile_y, _, _, components = struct.unpack_from(">8LH", start, 8)
    except struct.error as error:
        raise DicomError("the header of a compressed image is cut off.") from error
    if not (tile_x and tile_y) or (x1 - x0) * (y1 - y0) > (1 << 16) * tile_x * tile_y:
        raise DicomError("the compressed image claims more tiles than the standard allows.")
    return y1 - y0, x1 - x0, components


def _jpeg_size(start: bytes) -> tuple[int, int, int]:
    """Rows, columns and components of a JPEG or JPEG-LS codestream (ISO 10918-1, B.2.2)."""
    marker, at = _jpeg_frame(start)
    if not marker:
        raise DicomError("the header of a compressed image is cut off.")
    rows, columns, components = struct.unpack_from(">HHB", start, at + 5)
    return rows, columns, components


def _jpeg_frame(start: bytes) -> tuple[int, int]:
    """Return the marker that begins the frame, which tells the process, and its place; 0 where there is none."""
    at = 2
    while at + 9 < len(start) and start[at] == 0xFF:
        marker, length = start[at + 1], struct.unpack_from(">H", start, at + 2)[0]
        if marker in FRAME_MARKERS:
            return marker, at
        at += 1 if marker == 0xFF else 2 + max(2, length)
    return 0, at
