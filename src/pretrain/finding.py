"""Finds the documents of a run by what a person has of them: an id, a place, an address, a piece of the text.

An id is looked for in columns of ids alone. Everything else is asked in this order, and the first kind of question
that something answers wins: the place of a record (`web/a.jsonl:12`, `a.parquet@7`, as ledgers write it; of records
that became documents, a line of JSON Lines or a row of a table), the whole address, a piece of the text as it was
read, the same piece with other white space (as it looks in a terminal), and a piece of the text as a stage rewrote it.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pretrain.artifact import Artifact
from pretrain.columns import select_rows
from pretrain.dag import DOCUMENT_STAGES
from pretrain.documents import document_id

_ID = re.compile(r"[0-9a-f]{32}")
_PLACE = re.compile(r"(?P<file>.+?)(:(?P<line>[1-9][0-9]{0,17})|@(?P<row>[0-9]{1,18}))")
_JSON_LINES = re.compile(r"\.(jsonl|ndjson)(\.\w+)?$")
_PUNCTUATION = re.compile(r"[!-/:-@\[-^`{-~]")  # all of ASCII's but the underscore, which RE2 refuses to see escaped
_MAX_LISTED = 10
_MAX_WORDS = 200  # of a piece that may have other white space: RE2 limits the size of an expression

Fits = Callable[[pa.Table], pa.ChunkedArray]


@dataclass(frozen=True)
class Found:
    """One document. `place` is set for a record that never became one: its file, and line or offset."""

    id: str
    source: str
    text: str = ""
    url: str | None = None
    place: str | None = None


@dataclass
class Answers:
    """The documents that a question fits: how many there are, the first ten, and by what they were found."""

    by: str
    num_found: int = 0
    first: list[Found] = field(default_factory=list)

    def add(self, found: Iterator[Found]) -> "Answers":
        """Counts these documents too."""
        for one in found:
            self.num_found += 1
            if len(self.first) < _MAX_LISTED:
                self.first.append(one)
        return self


def find_documents(artifacts: Mapping[str, Artifact], question: str) -> Answers:
    """The documents that fit, none of them when `num_found` is 0.

    Args:
        artifacts: those of a run by stage, `download` among them.
        question: an id, a place, an address or a piece of a text.
    """
    download = artifacts["download"]
    answers = Answers("id")
    if _ID.fullmatch(question):
        answers.add(_documents(download, ["id"], _equals("id", question)))
        if not answers.num_found:
            answers.add(_unreadable(download, ["id"], _equals("id", question)))
    if not answers.num_found:
        answers = Answers("place").add(_at_place(download, question))
    if not answers.num_found and "://" in question:
        answers = Answers("url").add(_documents(download, ["url"], _equals("url", question)))
    return answers if answers.num_found else _holding(artifacts, question)


def _holding(artifacts: Mapping[str, Artifact], piece: str) -> Answers:
    download = artifacts["download"]
    answers = Answers("text").add(_documents(download, ["text"], _contains(piece)))
    words = piece.split()
    if not answers.num_found and 1 < len(words) <= _MAX_WORDS:
        answers.add(_documents(download, ["text"], _contains_words(words)))
    for stage in DOCUMENT_STAGES:
        rewrites = stage in artifacts and artifacts[stage].manifest.stats.get("documents_changed")
        if rewrites and not answers.num_found:
            answers.add(_documents(artifacts[stage], ["text"], _contains(piece)))
    return answers


def _at_place(download: Artifact, question: str) -> Iterator[Found]:
    """The record at a place. A longer path than the ledger's is taken too: names are relative to the source's uri."""
    names = [question[start:] for start in [0, *(m.end() for m in re.finditer("/", question))]]
    unreadable = list(_unreadable(download, ["evidence"], _in("evidence", names)))
    yield from unreadable
    places = [place for place in map(_PLACE.fullmatch, names) if place is not None]
    if unreadable or not places:
        return
    position = int(places[0]["line"]) - 1 if places[0]["line"] else int(places[0]["row"])
    ids = [
        document_id(source["name"], place["file"], position)
        for source in download.manifest.config.get("sources", [])
        for place in places
        if place["row"] or _is_json_lines(source, place["file"])
    ]
    yield from _documents(download, ["id"], _in("id", ids))


def _is_json_lines(source: Mapping[str, Any], file: str) -> bool:
    """Whether a line of the file is a record: elsewhere ids count records, and places name lines."""
    return source["format"] == "jsonl" or (source["format"] == "auto" and _JSON_LINES.search(file) is not None)


def _documents(artifact: Artifact, by: list[str], fits: Fits) -> Iterator[Found]:
    for _, row in select_rows(artifact, "data/", by, fits, ["id", "source", "text", "url"]):
        yield Found(row["id"], row["source"], row["text"], row["url"])


def _unreadable(download: Artifact, by: list[str], fits: Fits) -> Iterator[Found]:
    for _, row in select_rows(download, "ledger/", by, fits, ["id", "source", "evidence"]):
        yield Found(row["id"], row["source"], place=row["evidence"])


def _equals(column: str, value: str) -> Fits:
    return lambda table: pc.equal(table[column], value)


def _in(column: str, values: list[str]) -> Fits:
    return lambda table: pc.is_in(table[column], value_set=pa.array(values, pa.string()))


def _contains(piece: str) -> Fits:
    return lambda table: pc.match_substring(table["text"], piece)


def _contains_words(words: list[str]) -> Fits:
    pattern = r"\s+".join(_PUNCTUATION.sub(r"\\\g<0>", word) for word in words)
    return lambda table: pc.match_substring_regex(table["text"], pattern)
