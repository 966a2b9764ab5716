"""Merges of the tokenizers library that do what a ranked vocabulary means.

tiktoken and SentencePiece's BPE have no list of merges: of all neighbours whose concatenation is a token, those that
make the token of the best rank are joined first, the leftmost of them first. The tokenizers library ranks pairs
instead. With every way to split a token as a pair, in order of the token's rank, both do the same, but where two pairs
that make the same token overlap: in x y z with xy = yz. There the pair that the leftmost rule takes has to come first.
"""

from collections.abc import Iterator, Mapping, Sequence

from tokenizers import Tokenizer, models

from pretrain.errors import InputError

_MAX_LENGTH = 1024  # the longest token of cl100k_base has 128 bytes; the work grows with the square


def merges_of(tokens: Sequence[str], parts: Mapping[str, int] | None = None) -> list[tuple[str, str]]:
    """The pairs to merge, in order of the rank of what they make.

    Args:
        tokens: the tokens that a merge may make, the first of them first.
        parts: what a merge may join, with its rank; `tokens` where none is given.

    Raises:
        InputError: a token is far longer than any that was trained.
    """
    known = {token: rank for rank, token in enumerate(tokens)} if parts is None else parts
    merges: list[tuple[str, str]] = []
    for token in tokens:
        if len(token) > _MAX_LENGTH:
            raise InputError(f"tokenizer.import: a token has {len(token):,} bytes or characters: the file is damaged")
        splits = [k for k in range(1, len(token)) if token[:k] in known and token[k:] in known]
        merges.extend((token[:k], token[k:]) for k in _leftmost_first(token, splits))
    return merges


def require_faithful(tokens: Sequence[str], merges: Sequence[tuple[str, str]], alphabet: Mapping[str, int]) -> None:
    """Checks runs of what tokens repeat, where no order of pairs is right for every text.

    Args:
        tokens: what a merge may make, the first of them first.
        merges: what `merges_of` made of them.
        alphabet: the ids of all tokens.

    Raises:
        InputError: a run is cut otherwise than the ranks say.
    """
    ranks = {token: rank for rank, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab=dict(alphabet), merges=list(merges)))
    for run in _runs(merges):
        expected = merge_by_rank(list(run), ranks)
        if tokenizer.encode(run).tokens != expected:
            raise InputError(
                f"tokenizer.import: {run[:20]!r}, repeated, is cut into {expected[:5]} by its ranks, which no order "
                "of merges does for every text; import its tokenizer.json instead"
            )


def merge_by_rank(symbols: list[str], ranks: Mapping[str, int]) -> list[str]:
    """The reference: joins the leftmost of the neighbours that make the token of the best rank, until none do."""
    while True:
        found = [
            (rank, index)
            for index in range(len(symbols) - 1)
            if (rank := ranks.get(symbols[index] + symbols[index + 1])) is not None
        ]
        if not found:
            return symbols
        index = min(found)[1]
        symbols[index : index + 2] = [symbols[index] + symbols[index + 1]]


def _leftmost_first(token: str, splits: list[int]) -> list[int]:
    # x y z with xy = yz = token: its splits at |x| and at |y| = len - |x|, and the leftmost rule takes the first.
    length = len(token)
    later = {length - k for k in splits if token[k:] == token[: length - k]}
    # where each is later than the other the token repeats a unit, and in a run the longer part stands left
    return sorted(splits, key=lambda k: (k in later and length - k not in later, -k))


def _runs(merges: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Runs of a unit, up to twice the longest token that repeats it and has two ways to be made."""
    longest: dict[str, int] = {}
    for left, right in merges:
        if len(left) != len(right) and left + right == right + left:
            unit = _unit(left + right)
            longest[unit] = max(longest.get(unit, 0), (len(left) + len(right)) // len(unit))
    for unit, count in longest.items():
        for repeats in {*range(2, min(2 * count, 40) + 1), 2 * count - 1, 2 * count, 2 * count + 1}:
            yield unit * repeats


def _unit(text: str) -> str:
    return text[: (text + text).index(text, 1)]
