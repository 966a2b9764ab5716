"""GPT-2's two files as a tokenizer: the ids of its tokens, and the merges in order of rank.

The files and their meaning: encoder.py of openai/gpt-2.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from pretrain.errors import InputError
from pretrain.sequences.encoder import byte_alphabet

VOCAB_FILE = "vocab.json"
MERGES_FILE = "merges.txt"

# Classes of transformers that split text as GPT-2 does; others with the same two files do not (Qwen2, CLIP, ...).
_SAME_SPLIT = ("GPT2Tokenizer", "RobertaTokenizer", "BartTokenizer", "LongformerTokenizer", "PreTrainedTokenizer")
_BRACKETS = {"<": ">", "[": "]"}


def gpt2_tokenizer(vocab_file: bytes, merges_file: bytes, config: Mapping[str, Any], special: set[str]) -> Tokenizer:
    """The tokenizer of vocab.json (or encoder.json) and merges.txt (or vocab.bpe).

    Args:
        vocab_file: a JSON object of ids by token, tokens written in GPT-2's byte alphabet.
        merges_file: a line for each merge: two tokens with a space between.
        config: the folder's tokenizer_config.json, for `tokenizer_class` and `add_prefix_space`.
        special: the special tokens that the recipe or the folder names.

    Raises:
        InputError: a file is damaged, the two do not belong together, or they mean another kind of tokenizer.
    """
    _require_gpt2_class(config)
    vocab, merges = _vocab(vocab_file), _merges(merges_file)
    unmade = _require_one_set(vocab, merges, special)
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=bool(config.get("add_prefix_space", False)))
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(unmade)
    return tokenizer


def _require_gpt2_class(config: Mapping[str, Any]) -> None:
    name = str(config.get("tokenizer_class", _SAME_SPLIT[0])).removesuffix("Fast")
    if name not in _SAME_SPLIT:
        raise InputError(
            f"tokenizer.import: its tokenizer_config.json says {name}, which splits text in its own way, and "
            f"{VOCAB_FILE} with {MERGES_FILE} does not say how; import its tokenizer.json instead"
        )


def _vocab(data: bytes) -> dict[str, int]:
    try:
        vocab = json.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise InputError(f"tokenizer.import: {VOCAB_FILE} is not valid JSON: {error}") from error
    if not isinstance(vocab, dict) or not all(type(n) is int and 0 <= n < 1 << 32 for n in vocab.values()):
        raise InputError(f"tokenizer.import: {VOCAB_FILE} is no JSON object of ids by token")
    if len(set(vocab.values())) < len(vocab):
        raise InputError(f"tokenizer.import: {VOCAB_FILE} gives one id to several tokens; get the file anew")
    return vocab


def _merges(data: bytes) -> list[tuple[str, str]]:
    try:
        lines = data.decode().split("\n")
    except UnicodeDecodeError as error:
        raise InputError(f"tokenizer.import: {MERGES_FILE} is not UTF-8: {error}; get the file anew") from error
    merges = []
    for number, line in enumerate(lines, start=1):
        pair = line.removesuffix("\r").split(" ")
        if (number == 1 and line.startswith("#version")) or pair == [""]:
            continue
        if len(pair) != 2 or not all(pair):
            raise InputError(f"tokenizer.import: line {number} of {MERGES_FILE} is no pair of tokens: {line[:40]!r}")
        merges.append((pair[0], pair[1]))
    return merges


def _require_one_set(vocab: Mapping[str, int], merges: Sequence[tuple[str, str]], special: set[str]) -> list[str]:
    """The tokens of the vocabulary that text is never encoded to, in order of id."""
    made = {left + right for left, right in merges}
    if len(made) < len(merges) and len(set(merges)) < len(merges):
        raise InputError(f"tokenizer.import: {MERGES_FILE} has a merge twice; get the file anew")
    missing = [token for token in [*byte_alphabet(), *sorted(made)] if token not in vocab]
    if missing:
        raise InputError(
            f"tokenizer.import: {VOCAB_FILE} lacks {len(missing)} bytes or tokens that merges make, such as "
            f"{missing[0]!r}: it is cut, or belongs to another {MERGES_FILE}"
        )
    made.update(byte_alphabet())
    unmade = sorted((token for token in vocab if token not in made), key=vocab.__getitem__)
    unknown = [token for token in unmade if token not in special and _BRACKETS.get(token[:1]) != token[-1:]]
    if unknown:
        raise InputError(
            f"tokenizer.import: no merge makes {len(unknown)} tokens of {VOCAB_FILE}, such as {unknown[0]!r}: "
            f"{MERGES_FILE} is cut or belongs to another vocabulary (or words end in a sign of their own, as in CLIP)"
        )
    return unmade
