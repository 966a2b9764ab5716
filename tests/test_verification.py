"""Verification names every file that is not what a manifest says, manifests themselves included."""

from pathlib import Path

import pytest

from pretrain.artifact import Artifact
from pretrain.errors import StoreError
from pretrain.store import LocalStore, open_store
from pretrain.verification import Finding, open_all, remove_damaged, verify
from tests.cli.fabricated import FINGERPRINTS, Fabricated, fabricate

FILTER = f"filter/{FINGERPRINTS['filter']}"


class Worn(LocalStore):
    """A disk with a sector that cannot be read."""

    def digest(self, key: str) -> tuple[str, int]:
        if key.endswith("ledger/part-00000.parquet"):
            raise StoreError(f"the store failed while reading {key}: [Errno 5] Input/output error")
        return super().digest(key)


@pytest.fixture
def made(tmp_path: Path) -> Fabricated:
    return fabricate(tmp_path / "store")


def findings_of(made: Fabricated) -> tuple[list[Finding], int]:
    """What is wrong, and how many bytes were looked at."""
    artifacts, findings = open_all(made.store)
    sizes: list[int] = []
    findings += verify(artifacts, sizes.append)
    return sorted(findings, key=lambda found: (found.artifact, found.path)), sum(sizes)


def test_a_whole_store_is_read_to_the_last_byte(made: Fabricated) -> None:
    total = sum(part.bytes for artifact in made.artifacts.values() for part in artifact.manifest.parts)
    assert findings_of(made) == ([], total)


def test_parts_that_differ_are_named(made: Fabricated) -> None:
    folder = made.store.root / "download" / FINGERPRINTS["download"] / "data"
    flipped = bytearray((folder / "part-00000.parquet").read_bytes())
    flipped[100] ^= 1
    (folder / "part-00000.parquet").write_bytes(flipped)
    (folder / "part-00001.parquet").unlink()
    ledger = made.store.root / FILTER / "ledger" / "part-00000.parquet"
    ledger.write_bytes(ledger.read_bytes()[:-1])
    download = f"download/{FINGERPRINTS['download']}"
    assert findings_of(made)[0] == [
        Finding(download, "data/part-00000.parquet", "wrong sha256"),
        Finding(download, "data/part-00001.parquet", "missing"),
        Finding(FILTER, "ledger/part-00000.parquet", "wrong size"),
    ]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda text: text[:-20], "not valid"),
        (lambda text: text.replace('"stage":"filter"', '"stage":"dedup"'), "not valid"),
        (lambda text: text.replace('"schema_version":1', '"schema_version":99'), "of a newer version of pretrain"),
    ],
)
def test_a_manifest_that_is_none_is_damage_too(made: Fabricated, change, problem: str) -> None:
    path = made.store.root / FILTER / "manifest.json"
    path.write_text(change(path.read_text()))
    assert findings_of(made)[0] == [Finding(FILTER, "manifest.json", problem)]


def test_a_build_that_was_not_finished_is_no_damage(made: Fabricated) -> None:
    (made.store.root / FILTER / "manifest.json").unlink()
    assert findings_of(made)[0] == []


def test_a_remote_store_is_read_without_keeping_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRETRAIN_CACHE_DIR", str(tmp_path / "cache"))
    store = open_store("memory://verified/store")
    store.write_bytes("filter/aa/data/part-00000.parquet", b"rows")
    assert store.digest("filter/aa/data/part-00000.parquet") == (
        "bc51e9e65d79e1c90ba544ab2eae1044ccdf8c1af7a559ba375cba4276f7d99e",
        4,
    )
    assert list((tmp_path / "cache" / "fetched").rglob("*.parquet")) == []


def test_what_the_disk_cannot_read_is_named_and_the_rest_is_read(made: Fabricated) -> None:
    worn = Worn(made.store.root)
    artifacts = [Artifact(worn, artifact.manifest) for artifact in made.artifacts.values()]
    sizes: list[int] = []
    found = {(finding.artifact.partition("/")[0], finding.problem) for finding in verify(artifacts, sizes.append)}
    assert found == {(stage, "unreadable") for stage in ("download", "filter", "dedup")}
    assert len(sizes) == 10


def test_only_what_is_still_damaged_is_removed(made: Fabricated) -> None:
    path = made.store.root / FILTER / "data" / "part-00000.parquet"
    ledger = made.store.root / FILTER / "ledger" / "part-00000.parquet"
    whole = path.read_bytes()
    for each in (path, ledger):
        each.write_bytes(each.read_bytes()[:-1] + b"?")
    artifacts, _ = open_all(made.store)
    findings = list(verify(artifacts, lambda num_bytes: None))
    assert len(findings) == 2
    path.write_bytes(whole)  # by a run, while other parts were read
    assert remove_damaged(artifacts, findings) == [Finding(FILTER, "ledger/part-00000.parquet", "wrong sha256")]
    assert path.exists() and not ledger.exists()
