"""The rules of a SentencePiece normaliser (`precompiled_charsmap`), read to see that they are whole.

The tokenizers library runs them (`normalizers.Precompiled`), but follows the trie without a look at where it ends: a
damaged one would fail on some document in the middle of a run.
"""

import struct

import numpy as np
from numpy.typing import NDArray

_MAX_KEY_BYTES = 64
_MAX_RULES = 2_000_000
_VALUE_BITS = (1 << 31) - 1


def decode_charsmap(blob: bytes) -> dict[str, str]:
    """The rules of a compiled map: what is replaced, and by what.

    The layout is that of normalizer.cc: the size of a double array, the array itself (a trie of UTF-8 bytes, units of
    Darts-clone), and the replacements, each ended by a zero byte.

    Raises:
        ValueError: the bytes are no such map.
    """
    if len(blob) < 4:
        raise ValueError(f"it has {len(blob)} bytes")
    (size,) = struct.unpack_from("<I", blob)
    if size % 4 or not 0 < size <= len(blob) - 4:
        raise ValueError(f"its array of {size} bytes does not fit into {len(blob)} bytes")
    units = np.frombuffer(blob, dtype="<u4", count=size // 4, offset=4)
    targets = blob[4 + size :]
    try:
        return {key.decode(): _target(targets, place).decode() for key, place in _leaves(units)}
    except UnicodeDecodeError as error:
        raise ValueError(f"a rule is not UTF-8: {error}") from error


def _leaves(units: NDArray[np.uint32]) -> list[tuple[bytes, int]]:
    labels = np.arange(1, 256, dtype=np.uint32)
    found: list[tuple[bytes, int]] = []
    stack = [(_offset(int(units[0])), b"")]
    while stack:
        base, key = stack.pop()
        places = labels ^ np.uint32(base)
        inside = places < len(units)
        children = np.flatnonzero(inside & ((units[places * inside] & 0x800000FF) == labels))
        if len(key) >= _MAX_KEY_BYTES or len(found) > _MAX_RULES:
            raise ValueError("its array has a cycle")
        for child in children.tolist():
            place = int(places[child])
            unit = int(units[place])
            below, longer = place ^ _offset(unit), key + bytes([child + 1])
            if unit >> 8 & 1:
                if below >= len(units):
                    raise ValueError("a rule points outside of its array")
                found.append((longer, int(units[below]) & _VALUE_BITS))
            stack.append((below, longer))
    return found


def _offset(unit: int) -> int:
    return (unit >> 10) << ((unit & 1 << 9) >> 6)


def _target(targets: bytes, place: int) -> bytes:
    end = targets.find(b"\0", place)
    if place >= len(targets) or end < 0:
        raise ValueError(f"a rule points to byte {place} of {len(targets)} bytes of replacements")
    return targets[place:end]
