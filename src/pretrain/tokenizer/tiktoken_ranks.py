"""A file of tiktoken ranks as a tokenizer: a line for each token, its bytes in base64 and its rank, which is its id."""

import base64
import re

import regex
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

from pretrain.errors import InputError
from pretrain.tokenizer.config import TiktokenConfig
from pretrain.tokenizer.merging import merges_of, require_faithful
from pretrain.tokenizer.probe import PROBE
from pretrain.tokenizer.tiktoken_encodings import ENCODINGS, TiktokenEncoding

_LINE = re.compile(rb"([A-Za-z0-9+/]+={0,2}) ([0-9]{1,9})\r?")


def is_ranks_file(data: bytes) -> bool:
    """Whether the first line is one of a file of ranks."""
    return _LINE.fullmatch(data.split(b"\n", 1)[0]) is not None


def tiktoken_tokenizer(data: bytes, config: TiktokenConfig) -> Tokenizer:
    """The tokenizer of a file of ranks, with the pattern and the special tokens that the recipe declares.

    Ids between the last rank and a special token of a published encoding are filled with special tokens named
    `<|unused_ID|>`, since the tokenizers library numbers added tokens without gaps.

    Raises:
        InputError: the file is damaged or is not that of the encoding; ranks are not 0, 1, 2, ...; or no order of
            merges does what the ranks say.
    """
    tokens = _tokens(data)
    encoding = _encoding(config, len(tokens))
    spelling = _byte_spelling()
    spelled = ["".join([spelling[byte] for byte in token]) for token in tokens]
    vocab = {token: rank for rank, token in enumerate(spelled)}
    merges = merges_of(spelled)
    require_faithful(spelled, merges, vocab)
    # a piece of text that is a token as it stands is that token, even where no merges lead to it
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges, ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(_regex(encoding.pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    by_id = {token_id: token for token, token_id in encoding.special_tokens.items()}
    last = max(by_id, default=len(tokens) - 1)
    names = [by_id.get(token_id, f"<|unused_{token_id}|>") for token_id in range(len(tokens), last + 1)]
    spelled_names = vocab.keys() & set(names)
    if spelled_names:
        raise InputError(f"tokenizer.import: the special token {min(spelled_names)!r} is a token of text too")
    tokenizer.add_special_tokens(names)
    return tokenizer


def _encoding(config: TiktokenConfig, num_ranks: int) -> TiktokenEncoding:
    if config.encoding is None:
        known = ENCODINGS.get(str(config.pattern))
        special = {token: num_ranks + index for index, token in enumerate(config.special_tokens)}
        return TiktokenEncoding(num_ranks, known.pattern if known else str(config.pattern), special)
    encoding = ENCODINGS[config.encoding]
    if num_ranks != encoding.num_ranks:
        raise InputError(
            f"tokenizer.import: it has {num_ranks:,} ranks, {config.encoding} has {encoding.num_ranks:,}: the file is "
            f"cut or another. For ranks of your own write tokenizer.tiktoken: {{pattern: {config.encoding}, "
            "special_tokens: [...]}"
        )
    return encoding


def _tokens(data: bytes) -> list[bytes]:
    ranks: dict[bytes, int] = {}
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not line.rstrip(b"\r"):
            continue
        found = _LINE.fullmatch(line)
        try:
            token = base64.b64decode(found[1], validate=True) if found else b""
        except ValueError:
            token = b""
        if not found or not token:
            raise InputError(f"tokenizer.import: line {number} is no base64 token and rank: {line[:40]!r}")
        if token in ranks:
            raise InputError(f"tokenizer.import: line {number} has the token {token!r} a second time")
        ranks[token] = int(found[2])
    tokens = sorted(ranks, key=ranks.__getitem__)
    if sorted(ranks.values()) != list(range(len(ranks))):
        raise InputError(
            f"tokenizer.import: {len(ranks):,} tokens have ranks up to {max(ranks.values(), default=0):,}, with "
            "doubles or holes; only ranks 0, 1, 2, ... are converted, get the file anew or import its tokenizer.json"
        )
    missing = [byte for byte in range(256) if bytes([byte]) not in ranks]
    if missing:
        raise InputError(f"tokenizer.import: {len(missing)} of the 256 bytes have no rank, such as {missing[0]:#04x}")
    return tokens


def _regex(pattern: str) -> Regex:
    """The pattern, if the tokenizers library (Oniguruma) splits text by it as other engines do, and into all of it."""
    try:
        expected, split = regex.compile(pattern), pre_tokenizers.Split(Regex(pattern), "isolated")
    except Exception as error:  # tokenizers raises bare Exception for a pattern that it cannot parse
        raise InputError(f"tokenizer.tiktoken.pattern {pattern[:60]!r} cannot be read: {error}") from error
    for text in PROBE:
        pieces = [found[0] for found in expected.finditer(text)]
        if [piece for piece, _ in split.pre_tokenize_str(text)] != pieces or "".join(pieces) != text:
            raise InputError(
                f"tokenizer.tiktoken.pattern {pattern[:60]!r} leaves text out, or is read in several ways, as in "
                f"{text[:40]!r}: write possessive quantifiers such as {{1,3}}+ and ++ without the last +, and no ^ or $"
            )
    return Regex(pattern)


def _byte_spelling() -> list[str]:
    """The character that stands for each byte: bytes_to_unicode of openai/gpt-2's encoder.py."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    spelling = {byte: chr(byte) for byte in printable} | {byte: chr(256 + n) for n, byte in enumerate(others)}
    return [spelling[byte] for byte in range(256)]
