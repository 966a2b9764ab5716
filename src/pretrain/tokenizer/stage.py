"""The `tokenizer` stage: a Hugging Face tokenizer folder under `data/`, measured on the validation split.

Input: role `shard`. Training is one unit in one process; the measurement is one unit for each validation
part.
"""

import numpy as np

from pretrain.sequences.encoder import Encoder
from pretrain.stage import StageContext, Stats, part_name, sum_stats
from pretrain.tokenizer.config import TokenizerConfig
from pretrain.tokenizer.converting import Options
from pretrain.tokenizer.importing import ImportUnit, write_imported
from pretrain.tokenizer.inputs import IMPORTED
from pretrain.tokenizer.measuring import NUM_EXAMPLES, MeasureUnit, measure_part
from pretrain.tokenizer.training import TrainUnit, write_trained


def build(context: StageContext[TokenizerConfig]) -> Stats:
    """Trains or imports the tokenizer.

    Returns:
        `vocab_size` (one more than the largest id), and over the validation split: `documents`, `bytes`,
        `validation_tokens`, `bytes_per_token` (null when there is no token), `bytes_per_token_by_source`,
        `round_trip_failures` (documents that decode to another text; 0 for a byte-level tokenizer without a
        normaliser), `round_trip_failure_ids` (of up to 3 of them) and `unused_tokens` (entries of the vocabulary,
        special tokens aside, that no document used).

    Raises:
        InputError: the imported tokenizer cannot be used.
        RecipeError: a special token's name is ordinary text.
    """
    config = context.config
    roles = config.special_roles()
    shard = context.inputs["shard"]
    if config.train is not None:
        train = TrainUnit(shard, config.train, roles)
        context.run_units([("tokenizer", train)], write_trained, label="tokenizers trained")
    else:
        imported = ImportUnit(context.external[IMPORTED], Options.of(config))
        context.run_units([("tokenizer", imported)], write_imported, label="tokenizers imported")
    return _measure(context)


def _measure(context: StageContext[TokenizerConfig]) -> Stats:
    shard = context.inputs["shard"]
    units = [
        (f"measure-{part_name(index)}", MeasureUnit(shard, part, f"scratch/counts/{part_name(index)}.npy"))
        for index, part in enumerate(shard.parts("data/validation/"))
    ]
    measured = sum_stats(context.run_units(units, measure_part, label="validation parts measured"))
    store, folder = context.store, context.artifact_key
    encoder = Encoder(store.local_file(f"{folder}/data/tokenizer.json").parent)
    is_used = np.zeros(encoder.vocab_size, dtype=np.bool_)
    for _, unit in units:
        is_used |= np.load(store.local_file(f"{folder}/{unit.path}"), allow_pickle=False) > 0
    is_text = encoder.token_bytes() > 0
    sizes, tokens = measured.get("bytes_by_source", {}), measured.get("tokens_by_source", {})
    return {
        "vocab_size": encoder.vocab_size,
        "documents": measured.get("documents", 0),
        "bytes": sum(sizes.values()),
        "validation_tokens": sum(tokens.values()),
        "bytes_per_token": _ratio(sum(sizes.values()), sum(tokens.values())),
        "bytes_per_token_by_source": {source: _ratio(sizes[source], tokens[source]) for source in sizes},
        "round_trip_failures": measured.get("round_trip_failures", 0),
        "round_trip_failure_ids": list(measured.get("round_trip_failure_ids", {}))[:NUM_EXAMPLES],
        "unused_tokens": int((is_text & ~is_used).sum()),
    }


def _ratio(size: int, tokens: int) -> float | None:
    return round(size / tokens, 4) if tokens else None
