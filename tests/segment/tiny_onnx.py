"""An ONNX network made of bytes: each label wins in a band of intensity, so that what it must answer is known."""

from __future__ import annotations

import struct
from collections.abc import Sequence

Field = tuple[int, int | bytes]


def banded_network(n: int) -> bytes:
    """Network of one 1 x 1 x 1 convolution (opset 17): channel c has the largest logit where the image is nearest to c.

    The image is (1, 1, I, J, K) float32, the answer (1, n, I, J, K).
    """
    # The largest of the lines 2 c x - c^2 is that of the c nearest to x; the factor makes the answer sure of itself.
    weights = [20.0 * 2 * c for c in range(n)]
    offsets = [-20.0 * c * c for c in range(n)]
    node = _message((1, b"image"), (1, b"w"), (1, b"b"), (2, b"logits"), (4, b"Conv"))
    graph = _message(
        (1, node),
        (2, b"bands"),
        (5, _tensor(b"w", (n, 1, 1, 1, 1), weights)),
        (5, _tensor(b"b", (n,), offsets)),
        (11, _value(b"image", 1)),
        (12, _value(b"logits", n)),
    )
    return _message((1, 8), (7, graph), (8, _message((2, 17))))


def _tensor(name: bytes, shape: Sequence[int], values: Sequence[float]) -> bytes:
    sizes = [(1, size) for size in shape]
    return _message(*sizes, (2, 1), (8, name), (9, struct.pack(f"<{len(values)}f", *values)))


def _value(name: bytes, channels: int) -> bytes:
    sizes = [_message((1, 1)), _message((1, channels)), *(_message((2, axis)) for axis in (b"i", b"j", b"k"))]
    shape = _message(*((1, size) for size in sizes))
    return _message((1, name), (2, _message((1, _message((1, 1), (2, shape))))))


def _message(*fields: Field) -> bytes:
    """Encode a protocol buffer message of whole numbers and byte strings."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += _whole(number << 3) + _whole(value)
        else:
            out += _whole(number << 3 | 2) + _whole(len(value)) + value
    return out


def _whole(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])
