"""The order in which documents have a right to stay: of several duplicates, the first in it is kept."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pretrain.dedup.config import KeepConfig
from pretrain.dedup.signatures import Int64Array

COLUMNS = ("id", "source", "text_bytes")


def keeper_order(documents: pa.Table, keep: KeepConfig) -> Int64Array:
    """The rows of `documents` from the one most wanted to the least, as an array of row numbers.

    Args:
        documents: the columns `COLUMNS`, rows in order of arrival.
        keep: the policy.
    """
    ranks = {source: rank for rank, source in enumerate(keep.prefer_sources)}
    sources = documents["source"].to_pylist()
    wanted = np.array([ranks.get(source, len(ranks)) for source in sources], np.int64)
    if keep.order == "first":
        return np.argsort(wanted, kind="stable").astype(np.int64)
    ids = pc.rank(documents["id"], tiebreaker="dense").to_numpy().astype(np.int64)
    return np.lexsort((ids, -documents["text_bytes"].to_numpy(), wanted)).astype(np.int64)
