"""Inputs and contexts for tests of the stages around token sequences."""

import json
import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pretrain.artifact import Artifact, Manifest
from pretrain.config import Config
from pretrain.documents import Document, document_id
from pretrain.external import ExternalInput
from pretrain.runner import InlineRunner, Runner
from pretrain.stage import StageContext
from pretrain.store import Store
from tests.document_artifact import make_document_artifact


def make_documents(texts: list[str], source: str = "docs") -> list[Document]:
    return [
        Document(document_id(source, "file", index), text, source, metadata='{"source_id": "7"}')
        for index, text in enumerate(texts)
    ]


def make_shard_artifact(store: Store, train: list[list[Document]], validation: list[list[Document]]) -> Artifact:
    """The artifact `shard/upstream` with the given parts."""
    splits = [
        make_document_artifact(store, "shard", parts, folder=f"data/{split}")
        for split, parts in (("train", train), ("validation", validation))
    ]
    manifest = splits[0].manifest.model_copy(
        update={"parts": [part for split in splits for part in split.manifest.parts]}
    )
    store.write_bytes(f"{splits[0].key}/manifest.json", manifest.to_bytes())  # where workers read it
    return Artifact(store, manifest)


def make_context(
    store: Store,
    stage: str,
    config: Config,
    inputs: dict[str, Artifact],
    *,
    key: str = "built",
    seed: int = 0,
    external: dict[str, ExternalInput] | None = None,
    runner: Runner | None = None,
) -> StageContext:
    return StageContext(
        stage=stage,
        config=config,
        seed=seed,
        inputs=inputs,
        external=external or {},
        store=store,
        artifact_key=f"{stage}/{key}",
        runner=runner or InlineRunner(),
        progress=lambda done, total, text: None,
    )


def finished(context: StageContext, stats: dict) -> Artifact:
    """The artifact that the engine would commit for a built context."""
    files = [file for receipt in context.receipts.values() for file in receipt.files]
    parts = sorted((f for f in files if not f.path.startswith("scratch/")), key=lambda f: f.path)
    stage, fingerprint = context.artifact_key.split("/")
    manifest = Manifest(
        stage=stage,
        stage_version=1,
        fingerprint=fingerprint,
        inputs=[],
        config={},
        parts=parts,
        stats=json.loads(json.dumps(stats)),
        provenance={},
    )
    return Artifact(context.store, manifest)


def shared_data(name: str) -> Path:
    """A file of the shared test data, or a skip where the checkout has none."""
    root = os.environ.get("PRETRAIN_SHARED_DATA")
    path = (Path(root) if root else Path(__file__).parents[2] / "../shared/data") / name
    if not path.exists():
        pytest.skip(f"no shared test data at {path}; set PRETRAIN_SHARED_DATA to its folder")
    return path.resolve()


def pep_documents(count: int) -> list[Document]:
    """The first Python enhancement proposals: reStructuredText of 1 to 100 KB."""
    table = pq.read_table(shared_data("corpora/peps.parquet"), columns=["text"]).slice(0, count)
    return make_documents(table["text"].to_pylist(), "peps")
