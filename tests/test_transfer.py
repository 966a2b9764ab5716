"""A run copied into another store: whole, once, and never a byte that its manifest does not name."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pretrain.artifact import Artifact
from pretrain.catalog import all_artifacts
from pretrain.dag import node
from pretrain.errors import DamagedArtifactError, NotInStoreError, StoreError, UsageError
from pretrain.leases import LEASES
from pretrain.planning import make_plan
from pretrain.runner import InlineRunner
from pretrain.runs import load_run
from pretrain.spec import RunSpec
from pretrain.store import LocalStore
from pretrain.transfer import Transferred, transfer
from pretrain.verification import open_all, verify
from tests.cli.fabricated import FINGERPRINTS, RUN_ID, Fabricated, fabricate
from tests.content import content_of
from tests.tiny import write_recipe

KEYS = [f"{stage}/{FINGERPRINTS[stage]}" for stage in ("download", "filter", "dedup", "shard")]


class Broken(LocalStore):
    """A store in which putting a key that ends with `suffix` raises `error`."""

    suffix = ""
    error: BaseException = KeyboardInterrupt()

    def put_file(self, path: Path, key: str, *, sha256: str | None = None) -> None:
        if key.endswith(self.suffix):
            raise self.error
        super().put_file(path, key, sha256=sha256)


@pytest.fixture
def made(tmp_path: Path) -> Fabricated:
    return fabricate(tmp_path / "store")


@pytest.fixture
def target(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "target")


def copy(source: LocalStore, target: LocalStore, name: str = "latest") -> Transferred:
    return transfer(source, target, name, lambda done, total: None)


def manifests_in(store: LocalStore) -> list[str]:
    return [artifact.key for artifact in all_artifacts(store)]


def test_a_run_is_copied_whole_and_once(made: Fabricated, target: LocalStore) -> None:
    told: list[tuple[int, int]] = []
    first = transfer(made.store, target, RUN_ID, lambda done, total: told.append((done, total)))
    num_bytes = sum(part.bytes for artifact in made.artifacts.values() for part in artifact.manifest.parts)
    assert (first.run_id, first.artifacts_copied, first.artifacts_present, first.files) == (RUN_ID, 4, 0, 10 + 4)
    assert told[-1] == (num_bytes, num_bytes)
    assert content_of(target.root) == content_of(made.store.root)
    assert list(verify(open_all(target)[0], lambda num_bytes: None)) == []
    expected = load_run(made.store, RUN_ID).model_copy(update={"store": target.url})
    assert load_run(target, "latest") == expected
    before = {path: path.stat().st_mtime_ns for path in target.root.rglob("*") if path.is_file()}
    second = copy(made.store, target)
    assert (second.artifacts_copied, second.artifacts_present, second.files, second.bytes) == (0, 4, 0, 0)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    for store in (made.store, target):
        assert store.list_sizes(LEASES) == {} and store.list_unfinished() == {}


def test_one_artifact_comes_with_all_that_it_was_made_from(made: Fabricated, target: LocalStore) -> None:
    copied = copy(made.store, target, "dedup/cc")
    assert (copied.run_id, copied.artifacts_copied) == (None, 3)
    assert manifests_in(target) == KEYS[:3]
    assert target.list_sizes("runs") == {}
    assert copy(made.store, target).artifacts_copied == 1


def test_what_was_interrupted_goes_on_from_there(made: Fabricated, tmp_path: Path) -> None:
    broken = Broken(tmp_path / "target")
    broken.suffix = f"{KEYS[3]}/data/train/part-00001.parquet"
    with pytest.raises(KeyboardInterrupt):
        copy(made.store, broken)
    target = LocalStore(tmp_path / "target")
    assert manifests_in(target) == KEYS[:3]
    num_there = len(target.list_sizes(KEYS[3]))
    assert copy(made.store, target).files == (3 - num_there) + 1
    assert content_of(target.root) == content_of(made.store.root)


def test_the_record_of_a_run_comes_last(made: Fabricated, tmp_path: Path) -> None:
    broken = Broken(tmp_path / "target")
    broken.suffix, broken.error = f"{RUN_ID}.json", StoreError("the store failed")
    with pytest.raises(StoreError):
        copy(made.store, broken)
    target = LocalStore(tmp_path / "target")
    assert manifests_in(target) == KEYS
    assert copy(made.store, target).files == 0
    assert load_run(target, "latest").run_id == RUN_ID


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-1] + b"?"), "wrong sha256"),
        (lambda path: path.write_bytes(path.read_bytes() + b"?"), "wrong size"),
        (lambda path: path.unlink(), "missing"),
    ],
)
def test_a_damaged_source_is_named_and_gets_no_manifest(
    made: Fabricated, target: LocalStore, damage: Callable[[Path], object], problem: str
) -> None:
    path = made.store.root / KEYS[1] / "data/part-00000.parquet"
    whole = path.read_bytes()
    damage(path)
    with pytest.raises(DamagedArtifactError) as raised:
        copy(made.store, target)
    assert f"{made.store.url}/{KEYS[1]} is damaged: data/part-00000.parquet ({problem});" in str(raised.value)
    assert manifests_in(target) == KEYS[:1]
    assert set(target.list_sizes(KEYS[1])) == {f"{KEYS[1]}/ledger/part-00000.parquet"}
    assert target.list_sizes("runs") == {}
    path.write_bytes(whole)
    assert copy(made.store, target).artifacts_copied == 3
    assert content_of(target.root) == content_of(made.store.root)


def test_a_damaged_part_of_the_target_is_replaced_and_no_other(made: Fabricated, target: LocalStore) -> None:
    copy(made.store, target)
    path = target.root / KEYS[0] / "data/part-00001.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    mended = copy(made.store, target)
    assert (mended.artifacts_copied, mended.artifacts_present, mended.files) == (1, 3, 2)  # the part and the manifest
    assert content_of(target.root) == content_of(made.store.root)


def test_a_lineage_that_is_not_whole_is_refused_before_anything_is_copied(made: Fabricated, target: LocalStore) -> None:
    made.store.delete(KEYS[0])
    with pytest.raises(NotInStoreError, match=rf"no finished {KEYS[0]}, which {KEYS[1]} was made from"):
        copy(made.store, target, "filter/bb")
    with pytest.raises(NotInStoreError, match=rf"no finished {KEYS[0]}, which is to be copied"):
        copy(made.store, target)
    assert target.list_sizes("") == {}


def test_what_the_target_has_of_other_content_is_never_overwritten(made: Fabricated, target: LocalStore) -> None:
    manifest = made.artifacts["filter"].manifest.model_copy(update={"stats": {"documents_out": 9}})
    target.write_bytes(f"{KEYS[1]}/manifest.json", manifest.to_bytes())
    before = target.read_bytes(f"{KEYS[1]}/manifest.json")
    with pytest.raises(UsageError, match=r"has another filter/b+ \(it differs in stats\)"):
        copy(made.store, target)
    assert target.read_bytes(f"{KEYS[1]}/manifest.json") == before


def test_names_that_are_none(made: Fabricated, target: LocalStore) -> None:
    for name in ("yesterday", "filter/00", "eval/bb"):
        with pytest.raises(NotInStoreError):
            copy(made.store, target, name)
    with pytest.raises(UsageError, match="both where to copy from and where to copy to"):
        copy(made.store, LocalStore(made.store.root))
    assert not target.root.exists()


def test_a_copied_run_is_cached_and_what_is_damaged_of_it_is_rebuilt_alone(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    pipelines = [RunSpec(recipe=str(recipe), store=str(tmp_path / name)).pipeline() for name in ("store", "target")]
    artifacts: dict[str, Artifact] = {}
    for stage in ("download", "filter", "dedup", "language", "shard"):
        inputs = {role: artifacts[name] for role, name in node(stage).inputs(pipelines[0].recipe).items()}
        made = pipelines[0].obtain(stage, inputs, runner=InlineRunner(), progress=lambda done, total, text: None)
        artifacts[stage] = made.artifact
    source, target = LocalStore(tmp_path / "store"), LocalStore(tmp_path / "target")
    assert copy(source, target, artifacts["shard"].key).artifacts_copied == 5
    assert {stage.action for stage in make_plan(pipelines[1], "shard")} == {"cached"}
    key = artifacts["download"].key
    part, listing = (target.root / key / path for path in ("data/part-00000.parquet", "inputs/source-reference.jsonl"))
    part.unlink()
    before = listing.stat().st_mtime_ns
    runner = InlineRunner()
    rebuilt = pipelines[1].obtain("download", {}, runner=runner, progress=lambda done, total, text: None)
    assert rebuilt.action == "built" and part.exists()
    assert listing.stat().st_mtime_ns == before  # the receipts came along
    assert content_of(target.root) == content_of(source.root)
