"""A stream of bytes cut at a separator: lines, or the documents of a text file. Memory is bounded by the limit."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pretrain.download.content import UnreadableContentError

_NEWLINE = b"\n"


class Piece(NamedTuple):
    """What stands between two separators.

    Attributes:
        data: the bytes without separators, or None for a piece that cannot be had.
        line: 0-based line of the content that it starts in, as the number of newlines before it.
        reason: why it cannot be had: `too_large` for one longer than the limit, or why the content broke off in it.
    """

    data: bytes | None
    line: int
    reason: str | None = None


def split(content: Iterable[bytes], separator: bytes | None, max_bytes: int) -> Iterator[Piece]:
    """The pieces of `content`, also empty ones, as `bytes.split` finds them; without a separator one.

    The last one ends with the content. Where that breaks off (UnreadableContentError), the piece that is cut
    is the last one, without data.
    """
    held = bytearray()
    num_lines = separator.count(_NEWLINE) if separator is not None else 0
    num_searched = 0  # no separator starts in so many of the held bytes
    line = first_line = 0
    is_too_large = False
    for chunk in _until_broken(content):
        if isinstance(chunk, UnreadableContentError):
            yield Piece(None, first_line, str(chunk))
            return
        held += chunk
        if separator is not None and held.find(separator, num_searched) >= 0:
            *pieces, rest = bytes(held).split(separator)
            for data in pieces:
                yield _piece(data, first_line, is_too_large or len(data) > max_bytes)
                line += num_lines if separator == _NEWLINE else num_lines + data.count(_NEWLINE)
                first_line, is_too_large = line, False
            held = bytearray(rest)
        num_needed = len(separator or b"")  # to find one that comes in two chunks
        if len(held) > max_bytes + num_needed:
            line += held.count(_NEWLINE, 0, len(held) - num_needed)
            del held[: len(held) - num_needed]
            is_too_large = True
        num_searched = max(0, len(held) - num_needed + 1)
    yield _piece(bytes(held), first_line, is_too_large or len(held) > max_bytes)


def _piece(data: bytes, line: int, is_too_large: bool) -> Piece:
    return Piece(None, line, "too_large") if is_too_large else Piece(data, line)


def _until_broken(content: Iterable[bytes]) -> Iterator[bytes | UnreadableContentError]:
    try:
        yield from content
    except UnreadableContentError as error:
        yield error
