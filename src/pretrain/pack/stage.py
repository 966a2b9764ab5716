"""The `pack` stage: token shards with an index, ready to be read as sequences, and their export to parquet.

    data/index.json                            what follows, see pretrain.sequences.index
    data/<split>/part-00000.tokens             little-endian uint16 or uint32
    data/<split>/part-00000.documents.parquet  id and num_tokens of each document, in order
    data/<split>/part-00000.borders.npy        the token at which each document begins
    data/<split>/part-00000.{rows,pieces}.npy  unless by concat: the pieces of each sequence
    data/token_bytes.npy                       UTF-8 bytes of each token
    export/<split>/part-00000.parquet          input_ids, position_ids, document_ids

Inputs: roles `shard` and `tokenizer`. The parts of a split are encoded in parallel, one token shard each, and laid out
in parallel: sequences are pieces of the stream of all shards, so that no token is copied to be packed.
"""

import logging
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pretrain.errors import RecipeError, StageError
from pretrain.pack.bigram import BigramUnit, count_bigrams
from pretrain.pack.config import PackConfig
from pretrain.pack.encoding import EncodeUnit, encode_part
from pretrain.pack.exporting import ExportUnit, export_part, export_ranges
from pretrain.pack.pieces import PiecesUnit, lay_out
from pretrain.pack.unigram import CountUnit, count_tokens, unigram_loss
from pretrain.sequences.encoder import Encoder
from pretrain.sequences.index import INDEX_PATH, TOKEN_BYTES_PATH, SequenceIndex, SplitIndex, TokenPart
from pretrain.sequences.stream import token_dtype
from pretrain.stage import Receipt, StageContext, Stats, UnitFiles, part_name, sum_stats

logger = logging.getLogger(__name__)

_SPLITS = ("train", "validation")


class IndexUnit(NamedTuple):
    """The index to write, and the UTF-8 bytes of every token, (vocab_size,) int32."""

    packed: SequenceIndex
    token_bytes: NDArray[np.int32]


def build(context: StageContext[PackConfig]) -> Stats:
    """Encodes and packs every split.

    Returns:
        `documents_in`, `bytes_in`, `tokens` (encoded, special tokens counted), `sequences`,
        `sequence_length`, `tokens_dropped` (the tails), `tokens_padded` (tokens + tokens_padded = sequences *
        sequence_length + tokens_dropped), the same by split, `packing_efficiency` (share of the sequences'
        positions that is not padding), `documents_cut` (that do not lie whole in one sequence),
        `tokens_by_source`, `vocab_size`, `unigram_loss` and `bigram_loss` (see `pretrain.pack.unigram` and
        `pretrain.pack.bigram`); under `measured` `documents_by_encoder`, which bears on nothing.

    Raises:
        RecipeError: `pack.bos` or `pack.eos` asks for a token that the tokenizer does not name.
        StageError: the train split gives no whole sequence.
    """
    encoder = Encoder(context.inputs["tokenizer"].open_folder())
    units = {split: _encode_units(context, encoder, split) for split in _SPLITS}
    receipts = _encode_parts(context, [unit for split in _SPLITS for unit in units[split]])
    by_unit = {name: receipts[name] for split in _SPLITS for name, _ in units[split]}
    splits, documents_cut = _lay_out(context, units, by_unit)
    index = _index(context.config, encoder, splits)
    if not index.splits["train"].sequences:
        raise StageError(
            f"the train split has {index.splits['train'].tokens} tokens, less than one sequence of "
            f"{index.sequence_length}: bring more text, or lower pack.sequence_length"
        )
    context.run_units([("index", IndexUnit(index, encoder.token_bytes()))], write_index, label="index")
    if context.config.export_parquet:
        context.run_units(_export_units(index), export_part, label="parts exported")
    train, validation = (_token_counts(context, index, split) for split in _SPLITS)
    [bigram] = context.run_units([("bigram", BigramUnit(index))], count_bigrams, label="bigram model")
    return {
        **_stats(index, list(receipts.values())),
        "documents_cut": documents_cut,
        "unigram_loss": unigram_loss(train, validation),
        "bigram_loss": bigram.stats["bigram_loss"],
        "measured": {"documents_by_encoder": sum_stats(list(receipts.values())).get("documents_by_encoder", {})},
    }


def write_index(files: UnitFiles, unit: IndexUnit) -> Stats:
    """Unit: writes the index and the sizes of tokens."""
    with files.create(INDEX_PATH) as output:
        output.path.write_text(unit.packed.model_dump_json(indent=1) + "\n", encoding="utf-8")
    with files.create(TOKEN_BYTES_PATH) as output, output.path.open("wb") as file:
        np.save(file, unit.token_bytes)
    return {}


def _encode_units(context: StageContext[PackConfig], encoder: Encoder, split: str) -> list[tuple[str, EncodeUnit]]:
    shard, config = context.inputs["shard"], context.config
    prefix = _frame(config.bos, "bos", encoder.bos_token_id)
    suffix = _frame(config.eos, "eos", encoder.eos_token_id)
    units = []
    for number, part in enumerate(shard.parts(f"data/{split}/")):
        name = part_name(number)
        unit = EncodeUnit(
            shard=shard,
            part=part,
            tokenizer=context.inputs["tokenizer"],
            dtype=token_dtype(encoder.vocab_size),
            prefix=prefix,
            suffix=suffix,
            place=TokenPart(path=f"data/{split}/{name}.tokens", tokens=0, documents=0),
        )
        units.append((f"encode-{split}-{name}", unit))
    return units


def _encode_parts(context: StageContext[PackConfig], units: list[tuple[str, EncodeUnit]]) -> dict[str, Receipt]:
    """The receipts by name of unit; all parts are encoded by `tokenizers` where gigatoken is wrong about one."""
    receipts = context.run_units(units, encode_part, label="parts encoded")
    num_wrong = sum(receipt.stats["encoders_differ"] for receipt in receipts)
    if num_wrong:
        logger.warning(
            "gigatoken and tokenizers differ on texts of %d of %d parts: all parts are encoded by tokenizers",
            num_wrong,
            len(units),
        )
        for name, _ in units:  # written anew, under the same paths
            del context.receipts[name]
        plain = [(name.replace("encode-", "plain-", 1), unit._replace(is_plain=True)) for name, unit in units]
        receipts = context.run_units(plain, encode_part, label="parts encoded by tokenizers")
    return {name: receipt for (name, _), receipt in zip(units, receipts, strict=True)}


def _frame(is_wanted: bool, role: str, token_id: int | None) -> tuple[int, ...]:
    if not is_wanted:
        return ()
    if token_id is None:
        raise RecipeError(
            f"pack.{role} is true, but the tokenizer names no {role} token: "
            f"set tokenizer.{role}_token to one in its vocabulary, or pack.{role}: false"
        )
    return (token_id,)


def _lay_out(
    context: StageContext[PackConfig], units: dict[str, list[tuple[str, EncodeUnit]]], encoded: dict[str, Receipt]
) -> tuple[dict[str, SplitIndex], int]:
    """The index of each split, and how many documents are cut."""
    config = context.config
    parts: dict[str, list[TokenPart]] = {}
    layouts: dict[str, list[tuple[str, PiecesUnit]]] = {}
    for split in _SPLITS:
        parts[split], layouts[split], first_token = [], [], 0
        for name, unit in units[split]:
            counts = encoded[name].stats
            part = TokenPart(path=unit.place.path, tokens=counts["tokens"], documents=counts["documents_in"])
            pieces = PiecesUnit(part, config.strategy, config.sequence_length, first_token)
            layouts[split].append((name.replace("encode-", "pieces-", 1), pieces))
            parts[split].append(part)
            first_token += part.tokens
    receipts = context.run_units(
        [unit for split in _SPLITS for unit in layouts[split]], lay_out, label="parts laid out"
    )
    made = iter(receipts)
    splits = {
        split: _split_index(
            config, [part.model_copy(update={"sequences": next(made).stats["sequences"]}) for part in parts[split]]
        )
        for split in _SPLITS
    }
    return splits, sum(receipt.stats["documents_cut"] for receipt in receipts)


def _split_index(config: PackConfig, parts: list[TokenPart]) -> SplitIndex:
    length, tokens = config.sequence_length, sum(part.tokens for part in parts)
    if config.strategy == "concat":
        sequences = tokens // length if config.tail == "drop" else -(-tokens // length)
    else:
        sequences = sum(part.sequences for part in parts)
    dropped = tokens % length if config.strategy == "concat" and config.tail == "drop" else 0
    padded = sequences * length + dropped - tokens
    return SplitIndex(parts=parts, tokens=tokens, sequences=sequences, tokens_dropped=dropped, tokens_padded=padded)


def _index(config: PackConfig, encoder: Encoder, splits: dict[str, SplitIndex]) -> SequenceIndex:
    return SequenceIndex(
        layout="concat" if config.strategy == "concat" else "pieces",
        isolate_documents=config.isolate_documents,
        dtype=token_dtype(encoder.vocab_size),
        vocab_size=encoder.vocab_size,
        sequence_length=config.sequence_length,
        bos_token_id=encoder.bos_token_id,
        eos_token_id=encoder.eos_token_id,
        pad_token_id=encoder.pad_token_id,
        splits=splits,
    )


def _export_units(index: SequenceIndex) -> list[tuple[str, ExportUnit]]:
    units = []
    for split in _SPLITS:
        for number, (start, stop) in enumerate(export_ranges(index, split)):
            name = part_name(number)
            unit = ExportUnit(index, split, start, stop, f"export/{split}/{name}.parquet")
            units.append((f"export-{split}-{name}", unit))
    return units


def _token_counts(context: StageContext[PackConfig], index: SequenceIndex, split: str) -> list[int]:
    units = []
    for number, part in enumerate(index.splits[split].parts):
        name = f"count-{split}-{part_name(number)}"
        path = f"scratch/counts/{name}.npy"
        units.append((name, CountUnit(part.path, part.tokens, index.dtype, index.vocab_size, path)))
    context.run_units(units, count_tokens, label="parts counted")
    total = np.zeros(index.vocab_size, dtype=np.int64)
    for _, unit in units:
        total += np.load(context.store.local_file(f"{context.artifact_key}/{unit.path}"), allow_pickle=False)
    return [int(count) for count in total]


def _stats(index: SequenceIndex, receipts: Sequence[Receipt]) -> Stats:
    counts = sum_stats(receipts)
    splits = index.splits
    return {
        "documents_in": counts["documents_in"],
        "bytes_in": counts["bytes_in"],
        "tokens": counts["tokens"],
        "sequences": sum(split.sequences for split in splits.values()),
        "sequence_length": index.sequence_length,
        "tokens_dropped": sum(split.tokens_dropped for split in splits.values()),
        "tokens_padded": sum(split.tokens_padded for split in splits.values()),
        "packing_efficiency": _efficiency(index),
        "tokens_by_split": {name: split.tokens for name, split in splits.items()},
        "sequences_by_split": {name: split.sequences for name, split in splits.items()},
        "tokens_dropped_by_split": {name: split.tokens_dropped for name, split in splits.items()},
        "tokens_padded_by_split": {name: split.tokens_padded for name, split in splits.items()},
        "tokens_by_source": counts["tokens_by_source"],
        "vocab_size": index.vocab_size,
    }


def _efficiency(index: SequenceIndex) -> float:
    """Share of positions with a token, to 6 decimals."""
    positions = index.sequence_length * sum(split.sequences for split in index.splits.values())
    padded = sum(split.tokens_padded for split in index.splits.values())
    return round(1 - padded / positions, 6) if positions else 1.0
