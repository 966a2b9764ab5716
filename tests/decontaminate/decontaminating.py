"""Builds of the stage over small corpora, and the definition of a hit in a few lines of plain Python."""

import json
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq

from pretrain.decontaminate.config import DecontaminateConfig
from pretrain.decontaminate.inputs import external_inputs
from pretrain.decontaminate.stage import build
from pretrain.documents import Document, LedgerRow, document_id, read_documents, read_ledger
from pretrain.external import Surroundings
from pretrain.filehash import FileHashes
from pretrain.runner import InlineRunner, Runner
from pretrain.stage import StageContext
from pretrain.store import LocalStore
from tests.document_artifact import make_document_artifact


class Built(NamedTuple):
    """What one build made: counts, documents, ledger, both tables, and every file's bytes by key."""

    stats: dict[str, Any]
    kept: list[Document]
    ledger: list[LedgerRow]
    hits: list[dict[str, Any]]
    items: list[dict[str, Any]]
    files: dict[str, bytes]


def documents(*texts: str) -> list[Document]:
    return [Document(document_id("s", "f", i), text, "s") for i, text in enumerate(texts)]


def write_task(folder: Path, texts: Iterable[str], name: str = "quiz") -> dict[str, Any]:
    """A task of items with one passage each, as the recipe names it."""
    path = folder / f"{name}.jsonl"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    return {"name": name, "path": path.name, "fields": ["text"]}


def decontaminate(
    folder: Path,
    parts: Sequence[Sequence[Document]],
    tasks: Sequence[dict[str, Any]],
    runner: Runner | None = None,
    **config: Any,
) -> Built:
    """One build in `folder`, where the files of the tasks are."""
    store = LocalStore(folder / "store")
    values = DecontaminateConfig.model_validate({"tasks": tasks, **config})
    external = external_inputs(values, Surroundings(folder, store, FileHashes()))
    context = StageContext(
        stage="decontaminate",
        config=values,
        seed=0,
        inputs={"documents": make_document_artifact(store, "language", parts)},
        external={each.name: each for each in external},
        store=store,
        artifact_key="decontaminate/x",
        runner=runner or InlineRunner(),
        progress=lambda done, total, text: None,
    )
    stats = build(context)
    keys = sorted(key for key in store.list_sizes("decontaminate/x") if "/scratch/" not in key)

    def rows(part: str, read: Any) -> list[Any]:
        return [row for key in keys if f"/{part}/" in key for row in read(store.local_file(key))]

    def table(path: Path) -> list[dict[str, Any]]:
        return pq.read_table(path).to_pylist()

    files = {key: store.read_bytes(key) for key in keys}
    tables = rows("contamination", table), rows("items", table)
    return Built(stats, rows("data", read_documents), rows("ledger", read_ledger), *tables, files)


def plain_words(text: str) -> tuple[str, ...]:
    """Words by their definition, for text without scripts that have no spaces."""
    folded = "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if unicodedata.category(c) != "Mn")
    return tuple("".join(c if c.isalnum() else " " for c in folded).split())


def plain_ngrams(text: str, ngram: int, min_words: int) -> set[tuple[str, ...]]:
    """The distinct n-grams of a passage, all its words where it has fewer, none where it has too few."""
    words = plain_words(text)
    if len(words) < min_words:
        return set()
    return {words[i : i + ngram] for i in range(max(len(words) - ngram, 0) + 1)}


def holds(document: str, passage: str, ngram: int, min_words: int) -> bool:
    """Whether a document has an n-gram of a passage."""
    wanted = plain_ngrams(passage, ngram, min_words)
    words = plain_words(document)
    return any(words[i : i + len(gram)] == gram for gram in wanted for i in range(len(words)))
