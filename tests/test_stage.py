"""Units of work: computed once, committed whole, resumed by receipt, rebuilt when damaged."""

import contextlib
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from pretrain.artifact import Artifact, Manifest, find_damage
from pretrain.config import Config
from pretrain.documents import Document, document_writer
from pretrain.errors import DamagedArtifactError, StageError, StoreFullError
from pretrain.filehash import FileHashes
from pretrain.runner import InlineRunner
from pretrain.stage import Receipt, StageContext, Stats, UnitFiles, part_name, sum_stats
from pretrain.store import LocalStore, Store
from tests.disks import mounted_disk


class Shout(NamedTuple):
    """Upper-cases a text into a part; `log` is where it says that it ran."""

    text: str
    index: int
    log: Path


def shout(files: UnitFiles, unit: Shout) -> Stats:
    with unit.log.open("a") as log:
        log.write(f"{unit.index}\n")
    if unit.text == "fail":
        raise StageError("asked to fail")
    with files.create(f"data/{part_name(unit.index)}.txt") as output:
        output.path.write_text(unit.text.upper())
        output.rows = 1
    return {"characters": len(unit.text), "by_first": {unit.text[0]: 1}}


def context_in(store: Store) -> StageContext[Config]:
    return StageContext(
        stage="shout",
        config=Config(),
        seed=0,
        inputs={},
        external={},
        store=store,
        artifact_key="shout/abc",
        runner=InlineRunner(),
        progress=lambda done, total, text: None,
    )


def run(store: Store, log: Path, texts: Sequence[str]) -> tuple[list[Receipt], list[int]]:
    """The receipts of one attempt, and which units it computed."""
    log.unlink(missing_ok=True)
    units = [(part_name(i), Shout(text, i, log)) for i, text in enumerate(texts)]
    receipts = context_in(store).run_units(units, shout)
    return receipts, [int(line) for line in log.read_text().split()] if log.exists() else []


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


def test_receipts_come_in_the_order_of_units_and_add_up(store: LocalStore, tmp_path: Path) -> None:
    receipts, computed = run(store, tmp_path / "log", ["one", "two", "three"])
    assert computed == [0, 1, 2]
    assert [file.path for receipt in receipts for file in receipt.files] == [
        "data/part-00000.txt",
        "data/part-00001.txt",
        "data/part-00002.txt",
    ]
    assert sum_stats(receipts) == {"characters": 11, "by_first": {"o": 1, "t": 2}}


def test_a_second_attempt_computes_nothing(store: LocalStore, tmp_path: Path) -> None:
    first, _ = run(store, tmp_path / "log", ["one", "two"])
    second, computed = run(store, tmp_path / "log", ["one", "two"])
    assert (second, computed) == (first, [])


def test_after_a_failure_only_what_is_missing_is_computed(store: LocalStore, tmp_path: Path) -> None:
    with pytest.raises(StageError, match="asked to fail"):
        run(store, tmp_path / "log", ["one", "fail", "three"])
    _, computed = run(store, tmp_path / "log", ["one", "two", "three"])
    assert computed == [1, 2]


@pytest.mark.parametrize("how", ["deleted", "truncated", "one byte flipped", "receipt cut"])
def test_a_damaged_unit_is_computed_again(store: LocalStore, tmp_path: Path, how: str) -> None:
    first, _ = run(store, tmp_path / "log", ["one", "two"])
    part = store.root / "shout/abc/data/part-00001.txt"
    if how == "deleted":
        part.unlink()
    elif how == "truncated":
        part.write_text("TW")
    elif how == "one byte flipped":
        part.write_text("TWo")
    else:
        receipt = store.root / "shout/abc/receipts/part-00001.json"
        receipt.write_bytes(receipt.read_bytes()[:-9])
    second, computed = run(store, tmp_path / "log", ["one", "two"])
    assert (second, computed) == (first, [1])
    assert part.read_text() == "TWO"


def test_a_unit_that_fails_leaves_no_file(store: LocalStore) -> None:
    def fail_halfway(files: UnitFiles) -> Stats:
        with files.create("data/part-00000.txt") as output:
            output.path.write_text("half")
            raise StageError("in the middle")

    with pytest.raises(StageError):
        context_in(store).run_here("unit", fail_halfway)
    assert store.list_sizes("shout/abc") == {}
    assert list((store.root / ".tmp").iterdir()) == []


def artifact_of(store: LocalStore, receipts: Sequence[Receipt]) -> Artifact:
    manifest = Manifest(
        stage="shout",
        stage_version=1,
        fingerprint="abc",
        inputs=[],
        config={},
        parts=[file for receipt in receipts for file in receipt.files],
        stats={},
        provenance={},
    )
    return Artifact(store, manifest)


def test_damage_is_found_by_stat_and_by_reading(store: LocalStore, tmp_path: Path) -> None:
    receipts, _ = run(store, tmp_path / "log", ["one", "two", "three", "four"])
    artifact = artifact_of(store, receipts)
    assert find_damage(artifact, FileHashes(), rehash=False) == []
    folder = store.root / "shout/abc/data"
    (folder / "part-00000.txt").unlink()
    (folder / "part-00001.txt").write_text("TW")
    (folder / "part-00002.txt").write_text("THReE")
    for rehash in (False, True):
        damage = find_damage(artifact, FileHashes(), rehash=rehash)
        assert [(d.path, d.problem) for d in damage] == [
            ("data/part-00000.txt", "missing"),
            ("data/part-00001.txt", "wrong size"),
            ("data/part-00002.txt", "wrong sha256"),
        ]


def test_a_flip_that_no_memo_knows_of_is_found_by_verify_and_never_read(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    receipts, _ = run(store, tmp_path / "log", ["one"])
    artifact = artifact_of(store, receipts)
    (store.root / "shout/abc/data/part-00000.txt").write_text("OnE")
    monkeypatch.setenv("PRETRAIN_CACHE_DIR", str(tmp_path / "another machine"))
    assert find_damage(artifact, FileHashes(), rehash=False) == []  # the size is right, and nothing else is known
    with pytest.raises(DamagedArtifactError, match=r"shout/abc/data/part-00000.txt is damaged \(wrong sha256\)"):
        artifact.open_part("data/part-00000.txt")
    found = find_damage(artifact, FileHashes(), rehash=False)  # the reading was remembered
    assert [d.problem for d in found] == ["wrong sha256"]


def test_bytes_that_rot_without_a_trace_in_stat_are_found_by_verify(store: LocalStore, tmp_path: Path) -> None:
    receipts, _ = run(store, tmp_path / "log", ["one"])
    artifact = artifact_of(store, receipts)
    path = store.root / "shout/abc/data/part-00000.txt"
    path.write_text("OnE")
    # A memo that took the rotten file for the good one is what a disk fault looks like to stat.
    FileHashes().remember(path, receipts[0].files[0].sha256, path.stat())
    assert find_damage(artifact, FileHashes(), rehash=False) == []
    assert [d.problem for d in find_damage(artifact, FileHashes(), rehash=True)] == ["wrong sha256"]


def test_a_part_that_is_hashed_on_its_way_is_the_one_that_pyarrow_writes(store: LocalStore, tmp_path: Path) -> None:
    documents = [Document(f"{n:032x}", f"text {n} " * 300, "s") for n in range(5000)]
    with document_writer(tmp_path / "plain.parquet") as writer:
        for document in documents:
            writer.append(document)
    files = UnitFiles(store, "shout/abc")
    with files.create("data/part-00000.parquet") as output, document_writer(output.open()) as writer:
        for document in documents:
            writer.append(document)
    [part] = files.written
    expected = (tmp_path / "plain.parquet").read_bytes()
    assert store.read_bytes("shout/abc/data/part-00000.parquet") == expected
    assert (part.sha256, part.bytes) == (hashlib.sha256(expected).hexdigest(), len(expected))


def test_a_file_that_was_changed_after_it_was_hashed_on_its_way_is_read(store: LocalStore) -> None:
    files = UnitFiles(store, "shout/abc")
    with files.create("data/a") as output:
        with contextlib.closing(output.open()) as file:
            file.write(b"first")
        with output.path.open("ab") as more:
            more.write(b" and second")
    assert files.written[0].sha256 == hashlib.sha256(b"first and second").hexdigest()


def test_a_file_that_a_unit_forgot_to_close_is_whole(store: LocalStore) -> None:
    files = UnitFiles(store, "shout/abc")
    with files.create("data/a") as output:
        output.open().write(b"all of it")
    assert store.read_bytes("shout/abc/data/a") == b"all of it"
    assert files.written[0].sha256 == hashlib.sha256(b"all of it").hexdigest()


def test_a_full_disk_is_named_when_a_part_is_hashed_on_its_way(tmp_path: Path) -> None:
    with mounted_disk(tmp_path / "disk") as disk:
        disk.resize(64)
        files = UnitFiles(LocalStore(disk.folder / "store"), "shout/abc")
        noise = [Document(f"{n:032x}", os.urandom(50_000).hex(), "s") for n in range(20)]
        with (
            pytest.raises(StoreFullError, match="no space left while writing"),
            files.create("data/part-00000.parquet") as output,
            document_writer(output.open()) as writer,
        ):
            for document in noise:
                writer.append(document)
        assert files.written == []
