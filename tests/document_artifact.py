"""A finished document artifact for tests of the stage that reads it."""

from collections.abc import Sequence

from pretrain.artifact import Artifact, Manifest
from pretrain.documents import Document, document_writer
from pretrain.stage import UnitFiles, part_name
from pretrain.store import Store


def make_document_artifact(
    store: Store, stage: str, documents_per_part: Sequence[Sequence[Document]], *, folder: str = "data"
) -> Artifact:
    """Writes one part for every list of documents and returns the artifact `<stage>/upstream`."""
    files = UnitFiles(store, f"{stage}/upstream")
    for index, documents in enumerate(documents_per_part):
        with (
            files.create(f"{folder}/{part_name(index)}.parquet") as output,
            document_writer(output.path) as writer,
        ):
            for document in documents:
                writer.append(document)
            output.rows = writer.num_rows
    manifest = Manifest(
        stage=stage,
        stage_version=1,
        fingerprint="upstream",
        inputs=[],
        config={},
        parts=files.written,
        stats={},
        provenance={},
    )
    store.write_bytes(f"{stage}/upstream/manifest.json", manifest.to_bytes())
    return Artifact(store, manifest)
