"""How well a tokenizer fits the validation split: compression, round trip, use of the vocabulary."""

from typing import NamedTuple

import numpy as np

from pretrain.artifact import Artifact, PartRecord
from pretrain.documents import read_documents
from pretrain.sequences.encoder import Encoder, text_batches
from pretrain.stage import Stats, UnitFiles
from pretrain.tokenizer.inputs import TOKENIZER_FILE

NUM_EXAMPLES = 3


class MeasureUnit(NamedTuple):
    """One part of the validation split, and where the counts of its tokens go."""

    shard: Artifact
    part: PartRecord
    path: str


def measure_part(files: UnitFiles, unit: MeasureUnit) -> Stats:
    """Unit: encodes and decodes a part's documents; writes counts of tokens, (vocab_size,) int64."""
    encoder = Encoder(files.scratch(f"data/{TOKENIZER_FILE}").parent)
    counts = np.zeros(encoder.vocab_size, dtype=np.int64)
    num_documents = 0
    failures: list[str] = []
    bytes_by_source: dict[str, int] = {}
    tokens_by_source: dict[str, int] = {}
    for batch in text_batches(read_documents(unit.shard.open_part(unit.part))):
        for document, ids in zip(batch, encoder.encode([document.text for document in batch]), strict=True):
            source, size = document.source, len(document.text.encode())
            num_documents += 1
            if encoder.decode(ids) != document.text:
                failures.append(document.id)
            bytes_by_source[source] = bytes_by_source.get(source, 0) + size
            tokens_by_source[source] = tokens_by_source.get(source, 0) + len(ids)
            counts += np.bincount(ids, minlength=len(counts)) if ids else 0
    with files.create(unit.path) as output, output.path.open("wb") as file:
        np.save(file, counts)
    return {
        "documents": num_documents,
        "round_trip_failures": len(failures),
        "round_trip_failure_ids": dict.fromkeys(failures[:NUM_EXAMPLES], 1),
        "bytes_by_source": bytes_by_source,
        "tokens_by_source": tokens_by_source,
    }
