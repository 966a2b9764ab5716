"""What differs between two artifacts: named where it differs, counted right, and the same from either side."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain.artifact import Artifact, Manifest
from pretrain.difference import PartDifferences, ValueDifference, difference
from pretrain.document_difference import (
    ChangedDocument,
    DocumentDifferences,
    Keys,
    Lone,
    LoneDocument,
    MovedDocument,
    Named,
    RelabelledDocument,
    match,
)
from pretrain.documents import Document, LedgerRow, document_id, document_writer, ledger_writer
from pretrain.errors import DamagedArtifactError, UsageError
from pretrain.runs import load_run
from pretrain.stage import UnitFiles
from pretrain.store import LocalStore
from tests.test_gc import run
from tests.tiny import write_recipe


def document(number: int, text: str = "") -> Document:
    return Document(f"{number:032x}", text or f"text number {number}", "wiki")


def artifact(
    store: LocalStore,
    fingerprint: str,
    parts: Mapping[str, Sequence[Document]],
    ledger: Sequence[LedgerRow] = (),
    stage: str = "filter",
) -> Artifact:
    """A finished artifact of these documents, by the name of their part under `data/`."""
    files = UnitFiles(store, f"{stage}/{fingerprint}")
    for name, documents in parts.items():
        with files.create(f"data/{name}.parquet") as output, document_writer(output.path) as writer:
            for each in documents:
                writer.append(each)
            output.rows = writer.num_rows
    with files.create("ledger/part-00000.parquet") as output, ledger_writer(output.path) as rows:
        for row in ledger:
            rows.append(row)
        output.rows = rows.num_rows
    manifest = Manifest(
        stage=stage,
        stage_version=1,
        fingerprint=fingerprint,
        inputs=[],
        config={},
        parts=sorted(files.written, key=lambda part: part.path),
        stats={},
        provenance={},
    )
    store.write_bytes(f"{stage}/{fingerprint}/manifest.json", manifest.to_bytes())
    return Artifact(store, manifest)


def documents_of(a: Artifact, b: Artifact, limit: int = 10) -> DocumentDifferences:
    found = difference(a, b, limit).documents
    assert found is not None
    return found


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


def test_two_filters_of_one_corpus(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    texts = ["first\nsecond\nthird", "one line\nmore\nand more\nand four"]
    rows = [json.dumps({"text": text}) for text in texts]
    (tmp_path / "corpus/a.jsonl").write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    run(recipe, run_id="20260101-1")
    run(recipe, "filter.rules.0.min_long_lines=4", run_id="20260101-2")
    store = LocalStore(tmp_path / "store")
    a, b = (
        Artifact(store, Manifest.model_validate_json(store.read_bytes(f"filter/{fingerprint}/manifest.json")))
        for fingerprint in (load_run(store, f"20260101-{n}").stage("filter").fingerprint for n in (1, 2))
    )
    found = difference(a, b, 10)
    assert found.config == [ValueDifference("filter.rules.0.min_long_lines", {"a": 3, "b": 4})]
    assert found.inputs == []
    assert found.stats == [
        ValueDifference("bytes_out", {"a": 49, "b": 31}),
        ValueDifference("documents_by_source.reference", {"a": 2, "b": 1}),
        ValueDifference("documents_dropped", {"a": 0, "b": 1}),
        ValueDifference("documents_out", {"a": 2, "b": 1}),
        ValueDifference("dropped_by_reason.too_few_lines", {"b": 1}),
        ValueDifference("dropped_by_source.reference.too_few_lines", {"b": 1}),
    ]
    paths = ["data/part-00000.parquet", "ledger/part-00000.parquet"]
    assert found.parts == PartDifferences([], [], paths, num_equal=0)
    identifier = document_id("reference", "a.jsonl", 0)
    dropped = LoneDocument(identifier, "reference", "first second third", "too_few_lines", 3.0, 4.0)
    nothing = Named(0, [])
    expected = Lone(1, [dropped], {"too_few_lines": 1}), Lone(0, [], {}), nothing, nothing, nothing
    assert found.documents == DocumentDifferences(2, 1, *expected)
    assert (found.is_equal, difference(a, a, 10).is_equal) == (False, True)


def test_documents_of_either_side_and_with_another_text(store: LocalStore) -> None:
    before, after = "x" * 100 + " before" + "y" * 100, "x" * 100 + " after" + "y" * 100
    a = artifact(store, "aa", {"part-00000": [document(4), document(1), document(2, before)]})
    b = artifact(store, "bb", {"part-00000": [document(2, after), document(3)], "part-00001": [document(1)]})
    assert documents_of(a, b) == DocumentDifferences(
        3,
        3,
        Lone(1, [LoneDocument(f"{4:032x}", "wiki", "text number 4", None, None, None)], {}),
        Lone(1, [LoneDocument(f"{3:032x}", "wiki", "text number 3", None, None, None)], {}),
        Named(
            1,
            [ChangedDocument(f"{2:032x}", "wiki", "x" * 19 + " before" + "y" * 54, "x" * 19 + " after" + "y" * 55)],
        ),
        Named(0, []),
        Named(0, []),
    )


def test_documents_with_another_field(store: LocalStore) -> None:
    one, two, three = document(1), document(2)._replace(lang="en", metadata='{"n": 1}'), document(3)
    a = artifact(store, "aa", {"part-00000": [one, two, three]})
    changed = two._replace(lang=None, metadata='{"n": 2}'), three._replace(text="another", url="")
    b = artifact(store, "bb", {"part-00000": [one, *changed]})
    found = documents_of(a, b)
    assert found.other_fields == Named(
        2,
        [
            RelabelledDocument(
                two.id, "wiki", {"lang": "en", "metadata": '{"n": 1}'}, {"lang": None, "metadata": '{"n": 2}'}
            ),
            RelabelledDocument(three.id, "wiki", {"url": None}, {"url": ""}),
        ],
    )
    assert [each.id for each in found.other_text.first] == [three.id]
    assert (found.only_in_a.count, found.only_in_b.count, found.other_split.count) == (0, 0, 0)


def test_all_that_the_ledger_has_are_counted_by_reason(store: LocalStore) -> None:
    a = artifact(store, "aa", {"part-00000": [document(n) for n in range(6000)]})
    reasons = ["long" if n % 3 else "short" for n in range(5998)]
    rows = [LedgerRow(document(n).id, "wiki", "filter", reason) for n, reason in enumerate(reasons)]
    changed_before = LedgerRow(document(4).id, "wiki", "filter", "changed")
    other = LedgerRow("f" * 32, "wiki", "filter", "of no document of A")
    b = artifact(store, "bb", {"part-00000": [document(5999)]}, [other, changed_before, *rows])
    found = documents_of(a, b, limit=0)
    assert found.only_in_a == Lone(5999, [], {"long": 3998, "short": 2000})
    assert documents_of(b, a).only_in_a == Lone(0, [], {})


def test_the_first_in_order_of_id_are_named_and_all_are_counted(store: LocalStore) -> None:
    numbers = [7, 2, 9, 1, 300]
    a = artifact(store, "aa", {"part-00000": [document(n) for n in numbers]})
    row = LedgerRow(document(2).id, "wiki", "filter", "too_short", 6.0, 50.0)
    b = artifact(store, "bb", {"part-00000": []}, [row])
    found = documents_of(a, b, limit=2).only_in_a
    assert found.count == 5
    assert [(each.id, each.reason, each.value, each.threshold) for each in found.first] == [
        (document(1).id, None, None, None),
        (document(2).id, "too_short", 6.0, 50.0),
    ]
    assert documents_of(a, b, limit=0).only_in_a == Lone(5, [], {"too_short": 1})


def test_a_document_in_another_split(store: LocalStore) -> None:
    one, two, three = document(1), document(2), document(3)
    parts_a = {"train/part-00000": [one, two], "validation/part-00000": [three]}
    parts_b = {"train/part-00000": [three], "validation/part-00000": [two, one]}
    a, b = (artifact(store, name, parts, stage="shard") for name, parts in (("aa", parts_a), ("bb", parts_b)))
    found = documents_of(a, b, limit=2)
    assert (found.only_in_a.count, found.only_in_b.count, found.other_text.count) == (0, 0, 0)
    assert found.other_split == Named(
        3,
        [
            MovedDocument(one.id, "wiki", "text number 1", "train", "validation"),
            MovedDocument(two.id, "wiki", "text number 2", "train", "validation"),
        ],
    )


def test_a_part_that_changes_its_split_whole_is_no_shared_one(store: LocalStore) -> None:
    a = artifact(store, "aa", {"train/part-00000": [document(1)]}, stage="shard")
    b = artifact(store, "bb", {"validation/part-00000": [document(1)]}, stage="shard")
    assert documents_of(a, b).other_split.count == 1


def test_parts_that_both_have_are_not_read(store: LocalStore) -> None:
    shared = [document(1), document(2)]
    a = artifact(store, "aa", {"part-00000": shared, "part-00001": [document(3)]})
    b = artifact(store, "bb", {"part-00000": [document(4)], "part-00001": shared})
    (store.root / "filter/aa/data/part-00000.parquet").unlink()
    (store.root / "filter/bb/data/part-00001.parquet").unlink()
    found = documents_of(a, b)
    assert (found.num_a, found.num_b, found.only_in_a.count, found.only_in_b.count) == (3, 3, 1, 1)
    with pytest.raises(DamagedArtifactError, match="missing"):
        difference(a, artifact(store, "cc", {}), 10)


def test_row_groups_beyond_the_first(store: LocalStore) -> None:
    a = artifact(store, "aa", {"part-00000": [document(n) for n in range(9000)]})
    b = artifact(store, "bb", {"part-00000": [document(n) for n in range(9000) if n != 8500]})
    assert [each.excerpt for each in documents_of(a, b).only_in_a.first] == ["text number 8500"]


def test_an_id_that_is_none_is_named(store: LocalStore) -> None:
    a = artifact(store, "aa", {"part-00000": [Document("not hex", "text", "wiki")]})
    with pytest.raises(DamagedArtifactError, match=r"filter/aa/data/part-00000.parquet has an id that is not 32 hex"):
        difference(a, artifact(store, "bb", {}), 10)


def test_two_stages_are_not_compared(store: LocalStore) -> None:
    a, b = artifact(store, "aa", {}), artifact(store, "bb", {}, stage="dedup")
    with pytest.raises(UsageError, match="filter/aa and dedup/bb are of different stages"):
        difference(a, b, 10)


def tokenizer(store: LocalStore, fingerprint: str, vocabulary: dict[str, int]) -> Artifact:
    """A finished tokenizer of whole words."""
    model = {"type": "WordLevel", "vocab": vocabulary, "unk_token": "?"}
    files = UnitFiles(store, f"tokenizer/{fingerprint}")
    with files.create("data/tokenizer.json") as output:
        output.path.write_text(json.dumps({"version": "1.0", "added_tokens": [], "model": model}))
    base = artifact(store, fingerprint, {}, stage="tokenizer").manifest
    return Artifact(store, base.model_copy(update={"parts": files.written}))


def test_vocabularies(store: LocalStore) -> None:
    a = tokenizer(store, "aa", {"?": 0, "zebra": 1, "ant": 2, "both": 3, "moved": 4})
    b = tokenizer(store, "bb", {"?": 0, "both": 3, "moved": 1, "new": 2})
    found = difference(a, b, 1)
    assert found.parts == PartDifferences([], [], ["data/tokenizer.json"], num_equal=0)
    assert found.to_json()["vocabulary"] == {
        "only_in_a": {"count": 2, "first": ["zebra"]},
        "only_in_b": {"count": 1, "first": ["new"]},
        "num_other_id": 1,
    }


def keys_of(rows: Sequence[tuple[int, int, int, int]]) -> Keys:
    table = np.array(rows, np.uint64).reshape(-1, 4)
    zeros = np.zeros(len(rows), np.uint64)
    ids, texts = np.stack([zeros, table[:, 0]], axis=1), np.stack([table[:, 1], zeros], axis=1)
    return Keys(ids, texts, table[:, 2], table[:, 3].astype(np.uint8))


rows_of_documents = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 2), st.integers(0, 1), st.integers(0, 1)), max_size=12
)


@given(rows_of_documents, rows_of_documents)
def test_every_document_has_one_counterpart_or_none(
    a: list[tuple[int, int, int, int]], b: list[tuple[int, int, int, int]]
) -> None:
    """Ids repeat here more than in any corpus."""
    found, mirrored = match(keys_of(a), keys_of(b)), match(keys_of(b), keys_of(a))
    assert len(a) - len(found.only_a) == len(b) - len(found.only_b)
    assert (found.only_a.tolist(), found.only_b.tolist()) == (mirrored.only_b.tolist(), mirrored.only_a.tolist())
    assert found.changed.tolist() == mirrored.changed[:, ::-1].tolist()
    ids_a, ids_b = Counter(row[0] for row in a), Counter(row[0] for row in b)
    assert Counter(a[row][0] for row in found.only_a) == ids_a - ids_b
    assert Counter(b[row][0] for row in found.only_b) == ids_b - ids_a
    num_equal = (Counter(a) & Counter(b)).total()
    assert len(found.changed) == (ids_a & ids_b).total() - num_equal
    assert all(a[row][0] == b[other][0] and a[row] != b[other] for row, other in found.changed.tolist())


@pytest.mark.parametrize("seed", range(5))
def test_from_the_other_side_everything_is_mirrored(store: LocalStore, seed: int) -> None:
    random = Random(seed)

    def some(name: str) -> Artifact:
        chosen = [document(n, f"text {n} {random.random() < 0.2}") for n in range(200) if random.random() < 0.8]
        cut = random.randrange(len(chosen))
        parts = {"train/part-00000": chosen[:cut], "validation/part-00000": chosen[cut:]}
        fixed = {"train/part-00001": [document(n) for n in range(200, 220)]}
        return artifact(store, name, {**parts, **fixed}, stage="shard")

    a, b = some("aa"), some("bb")
    found, mirrored = documents_of(a, b, 1000), documents_of(b, a, 1000)
    assert found.num_a - found.only_in_a.count == found.num_b - found.only_in_b.count > 20
    assert (found.num_a, found.only_in_a, found.num_b, found.only_in_b) == (
        *(mirrored.num_b, mirrored.only_in_b),
        *(mirrored.num_a, mirrored.only_in_a),
    )
    swapped = [ChangedDocument(d.id, d.source, d.excerpt_b, d.excerpt_a) for d in mirrored.other_text.first]
    assert found.other_text == Named(mirrored.other_text.count, swapped)
    moved = [(d.id, d.split_b, d.split_a) for d in mirrored.other_split.first]
    assert [(d.id, d.split_a, d.split_b) for d in found.other_split.first] == moved
