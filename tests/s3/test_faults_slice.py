"""A few of the runs of `tests/chaos/test_faults.py`, and what only large files and few requests meet, by a seed."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from pretrain.remote_store import RemoteStore
from tests.s3.bucket import content_of_bucket
from tests.s3.fault_proxy import ALL_FAULTS, Fault, FaultProxy
from tests.s3.faulted import SMALL, References, Variant, attempt, prefix_of
from tests.s3.server import S3Server
from tests.s3.test_errors import answering

SEEDS = (1000, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1001, 1008)))


@pytest.fixture(scope="module")
def references(tmp_path_factory: pytest.TempPathFactory) -> References:
    return References(tmp_path_factory.mktemp("undisturbed"))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_run_is_as_if_undisturbed(s3_server: S3Server, references: References, tmp_path: Path, seed: int) -> None:
    recipe = SMALL[0]
    expected = references.content(recipe)
    variant = Variant(seed, recipe, num_workers=1, is_on_new_machines=seed % 2 == 0, is_whole=False)
    ended = attempt(variant, references.recipe(recipe), tmp_path, s3_server.environment(), delays=(0.3,))
    assert ended.error is None
    assert ended.faults.total() > 0
    found = content_of_bucket(s3_server, prefix_of(variant))
    assert found == expected
    for artifact in found.values():
        assert {part["path"]: part["sha256"] for part in artifact["manifest"]["parts"]} == artifact["parts"]


@pytest.fixture
def spoiled(s3_server: S3Server, s3_store: RemoteStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultProxy]:
    """A proxy in front of `s3_store` that has answered once, which earns it patience."""
    with FaultProxy(s3_server.endpoint, seed=4, rate=0.0, delays=(0.05,)) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        s3_store.write_bytes("a/one", b"1")
        yield proxy


def test_wrong_bytes_in_what_no_sha256_guards(s3_store: RemoteStore, spoiled: FaultProxy) -> None:
    spoiled.rate, spoiled.kinds = 0.5, ("wrong bytes",)
    listings = [s3_store.list_sizes("a") for _ in range(25)]
    assert listings.count({"a/one": 1}) > 20  # one that can be read may still say a size or a key that is not so
    assert spoiled.faults["wrong bytes"] > 10


def test_an_absence_with_a_wrong_byte_in_its_code(s3_store: RemoteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(404, "NoSuchKez", "The specified key does not exist.") as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        with pytest.raises(FileNotFoundError):
            s3_store.read_bytes("a")


@pytest.mark.slow
@pytest.mark.parametrize("kinds", [ALL_FAULTS, ("reset after",)])
def test_a_file_in_parts(s3_store: RemoteStore, spoiled: FaultProxy, tmp_path: Path, kinds: tuple[Fault, ...]) -> None:
    spoiled.rate, spoiled.kinds = 0.35, kinds
    data = random.Random(1).randbytes(40_000_000)
    for key in ("a/large", "a/again"):
        path = s3_store.scratch_file(key)
        path.write_bytes(data)
        s3_store.put_file(path, key)
        assert s3_store.local_file(key).read_bytes() == data
    assert {*spoiled.faults} <= {*kinds}
    assert spoiled.faults.total() >= 4
