"""Texts of chosen documents, reading no more of a part than the row groups they lie in."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pretrain.artifact import Artifact, PartRecord
from pretrain.dedup.signatures import Corpus, Int64Array


def read_texts(artifact: Artifact, part: PartRecord, rows: Int64Array) -> Iterator[str]:
    """Streams the texts of `rows` (increasing) of one part."""
    if len(rows) == 0:
        return
    with pq.ParquetFile(artifact.open_part(part)) as file:
        start = 0
        for index in range(file.num_row_groups):
            stop = start + file.metadata.row_group(index).num_rows
            first, last = np.searchsorted(rows, [start, stop])
            if last > first:
                texts = file.read_row_group(index, columns=["text"])["text"]
                yield from texts.take(pa.array(rows[first:last] - start)).to_pylist()
            start = stop


def read_texts_of(artifact: Artifact, corpus: Corpus, indices: Int64Array) -> Iterator[str]:
    """Streams the texts of documents by index (increasing), over all data parts of an artifact."""
    bounds = np.searchsorted(indices, corpus.starts)
    for part, (first, last) in enumerate(pairwise(bounds)):
        yield from read_texts(artifact, artifact.parts()[part], indices[first:last] - corpus.starts[part])
