"""Token ids of many texts as flat arrays: by `tokenizers`, or by gigatoken where it is seen to give the same ids.

gigatoken (MIT) encodes byte-level and SentencePiece BPE 20 to 50 times as fast as `tokenizers`, and is young. It is
used where it is installed and loads the tokenizer, and only under watch: it is held against `tokenizers` on texts that
are hard to split, on the first documents of every part, and on samples of the rest. What differs anywhere is encoded by
`tokenizers`, so which of the two did the work bears on no token.
"""

import contextlib
import functools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from pretrain.sequences.encoder import ENCODE_BATCH_BYTES, Encoder

# Of every part, so much text at its start and this share of the rest is encoded by both. At 2 MB/s for tokenizers
# that is 30 ms a part and half a nanosecond a byte, of the 10 that gigatoken takes.
FIRST_CHARS = 1 << 16
SAMPLED_SHARE = 0.001
SAMPLE_CHARS = 4096
# What it remembers of words grows: by 60 MB over 0.5 GB of web text, by 180 MB over 0.1 GB of random ones.
RELOAD_CHARS = 1 << 29
# What an assertion of its Rust raises: no subclass of Exception, and in no module that can be imported.
_PANIC = "PanicException"


class Tokens(NamedTuple):
    """The ids of several texts one after another, (tokens,) uint32, and how many each text has, (texts,) int64."""

    ids: NDArray[np.uint32]
    lengths: NDArray[np.int64]


class BatchEncoder(Protocol):
    """Encodes texts as plain text, as `Encoder` does."""

    name: str

    def encode(self, texts: Sequence[str]) -> Tokens:
        """The ids of each text.

        Raises:
            EncodersDiffer: this encoder is not to be relied on.
        """


class EncodersDiffer(Exception):
    """gigatoken gave other ids than tokenizers for a text.

    Attributes:
        text: that text, or the piece of it that was compared.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class PlainBatchEncoder:
    """Encodes by `tokenizers`."""

    name = "tokenizers"

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    def encode(self, texts: Sequence[str]) -> Tokens:
        """The ids of each text. About `ENCODE_BATCH_BYTES` are encoded at a time, which bounds memory."""
        pieces = [np.empty(0, np.uint32)]
        lengths: list[int] = []
        for batch in _batches(texts):
            encoded = self._encoder.encode(batch)
            lengths += map(len, encoded)
            pieces += (np.array(ids, np.uint32) for ids in encoded)
        return Tokens(np.concatenate(pieces), np.array(lengths, np.int64))


class WatchedBatchEncoder:
    """Encodes by gigatoken, and compares.

    Args:
        backend: a `gigatoken.Tokenizer`.
        encoder: what it has to agree with.

    Attributes:
        num_chars: of text that was encoded.
    """

    name = "gigatoken"

    def __init__(self, backend: Any, encoder: Encoder) -> None:
        self.backend = backend
        self._encoder = encoder
        self.num_chars = 0
        self.anew()

    def anew(self) -> "WatchedBatchEncoder":
        """Itself, to compare as much of the texts that follow as of the first ones."""
        self._owed_chars = float(FIRST_CHARS)
        self._num_batches = 0
        return self

    def encode(self, texts: Sequence[str]) -> Tokens:
        """The ids of each text.

        Raises:
            EncodersDiffer: for a text that was compared, they are not those of `tokenizers`.
        """
        tokens = self._encode(texts)
        ends = np.cumsum(tokens.lengths)
        for index, start in self._samples(texts):
            text, ids = texts[index], tokens.ids[ends[index] - tokens.lengths[index] : ends[index]]
            if len(text) > SAMPLE_CHARS:
                text = text[start : start + SAMPLE_CHARS]
                ids = self._encode([text]).ids
            self._compare(text, ids)
        return tokens

    def require_equal(self, texts: Sequence[str]) -> None:
        """Compares every text.

        Raises:
            EncodersDiffer: one has other ids.
        """
        for text in texts:
            self._compare(text, self._encode([text]).ids)

    def _encode(self, texts: Sequence[str]) -> Tokens:
        try:  # not `parallel`: the workers are the parallel ones
            layout = self.backend.encode_batch(list(texts), parallel=False).layout
        except BaseException as error:
            if type(error).__name__ != _PANIC:
                raise
            raise EncodersDiffer(texts[0] if texts else "") from error
        offsets = layout.offsets.data
        return Tokens(layout.content.data[offsets[0] : offsets[-1]], np.diff(offsets))

    def _samples(self, texts: Sequence[str]) -> Iterator[tuple[int, int]]:
        """Positions of texts to compare, and where in a long one: the same for the same texts in the same order."""
        num_chars = sum(map(len, texts))
        self.num_chars += num_chars
        self._owed_chars += SAMPLED_SHARE * num_chars
        first = 7919 * self._num_batches if self._num_batches else 0  # a prime: other places in every batch
        for number in range(len(texts)):
            if self._owed_chars <= 0:
                break
            index = (first + number) % len(texts)
            size = len(texts[index])
            yield index, (104_729 * self._num_batches) % max(1, size - SAMPLE_CHARS)
            self._owed_chars -= min(size, SAMPLE_CHARS) + 1
        self._num_batches += 1

    def _compare(self, text: str, ids: NDArray[np.uint32]) -> None:
        [expected] = self._encoder.encode([text])
        if not np.array_equal(ids, np.array(expected, np.uint32)):
            raise EncodersDiffer(text)


def open_batch_encoder(folder: Path) -> BatchEncoder:
    """The fastest encoder that agrees with `tokenizers` on every text of `HARD_TEXTS`; for one part.

    A process loads a tokenizer into gigatoken once, and anew after `RELOAD_CHARS` of text.

    Args:
        folder: as of `Encoder`.

    Raises:
        InputError: the folder holds no tokenizer that can be used.
    """
    stat = (folder / "tokenizer.json").stat()
    watched = _watched(folder, stat.st_mtime_ns, stat.st_size)
    if watched is not None and watched.num_chars > RELOAD_CHARS:
        forget_loaded_tokenizers()
        watched = _watched(folder, stat.st_mtime_ns, stat.st_size)
    return PlainBatchEncoder(Encoder(folder)) if watched is None else watched.anew()


def forget_loaded_tokenizers() -> None:
    """Frees what this process remembers of tokenizers."""
    _watched.cache_clear()


@functools.lru_cache(maxsize=2)
def _watched(folder: Path, _mtime_ns: int, _num_bytes: int) -> WatchedBatchEncoder | None:
    """None where gigatoken is not to be used."""
    backend = _gigatoken(folder / "tokenizer.json")
    if backend is None:
        return None
    watched = WatchedBatchEncoder(backend, Encoder(folder))
    with contextlib.suppress(EncodersDiffer):
        watched.require_equal(HARD_TEXTS)
        return watched
    return None


def _gigatoken(path: Path) -> Any:
    """The tokenizer of a tokenizer.json in gigatoken, or None where it is not there or cannot take it."""
    try:
        import gigatoken
    except ImportError:
        return None
    definition = json.loads(path.read_text(encoding="utf-8"))
    if definition["model"].get("type", "BPE") != "BPE":  # the other models are not its own
        return None
    # It reads every added token in a text as that token; one typed by an author is plain text here.
    definition["added_tokens"] = [token for token in definition.get("added_tokens", []) if not token["special"]]
    definition.update(truncation=None, padding=None, post_processor=None)
    try:
        return gigatoken.Tokenizer.from_json(json.dumps(definition))
    except (ValueError, TypeError, KeyError, RuntimeError, NotImplementedError):  # other kinds of tokenizers
        return None


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for text in texts:
        batch.append(text)
        size += len(text)
        if size >= ENCODE_BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


# What encoders split differently when they split differently: spaces, breaks, numbers, marks, scripts, controls.
HARD_TEXTS = (
    "",
    " ",
    "  two  three   four    ",
    "\t\ttabs\t and \r\n breaks\r\n\r\n\n\nof \r lines \u2028 of \u2029 all \x85 kinds \x0b\x0c",
    "I'll they're don't DON'T 'S 'ſ won’t x'y'z ''",
    "0 12 123 1234 12345 1,234.56 -1e-9 0x1F ½ ² ٣٤ ４２ Ⅷ",
    "a_b __init__ foo.bar(baz)->qux::quux // /* */ <tag/> {{x}} $HOME @me #1 C++ &amp;",
    "!?!?!? ...... ------ ====== ******",
    "naïve cafe\u0301 é ﬁ ŉ İstanbul ẞ Å Ω K",
    "漢字かな交じり文。한국어 문장 ไทย नमस्ते العربية עברית ქართული",
    "🙂 👩‍👩‍👧‍👦 🇨🇭 ☠️ 1️⃣ 🏴󠁧󠁢󠁳󠁣󠁴󠁿",
    "\ufeffmark \u200b zero \u200d width \u00a0 no\u00a0break \u3000 wide \u202e turned \ue000 \U0010ffff",
    "nul \x00 bell \x07 escape \x1b[31m delete \x7f",
    "Z̷͇̈a̴l̵g̶o̷ \u0301 alone",
    "<|endoftext|> <s> </s> <|bos|><|eos|> <pad> [INST] <0x0A> ▁under ĠG Ċ",
    "a" * 3000,
    " " * 700 + "x" + "\n" * 700,
    "ab" * 400 + "é" * 400 + "漢" * 400,
)
