"""Small corpora, and the whole stage over them in this process."""

import dataclasses
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq

from pretrain.artifact import Artifact
from pretrain.dedup.config import DedupConfig
from pretrain.dedup.stage import build
from pretrain.documents import Document, LedgerRow, read_documents, read_ledger
from pretrain.runner import InlineRunner, Runner
from pretrain.stage import StageContext
from pretrain.store import LocalStore
from tests.document_artifact import make_document_artifact
from tests.sequences.stage_inputs import finished

WORDS = [f"{a}{b}{c}" for a in "bdfgkl" for b in "aeiou" for c in "mnrstx"]


def sentence(rng: random.Random, num_words: int) -> str:
    return " ".join(rng.choice(WORDS) for _ in range(num_words))


def documents_of(texts: Sequence[str], source: str = "web") -> list[Document]:
    return [Document(id=f"{number:032x}", text=text, source=source) for number, text in enumerate(texts)]


class Outcome(NamedTuple):
    """What the stage wrote."""

    kept: list[Document]
    ledger: list[LedgerRow]
    clusters: list[dict[str, Any]]
    stats: dict[str, Any]
    folder: Path

    def texts(self) -> list[str]:
        return [document.text for document in self.kept]

    def bytes_by_path(self) -> dict[str, bytes]:
        files = (
            path
            for name in ("data", "ledger", "clusters", "signatures")
            for path in self.folder.glob(f"{name}/**/*.parquet")
        )
        return {path.relative_to(self.folder).as_posix(): path.read_bytes() for path in files}


def deduplicate(
    folder: Path,
    parts: Sequence[Sequence[Document]],
    config: DedupConfig,
    runner: Runner | None = None,
    key: str = "dedup/x",
) -> Outcome:
    store = LocalStore(folder)
    context = make_context(store, make_document_artifact(store, "filter", parts), config, runner)
    context = dataclasses.replace(context, artifact_key=key)
    stats = build(context)
    manifest = finished(context, stats).manifest.model_copy(update={"config": config.identity()})
    store.write_bytes(f"{key}/manifest.json", manifest.to_bytes())
    written = store.root / context.artifact_key
    return Outcome(
        kept=[d for path in sorted(written.glob("data/*")) for d in read_documents(path)],
        ledger=[row for path in sorted(written.glob("ledger/*")) for row in read_ledger(path)],
        clusters=[row for path in sorted(written.glob("clusters/*")) for row in pq.read_table(path).to_pylist()],
        stats=stats,
        folder=written,
    )


def make_context(
    store: LocalStore, documents: Artifact, config: DedupConfig, runner: Runner | None = None
) -> StageContext[DedupConfig]:
    return StageContext(
        stage="dedup",
        config=config,
        seed=0,
        inputs={"documents": documents},
        external={},
        store=store,
        artifact_key="dedup/x",
        runner=runner or InlineRunner(),
        progress=lambda done, total, text: None,
    )
