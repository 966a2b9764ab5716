"""Runs the download stage on files of a test's folder, and reads back what it wrote."""

from pathlib import Path
from typing import Any, NamedTuple

from pretrain.documents import Document, LedgerRow, read_documents, read_ledger
from pretrain.download.config import DownloadConfig
from pretrain.download.inputs import external_inputs
from pretrain.download.stage import build
from pretrain.external import ExternalInput, Surroundings
from pretrain.filehash import FileHashes
from pretrain.runner import InlineRunner, Runner
from pretrain.stage import StageContext, Stats
from pretrain.store import LocalStore


class Downloaded(NamedTuple):
    stats: Stats
    documents: list[Document]
    ledger: list[LedgerRow]
    parts: dict[str, bytes]

    @property
    def texts(self) -> list[str]:
        return [document.text for document in self.documents]

    @property
    def reasons(self) -> list[tuple[str, str | None]]:
        return [(row.reason, row.evidence) for row in self.ledger]


def plan(folder: Path, config: DownloadConfig) -> list[ExternalInput]:
    hashes = FileHashes(folder.parent / "hashes")
    return external_inputs(config, Surroundings(folder, LocalStore(folder.parent / "store"), hashes))


def download(
    folder: Path, *sources: dict[str, Any], runner: Runner | None = None, max_bad_fraction: float = 1.0
) -> Downloaded:
    """The outcome for sources relative to `folder`; the store is beside it, a new one each time."""
    named = [{"name": f"s{index}", **source} for index, source in enumerate(sources)]
    config = DownloadConfig.model_validate({"sources": named, "max_bad_fraction": max_bad_fraction})
    store = LocalStore(folder.parent / f"store-{len(list(folder.parent.glob('store-*')))}")
    context = StageContext(
        stage="download",
        config=config,
        seed=0,
        inputs={},
        external={entry.name: entry for entry in plan(folder, config)},
        store=store,
        artifact_key="download/x",
        runner=runner or InlineRunner(),
        progress=lambda done, total, text: None,
    )
    stats = build(context)
    paths = sorted(key for key in store.list_sizes("download/x") if key.endswith(".parquet"))
    data = [store.root / path for path in paths if "/data/" in path]
    ledger = [store.root / path for path in paths if "/ledger/" in path]
    return Downloaded(
        stats,
        [document for path in data for document in read_documents(path)],
        [row for path in ledger for row in read_ledger(path)],
        {path: (store.root / path).read_bytes() for path in paths},
    )
