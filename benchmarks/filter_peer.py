"""Runs under datatrove's interpreter: its filters on a file of texts, decisions and CPU seconds to standard output.

    X/bin/python benchmarks/filter_peer.py TEXTS.jsonl

TEXTS.jsonl has a JSON string a line. Prints one JSON object: `decisions`, by filter the reason for each text (null:
kept; a filter sees the text alone, before C4 rewrites it); `seconds`, CPU seconds of each filter on all texts and of
`together`, where a text goes on to the next filter while it is kept.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from datatrove.data import Document
from datatrove.pipeline.filters import FineWebQualityFilter, GopherQualityFilter, GopherRepetitionFilter
from datatrove.pipeline.filters.c4_filters import C4QualityFilter

FILTERS = {
    "gopher_repetition": GopherRepetitionFilter(),
    "gopher_quality": GopherQualityFilter(),
    "fineweb": FineWebQualityFilter(),
    "c4": C4QualityFilter(),
}


def reason_of(filter_: Any, document: Document) -> str | None:
    """Why a filter drops a document; None: it is kept."""
    outcome = filter_.filter(document)
    return None if outcome is True else outcome[1]


def main() -> None:
    """Reads, runs and prints."""
    texts = [json.loads(line) for line in Path(sys.argv[1]).read_bytes().splitlines()]
    for filter_ in FILTERS.values():
        filter_.filter(Document(text="To load the word splitter. " * 20, id=""))
    decisions, seconds = {}, {}
    for name, filter_ in FILTERS.items():
        started = time.process_time()
        decisions[name] = [reason_of(filter_, Document(text=text, id="")) for text in texts]
        seconds[name] = time.process_time() - started
    started = time.process_time()
    for text in texts:
        document = Document(text=text, id="")
        any(reason_of(filter_, document) for filter_ in FILTERS.values())
    seconds["together"] = time.process_time() - started
    print(json.dumps({"decisions": decisions, "seconds": seconds}))


if __name__ == "__main__":
    main()
