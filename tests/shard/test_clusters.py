import itertools
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pretrain.artifact import Artifact, Manifest
from pretrain.documents import Document, document_id, read_documents
from pretrain.shard.config import ShardConfig
from pretrain.shard.stage import build
from pretrain.stage import UnitFiles
from pretrain.store import LocalStore
from tests.document_artifact import make_document_artifact
from tests.sequences.stage_inputs import finished, make_context

DOCUMENTS = [Document(document_id("s", "f", number), f"text {number}", "web") for number in range(400)]
CLUSTERS = [[document.id for document in DOCUMENTS[start : start + 4]] for start in range(0, 200, 4)]
CONFIG = ShardConfig(parts=2, validation_fraction=0.3)


def cluster_table(store, clusters, parts=2):
    """An artifact of dedup that has nothing but its table of clusters; every cluster keeps all but its last."""
    files = UnitFiles(store, "dedup/clusters")
    for number in range(parts):
        rows = [
            {"id": member, "cluster": cluster[0], "size": len(cluster), "kept": member != cluster[-1]}
            for cluster in clusters[number::parts]
            for member in cluster
        ]
        with files.create(f"clusters/part-{number:05d}.parquet") as output:
            pq.write_table(pa.Table.from_pylist(rows), output.path)
    manifest = {"stage": "dedup", "stage_version": 1, "fingerprint": "clusters", "inputs": [], "config": {}}
    return Artifact(store, Manifest(**manifest, parts=files.written, stats={}, provenance={}))


def sides(folder, clusters, config=CONFIG, cuts=(0, 400)):
    store = LocalStore(folder)
    parts = [DOCUMENTS[first:last] for first, last in itertools.pairwise(cuts)]
    inputs = {"documents": make_document_artifact(store, "language", parts)}
    if clusters is not None:
        table = cluster_table(store, clusters)
        store.write_bytes("dedup/clusters/manifest.json", table.manifest.to_bytes())
        inputs["clusters"] = table
    context = make_context(store, "shard", config, inputs)
    artifact = finished(context, build(context))
    return {
        document.id: split
        for split in ("train", "validation")
        for part in artifact.parts(f"data/{split}/")
        for document in read_documents(artifact.open_part(part))
    }


@pytest.mark.parametrize("cuts", [(0, 400), (0, 1, 130, 131, 400)])
def test_a_cluster_is_on_one_side_of_the_split(tmp_path, cuts):
    side = sides(tmp_path, CLUSTERS, cuts=cuts)
    assert len(side) == 400
    assert all(len({side[member] for member in cluster[:-1]}) == 1 for cluster in CLUSTERS)
    assert set(side.values()) == {"train", "validation"}


def test_the_first_of_a_cluster_and_all_others_are_where_they_were(tmp_path):
    alone, together = sides(tmp_path / "alone", None), sides(tmp_path / "together", CLUSTERS)
    moved = {member for cluster in CLUSTERS for member in cluster[1:-1]}
    assert all(alone[each] == together[each] for each in alone if each not in moved)
    assert any(alone[each] != together[each] for each in moved)


def test_clusters_of_which_one_document_stays_change_nothing(tmp_path):
    pairs = [[cluster[0], f"{number:032x}"] for number, cluster in enumerate(CLUSTERS)]
    random.Random(0).shuffle(pairs)
    assert sides(tmp_path / "pairs", pairs) == sides(tmp_path / "none", None)
