"""Takes spans out of a text, with a margin, as GPT-3's authors did (Brown et al. 2020, appendix C)."""

from typing import NamedTuple

from pretrain.decontaminate.config import CutConfig
from pretrain.decontaminate.kernels import Bytes, Int32Array, Int64Array
from pretrain.decontaminate.normalization import WORD_BY_ITSELF

# What stands between two pieces in place of what was cut.
PIECE_BREAK = "\n\n"


class Cut(NamedTuple):
    """A text after its cuts: the pieces that are long enough, in order, and how many characters went."""

    pieces: tuple[str, ...]
    removed_chars: int

    @property
    def text(self) -> str:
        """The pieces as one text."""
        return PIECE_BREAK.join(self.pieces)


def cut_spans(document: Bytes, spans: Int64Array, config: CutConfig, fold: Int32Array) -> Cut:
    """Takes out spans and what lies within `margin_chars` of them, to the end of the word there.

    Args:
        document: the UTF-8 bytes of the text.
        spans: start and end of each in bytes, in order; shape (num_spans, 2).
        config: margin and shortest piece.
        fold: tells words, see `pretrain.decontaminate.normalization`.
    """
    data = document.tobytes()
    text = data.decode()
    pieces: list[str] = []
    num_kept = num_bytes = num_chars = kept_from = 0
    for start, end in spans.tolist():
        begin = num_chars + len(data[num_bytes:start].decode())
        num_chars, num_bytes = begin + len(data[start:end].decode()), end
        left = _word_start(text, max(begin - config.margin_chars, 0), fold)
        if left > kept_from:
            pieces.append(text[kept_from:left])
        kept_from = max(kept_from, _word_end(text, min(num_chars + config.margin_chars, len(text)), fold))
    pieces.append(text[kept_from:])
    kept = [piece.strip() for piece in pieces]
    kept = [piece for piece in kept if len(piece) >= config.min_piece_chars]
    num_kept = sum(map(len, kept))
    return Cut(tuple(kept), len(text) - num_kept)


def _word_start(text: str, position: int, fold: Int32Array) -> int:
    while 0 < position < len(text) and _is_inside(text, position, fold):
        position -= 1
    return position


def _word_end(text: str, position: int, fold: Int32Array) -> int:
    while 0 < position < len(text) and _is_inside(text, position, fold):
        position += 1
    return position


def _is_inside(text: str, position: int, fold: Int32Array) -> bool:
    """Whether the characters on both sides of a position are of one word."""
    return all(-1 != fold[ord(c)] < WORD_BY_ITSELF for c in text[position - 1 : position + 1])
