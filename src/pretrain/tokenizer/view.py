"""A tokenizer artifact for people: how it fits each source, its longest tokens, and what does not round-trip."""

from collections.abc import Iterator

import numpy as np

from pretrain.artifact import Artifact
from pretrain.sequences.encoder import Encoder
from pretrain.snippet import one_line

_NUM_LONGEST = 20
_NUM_SOURCES = 20
_SHOWN_CHARS = 60
_SPACE = "\u2581"


def view(artifact: Artifact) -> Iterator[tuple[str, list[str]]]:
    """Titles and lines: bytes per token by source, the longest tokens by UTF-8 bytes, and failed round trips.

    White space, control, direction and private characters of a token are shown by their code, as in Python.
    """
    stats = artifact.manifest.stats
    ratios = {"all": stats["bytes_per_token"], **stats["bytes_per_token_by_source"]}
    lines = [f"{value:>9.3f}  {one_line(name, _SHOWN_CHARS)}" for name, value in ratios.items() if value is not None]
    if lines:
        yield "bytes per token on the validation split", lines[: _NUM_SOURCES + 1]
    encoder = Encoder(artifact.open_folder())
    sizes = encoder.token_bytes()
    longest = [index for index in np.argsort(-sizes, kind="stable")[:_NUM_LONGEST].tolist() if sizes[index]]
    title = f"longest of {stats['vocab_size']:,} tokens, {stats['unused_tokens']:,} of them unused in validation"
    yield title, [f"{sizes[index]:>5,} bytes  id {index:<7}  {printable_token(encoder, index)}" for index in longest]
    if stats["round_trip_failures"]:
        share = f"{stats['round_trip_failures']:,} of {stats['documents']:,} documents decode to another text, such as"
        yield share, [one_line(document) for document in stats["round_trip_failure_ids"]]


def printable_token(encoder: Encoder, token_id: int) -> str:
    """A token between quotes, harmless on a terminal; its bytes where they are no whole characters."""
    token = encoder.tokenizer.id_to_token(token_id) or ""
    # SentencePiece's sign for a space, no letter of a byte-level token; the decoder takes one from the start of a text
    text = token.replace(_SPACE, " ") if _SPACE in token else encoder.decode([token_id])
    if "\ufffd" in text or not text:
        return ascii(token)[:_SHOWN_CHARS]
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return f"'{shown}'" if len(shown) <= _SHOWN_CHARS else f"'{shown[:_SHOWN_CHARS]}'…"
