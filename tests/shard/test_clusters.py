import itertools
import random
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pretrain.artifact import Artifact, Manifest
from pretrain.documents import Document, document_id, read_documents
from pretrain.errors import RecipeError
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


def built(folder, clusters, config=CONFIG, cuts=(0, 400)):
    store = LocalStore(folder)
    parts = [DOCUMENTS[first:last] for first, last in itertools.pairwise(cuts)]
    inputs = {"documents": make_document_artifact(store, "language", parts)}
    if clusters is not None:
        table = cluster_table(store, clusters)
        store.write_bytes("dedup/clusters/manifest.json", table.manifest.to_bytes())
        inputs["clusters"] = table
    context = make_context(store, "shard", config, inputs)
    stats = build(context)
    return finished(context, stats), stats


def sides(folder, clusters, config=CONFIG, cuts=(0, 400)):
    artifact, _ = built(folder, clusters, config, cuts)
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


# Clusters of 2, 4 and 12 documents, of which the first stays; those after the first never come to shard.
SIZES = {0: 2, 10: 2, 20: 4, 30: 12}
OF_ONE = [[DOCUMENTS[n].id, *(f"{n:016x}{other:016x}" for other in range(size - 1))] for n, size in SIZES.items()]


def times_in_train(artifact):
    parts = artifact.parts("data/train/")
    return Counter(document.id for part in parts for document in read_documents(artifact.open_part(part)))


@pytest.mark.parametrize(
    ("weights", "times"),
    [
        ({}, [1, 1, 1, 1]),
        ({2: 2}, [2, 2, 2, 2]),
        ({2: 1, 4: 3, 10: 2}, [1, 1, 3, 2]),
        ({3: 4, 10: 0}, [1, 1, 4, 0]),
    ],
)
def test_a_document_is_repeated_by_the_size_of_its_cluster(tmp_path, weights, times):
    config = ShardConfig(parts=2, validation_fraction=0, weight_by_cluster_size=weights)
    artifact, stats = built(tmp_path, OF_ONE, config)
    found = times_in_train(artifact)
    assert [found[DOCUMENTS[number].id] for number in SIZES] == times
    assert {found[one.id] for number, one in enumerate(DOCUMENTS) if number not in SIZES} == {1}
    assert stats["documents_repeated"] == sum(max(0, time - 1) for time in times)
    assert stats["dropped_by_reason"] == ({"mixture_not_drawn": 1} if 0 in times else {})


def test_weights_multiply_the_epochs_of_the_source_and_count_towards_its_target(tmp_path):
    weights = {2: 2, 10: 3}
    twice = ShardConfig(validation_fraction=0, weight_by_cluster_size=weights, mixture={"web": {"epochs": 2}})
    found = times_in_train(built(tmp_path / "twice", OF_ONE, twice)[0])
    assert [found[DOCUMENTS[number].id] for number in SIZES] == [4, 4, 4, 6]
    target = {"tokens": 2000, "bytes_per_token": 1}
    aimed = ShardConfig(validation_fraction=0, weight_by_cluster_size=weights, mixture={"web": target})
    _, stats = built(tmp_path / "aimed", OF_ONE, aimed)
    assert abs(stats["bytes_out"] - 2000) <= len("text 399") / 2


def test_the_weights_of_validation_are_not_asked(tmp_path):
    everywhere = [[one.id, "f" * 32] for one in DOCUMENTS]
    config = ShardConfig(parts=2, validation_fraction=0.5, weight_by_cluster_size={2: 2})
    artifact, stats = built(tmp_path, everywhere, config)
    assert set(times_in_train(artifact).values()) == {2}
    assert stats["documents_by_split"]["validation"] == 400 - stats["documents_by_split"]["train"] // 2


def test_more_epochs_on_average_than_allowed_are_refused(tmp_path):
    everywhere = [[one.id, "f" * 32] for one in DOCUMENTS]
    config = ShardConfig(weight_by_cluster_size={2: 3}, mixture={"web": {"epochs": 2}})
    with pytest.raises(RecipeError, match="weights by cluster size of 3 on average, of source web: 6 epochs"):
        built(tmp_path, everywhere, config)


def test_weights_without_clusters_are_refused(tmp_path):
    config = ShardConfig(weight_by_cluster_size={2: 3})
    with pytest.raises(RecipeError, match="language/upstream has none: give the recipe a dedup stage"):
        built(tmp_path, None, config)
