"""Files seen otherwise than they lie on disk: bounded, or with another beginning."""

from __future__ import annotations

import io
import os
from typing import BinaryIO

ALL = 0xFFFFFFFF


class BoundedReader(io.RawIOBase):
    """A file whose ``read(n)`` never asks for more bytes than are left, so that a false length costs no memory."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size

    def read(self, size: int | None = -1) -> bytes:
        """Read up to ``size`` bytes."""
        left = max(0, self._size - self._file.tell())
        return self._file.read(left if size is None or size < 0 else min(size, left))

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a position; beyond the end reads give nothing."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the position."""
        return self._file.tell()

    def close(self) -> None:
        """Close the file beneath."""
        self._file.close()
        super().close()


class Spliced(io.RawIOBase):
    """``head``, followed by what ``file`` holds from ``start`` on."""

    def __init__(self, head: bytes, file: BinaryIO, start: int) -> None:
        self._head, self._file, self._start = head, file, start
        self._at = 0

    def read(self, size: int | None = -1) -> bytes:
        """Read up to ``size`` bytes."""
        wanted = ALL if size is None or size < 0 else size
        data = self._head[self._at : self._at + wanted]
        if len(data) < wanted:
            self._file.seek(self._start + max(0, self._at - len(self._head)))
            data += self._file.read(-1 if wanted == ALL else wanted - len(data))
        self._at += len(data)
        return data

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a position; beyond the end reads give nothing."""
        end = self._file.seek(0, os.SEEK_END) - self._start + len(self._head) if whence == os.SEEK_END else 0
        self._at = max(0, offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: end}[whence])
        return self._at

    def tell(self) -> int:
        """Return the position."""
        return self._at

    def close(self) -> None:
        """Close the file beneath."""
        self._file.close()
        super().close()
