"""Which old tokens stand for each token of another tokenizer."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pretrain.sequences.encoder import Encoder

_REPLACEMENT = "\ufffd"  # what a decoder makes of bytes that are no UTF-8


class MatchedVocabulary(NamedTuple):
    """The old ids of each new id, none for all; and how many tokens were kept or spelled in old tokens."""

    origins: list[tuple[int, ...]]
    num_kept: int
    num_spelled: int

    def counts(self) -> dict[str, Any]:
        """For the manifest; the tokens that are left have the mean of all rows."""
        rest = len(self.origins) - self.num_kept - self.num_spelled
        return {"tokens_kept": self.num_kept, "tokens_from_pieces": self.num_spelled, "tokens_from_mean": rest}


def match_vocabularies(
    old_folder: Path, new_folder: Path, *, num_old_rows: int, with_pieces: bool
) -> MatchedVocabulary:
    """The old ids of each token of a new tokenizer.

    A token is kept when the old vocabulary has its name, its text (`Ġthe` and `▁the` are both " the") or its role of
    bos, eos or pad. With `with_pieces`, others are spelled in old tokens by their text, or byte by byte where they are
    part of a character; one with a part that the old tokenizer does not know is not.

    Args:
        old_folder: with the tokenizer.json of the checkpoint.
        new_folder: with that of the recipe.
        num_old_rows: of the checkpoint's embedding; ids beyond stand for nothing.
        with_pieces: whether tokens are spelled.

    Raises:
        InputError: a folder holds no tokenizer that can be used.
    """
    old, new = _Vocabulary(old_folder, num_old_rows), _Vocabulary(new_folder)
    kept = _kept(old, new)
    spelled = {}
    if with_pieces:
        rest = {token_id: text for token_id, text in new.texts.items() if token_id not in kept and text}
        whole = {token_id: text for token_id, text in rest.items() if _REPLACEMENT not in text}
        for token_id, ids in zip(whole, old.encoder.encode(list(whole.values())), strict=True):
            spelled[token_id] = tuple(ids)
        for token_id in rest.keys() - whole.keys():
            spelled[token_id] = tuple(old.ids.get(byte, -1) for byte in new.names[token_id])
        usable = old.names.keys() - {old.unknown_id}
        spelled = {token: ids for token, ids in spelled.items() if ids and usable >= set(ids)}
    origins = [kept.get(token_id) or spelled.get(token_id, ()) for token_id in range(new.encoder.vocab_size)]
    return MatchedVocabulary(origins, len(kept), len(spelled))


class _Vocabulary:
    """A tokenizer's tokens by name, by text and by role."""

    def __init__(self, folder: Path, num_rows: int | None = None) -> None:
        self.encoder = Encoder(folder)
        vocabulary = self.encoder.tokenizer.get_vocab(with_added_tokens=True)
        self.ids = {name: i for name, i in vocabulary.items() if num_rows is None or i < num_rows}
        self.names = {i: name for name, i in self.ids.items()}
        has_roles = (folder / "tokenizer_config.json").is_file()
        roles = ("bos_token_id", "eos_token_id", "pad_token_id") if has_roles else ()
        self.roles = {role: i for role in roles if (i := getattr(self.encoder, role)) in self.names}
        model = json.loads(self.encoder.tokenizer.to_str())["model"]
        self.unknown_id = model.get("unk_id", self.ids.get(model.get("unk_token")))
        self.texts = self._texts()

    def _texts(self) -> dict[int, str]:
        """What each token that is not special stands for, a space at its front included."""
        added = self.encoder.tokenizer.get_added_tokens_decoder()
        # Decoders drop a space at the very front: each token is decoded behind another.
        anchor = self.encoder.encode(["a"])[0][-1:]
        front = self.encoder.decode(anchor)
        ordinary = [i for i in self.names if not (i in added and added[i].special)]
        return {i: self.encoder.decode([*anchor, i]).removeprefix(front) for i in ordinary}


def _kept(old: _Vocabulary, new: _Vocabulary) -> dict[int, tuple[int, ...]]:
    by_text: Mapping[str, int] = {text: i for i, text in sorted(old.texts.items(), reverse=True) if text}
    kept: dict[int, tuple[int, ...]] = {}
    for token_id, name in new.names.items():
        text = new.texts.get(token_id, "")
        if name in old.ids:
            kept[token_id] = (old.ids[name],)
        elif _REPLACEMENT not in text and text in by_text:
            kept[token_id] = (by_text[text],)
    for role, token_id in new.roles.items():
        if role in old.roles:
            kept[token_id] = (old.roles[role],)
    return kept
