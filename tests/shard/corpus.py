"""Small corpora, and the stage over them."""

import random
from pathlib import Path

from pretrain.artifact import Artifact
from pretrain.documents import Document, document_id, read_documents
from pretrain.runner import Runner
from pretrain.shard.config import ShardConfig
from pretrain.shard.stage import build
from pretrain.stage import Stats
from pretrain.store import LocalStore
from tests.document_artifact import make_document_artifact
from tests.sequences.stage_inputs import finished, make_context

WORDS = ["data", "naïve", "语言", "🙂", "token", ""]


def make_corpus(count: int, num_sources: int = 3) -> list[Document]:
    source = random.Random(0)
    return [
        Document(
            document_id("s", "f", index),
            " ".join(source.choices(WORDS, k=source.randrange(200))),
            f"source-{index % num_sources}",
            url=None if index % 2 else f"https://example.org/{index}",
            metadata='{"n": 1}',
        )
        for index in range(count)
    ]


def cut(documents: list[Document], num_parts: int) -> list[list[Document]]:
    size = -(-len(documents) // num_parts)
    return [documents[start : start + size] for start in range(0, len(documents), size)]


def shard(
    folder: Path, parts: list[list[Document]], config: ShardConfig, runner: Runner | None = None, seed: int = 0
) -> tuple[Artifact, Stats]:
    store = LocalStore(folder)
    documents = make_document_artifact(store, "language", parts)
    context = make_context(store, "shard", config, {"documents": documents}, runner=runner, seed=seed)
    stats = build(context)
    return finished(context, stats), stats


def read(artifact: Artifact, split: str) -> list[list[Document]]:
    return [list(read_documents(artifact.open_part(part))) for part in artifact.parts(f"data/{split}/")]
