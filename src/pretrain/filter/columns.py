"""Columns of texts as the arrays that compiled loops read."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pretrain.filter.compiling import OffsetArray


def utf8_of(texts: pa.LargeStringArray) -> tuple[NDArray[np.uint8], OffsetArray]:
    """The UTF-8 of a column of texts, none null, and where each begins and the last ends; shape (num_texts + 1,).

    Both are read-only, whether Arrow's memory is or not: a compiled loop is compiled for one of the two.
    """
    _, offsets, data = texts.buffers()
    first = texts.offset
    bounds = np.frombuffer(offsets, np.int64)[first : first + len(texts) + 1]
    content = np.frombuffer(data if data and len(data) else b"\0", np.uint8)
    for array in (bounds, content):
        array.setflags(write=False)
    return content, bounds
