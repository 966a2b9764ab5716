"""The wire format of Protocol Buffers, as far as a SentencePiece model needs it.

Source: https://protobuf.dev/programming-guides/encoding. A length is checked against the bytes that are there before
anything is made of it, so that a damaged file cannot ask for memory.
"""

import struct
from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED_SIZES = {_FIXED64: 8, _FIXED32: 4}
_MAX_VARINT_BYTES = 10


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The field numbers and values of a message, in file order.

    A varint is its unsigned number; a string, a message or a fixed-width value is its bytes.

    Raises:
        ValueError: these bytes are no message.
    """
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, position = _varint(message, position)
            yield number, value
            continue
        if kind == _BYTES:
            size, position = _varint(message, position)
        elif kind in _FIXED_SIZES:
            size = _FIXED_SIZES[kind]
        else:
            raise ValueError(f"wire type {kind} at byte {position}")
        if number == 0 or size > len(message) - position:
            raise ValueError(f"field {number} at byte {position} has {size} bytes, {len(message) - position} are left")
        yield number, message[position : position + size]
        position += size


def signed(value: int | bytes) -> int:
    """A varint as int32: negative numbers are written as 64-bit two's complement.

    Raises:
        ValueError: the field is no varint.
    """
    if isinstance(value, bytes):
        raise ValueError("bytes stand where a number belongs")
    return value - (1 << 64) if value >= 1 << 63 else value


def float32(value: int | bytes) -> float:
    """The value of a 4-byte field.

    Raises:
        ValueError: the field has another width.
    """
    return float(struct.unpack("<f", length_delimited(value, 4))[0])


def length_delimited(value: int | bytes, size: int | None = None) -> bytes:
    """The bytes of a field, of so many bytes where a size is given.

    Raises:
        ValueError: it is a varint, or has another size.
    """
    if isinstance(value, int) or (size is not None and len(value) != size):
        raise ValueError("a number stands where bytes belong")
    return value


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value = 0
    for index in range(_MAX_VARINT_BYTES):
        if position + index >= len(message):
            break
        byte = message[position + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value & ((1 << 64) - 1), position + index + 1
    raise ValueError(f"the number at byte {position} has no end")
