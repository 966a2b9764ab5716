"""Training a byte-level BPE on the train split."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow.compute as pc
import pyarrow.parquet as pq
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from pretrain.artifact import Artifact
from pretrain.documents import read_documents
from pretrain.errors import RecipeError
from pretrain.sequences.encoder import byte_alphabet
from pretrain.stage import Stats, UnitFiles
from pretrain.tokenizer.config import TrainTokenizerConfig
from pretrain.tokenizer.saving import save_tokenizer


class TrainUnit(NamedTuple):
    """What to train on, and the special tokens by role."""

    shard: Artifact
    config: TrainTokenizerConfig
    special_roles: dict[str, str]


def write_trained(files: UnitFiles, unit: TrainUnit) -> Stats:
    """Unit: trains the tokenizer and writes it as a Hugging Face folder under `data/`."""
    paths = [unit.shard.open_part(part) for part in unit.shard.parts("data/train/")]
    special_tokens = [*unit.special_roles.values(), *unit.config.special_tokens]
    tokenizer = train_bpe(sample_texts(paths, unit.config.sample_bytes), unit.config, special_tokens)
    save_tokenizer(files, tokenizer, unit.special_roles, unit.config.special_tokens)
    return {}


def train_bpe(texts: Iterator[str], config: TrainTokenizerConfig, special_tokens: Sequence[str]) -> Tokenizer:
    """A byte-level BPE tokenizer that adds no special token by itself.

    Ids: the special tokens in the order given, the 256 bytes, then the merges in order of their count.
    Determinism: the texts alone; ties of counts are broken by id, for any number of threads.

    Raises:
        RecipeError: a special token's name is a string that text is encoded to.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocab_size,
        min_frequency=config.min_frequency,
        special_tokens=list(special_tokens),
        initial_alphabet=byte_alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    _require_unreachable(tokenizer, special_tokens)
    return tokenizer


def sample_texts(paths: Sequence[Path], sample_bytes: int) -> Iterator[str]:
    """The texts of about `sample_bytes` of documents, each chosen by the hash of its id alone."""
    total = sum(_text_bytes(path) for path in paths)
    threshold = 1 << 64 if total <= sample_bytes else (sample_bytes << 64) // total
    for path in paths:
        for document in read_documents(path):
            if _sample_hash(document.id) < threshold:
                yield document.text


def _text_bytes(path: Path) -> int:
    # Not the footer's count of encoded bytes: a text that a mixture repeats is encoded once a row group.
    with pq.ParquetFile(path) as file:
        groups = (file.read_row_group(index, columns=["text"])["text"] for index in range(file.num_row_groups))
        return sum(pc.sum(pc.binary_length(texts)).as_py() or 0 for texts in groups)


def _sample_hash(document_id: str) -> int:
    digest = hashlib.blake2b(document_id.encode(), digest_size=8, person=b"tokenizer sample")
    return int.from_bytes(digest.digest(), "little")


def _require_unreachable(tokenizer: Tokenizer, special_tokens: Sequence[str]) -> None:
    # A merge that spells a special token takes that token's id, and authors' text would be encoded to it.
    model = json.loads(tokenizer.to_str())["model"]
    reachable = set(byte_alphabet()) | {"".join(merge) for merge in model["merges"]}
    for token in special_tokens:
        if token in reachable:
            raise RecipeError(
                f"tokenizer: the special token {token!r} is also a piece of ordinary text; "
                f"name one that text does not contain, such as '<|{token}|>'"
            )
