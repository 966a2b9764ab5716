"""A small finished store, made by hand: six documents of which each stage dropped one, and the run that made it."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pretrain.artifact import Artifact, InputRecord, Manifest
from pretrain.documents import Document, LedgerRow, document_writer, ledger_writer
from pretrain.runs import RunRecord, StageRecord, save_run
from pretrain.stage import UnitFiles
from pretrain.store import LocalStore, Store

FINGERPRINTS = {
    "download": "aa" * 16,
    "filter": "bb" * 16,
    "dedup": "cc" * 16,
    "shard": "dd" * 16,
}
RUN_ID = "20260102-030405-small-beef"
DOCUMENTS = [Document(f"{n:032x}", f"text number {n}, of the source", "wiki") for n in range(5)]
UNREADABLE, SHORT, COPY = "f" * 32, DOCUMENTS[1].id, DOCUMENTS[2].id


class Fabricated(NamedTuple):
    """The store and its artifacts by stage."""

    store: LocalStore
    artifacts: dict[str, Artifact]


def fabricate(root: Path) -> Fabricated:
    """Writes the store: download kept 5 of 6 records, filter 4, dedup 3; shard made two shards and a validation one."""
    store = LocalStore(root)
    kept = [d for d in DOCUMENTS if d.id != SHORT]
    left = [d for d in kept if d.id != COPY]
    artifacts = {
        "download": _artifact(
            store,
            "download",
            {"data/part-00000.parquet": DOCUMENTS[:3], "data/part-00001.parquet": DOCUMENTS[3:]},
            [LedgerRow(UNREADABLE, "wiki", "download", "invalid_json", evidence="a.jsonl:6")],
            [InputRecord(stage="source:wiki", fingerprint="ee" * 16)],
        ),
        "filter": _artifact(
            store,
            "filter",
            {"data/part-00000.parquet": kept},
            [LedgerRow(SHORT, "wiki", "filter", "too_few_words", 6.0, 50.0)],
            [_input("download")],
        ),
        "dedup": _artifact(
            store,
            "dedup",
            {"data/part-00000.parquet": left},
            [LedgerRow(COPY, "wiki", "dedup", "exact_duplicate", evidence=DOCUMENTS[0].id)],
            [_input("filter")],
        ),
        "shard": _artifact(
            store,
            "shard",
            {
                "data/train/part-00000.parquet": left[:1],
                "data/train/part-00001.parquet": left[1:2],
                "data/validation/part-00000.parquet": left[2:],
            },
            [],
            [_input("dedup")],
        ),
    }
    save_run(store, _run(store, artifacts))
    return Fabricated(store, artifacts)


def _input(stage: str) -> InputRecord:
    return InputRecord(stage=stage, fingerprint=FINGERPRINTS[stage])


def _artifact(
    store: Store,
    stage: str,
    data: dict[str, list[Document]],
    dropped: Sequence[LedgerRow],
    inputs: list[InputRecord],
) -> Artifact:
    key = f"{stage}/{FINGERPRINTS[stage]}"
    files = UnitFiles(store, key)
    for path, documents in data.items():
        with files.create(path) as output, document_writer(output.path) as writer:
            for document in documents:
                writer.append(document)
            output.rows = writer.num_rows
    if dropped:
        with files.create("ledger/part-00000.parquet") as output, ledger_writer(output.path) as writer:
            for row in dropped:
                writer.append(row)
            output.rows = writer.num_rows
    num_documents = sum(len(documents) for documents in data.values())
    manifest = Manifest(
        stage=stage,
        stage_version=1,
        fingerprint=FINGERPRINTS[stage],
        inputs=inputs,
        config={"rules": [{"rule": "course"}]} if stage == "filter" else {},
        parts=sorted(files.written, key=lambda part: part.path),
        stats={"documents_in": num_documents + len(dropped), "documents_out": num_documents},
        provenance={"created": "2026-01-02T03:04:05+00:00", "seconds": 1.5},
    )
    store.write_bytes(f"{key}/manifest.json", manifest.to_bytes())
    return Artifact(store, manifest)


def _run(store: Store, artifacts: dict[str, Artifact]) -> RunRecord:
    stages = [
        StageRecord(
            stage=stage,
            fingerprint=FINGERPRINTS[stage],
            action="built",
            seconds=1.5,
            stats=artifact.manifest.stats,
        )
        for stage, artifact in artifacts.items()
    ]
    return RunRecord(
        run_id=RUN_ID,
        store=store.url,
        state="completed",
        seconds=6.0,
        stages=stages,
        started="2026-01-02T03:04:05+00:00",
        recipe_path="small.yaml",
        recipe={"name": "small"},
    )
