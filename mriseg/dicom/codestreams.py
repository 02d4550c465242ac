"""Compare what compressed images say about their size with the DICOM header before a decoder believes them.

Decoders are written in C and C++. A false size makes them ask for any amount of memory, and some end the whole process.
"""

from __future__ import annotations

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
    at = 2
    while at + 9 < len(start) and start[at] == 0xFF:
        marker, length = start[at + 1], struct.unpack_from(">H", start, at + 2)[0]
        if marker in FRAME_MARKERS:
            rows, columns, components = struct.unpack_from(">HHB", start, at + 5)
            return rows, columns, components
        at += 1 if marker == 0xFF else 2 + max(2, length)
    raise DicomError("the header of a compressed image is cut off.")
