"""Leases, sweeps and claims: who is alive is observed, and of two that meet, one sees the other."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pretrain.leases import CLAIMS, LEASES, SWEEPS, Beacon, Watch, claimed, leased, machine_id
from pretrain.store import LocalStore, Store, open_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return LocalStore(tmp_path / "store")


@pytest.fixture
def other_store(request: pytest.FixtureRequest) -> Iterator[Store]:
    yield open_store(f"memory://{request.node.name}/store")


def test_a_lease_names_what_it_protects_while_the_block_runs(store: Store) -> None:
    with leased(store, ["train/ff", "init/aa"], "run-1"):
        (lease,) = Watch(store).living(LEASES)
        assert (lease.run_id, lease.artifacts) == ("run-1", ["init/aa", "train/ff"])
    assert Watch(store).living(LEASES) == []
    assert store.list_sizes("") == {}


def test_a_beacon_changes_while_it_lives_and_is_dead_when_it_does_not(store: Store) -> None:
    watch = Watch(store, silence_seconds=0.3)
    with Beacon(store, LEASES, ["train/ff"], renewal_seconds=0.05):
        store.write_bytes(
            "leases/killed.json", b'{"id":"killed","run_id":null,"host":"h","pid":1,"beat":9,"artifacts":[]}'
        )
        assert len(watch.living(LEASES)) == 2
        time.sleep(0.4)
        assert [lease.artifacts for lease in watch.living(LEASES)] == [["train/ff"]]
        assert watch.dead(LEASES) == ["leases/killed.json"]


def test_a_run_waits_while_what_it_needs_is_removed(store: Store) -> None:
    entered = threading.Event()

    def run() -> None:
        with leased(store, ["train/ff"]):
            entered.set()

    with Beacon(store, SWEEPS, ["train/ff", "pack/00"]):
        thread = threading.Thread(target=run)
        thread.start()
        assert not entered.wait(0.8)
    assert entered.wait(5)
    thread.join()


def test_a_run_does_not_wait_for_the_removal_of_something_else(store: Store) -> None:
    with Beacon(store, SWEEPS, ["pack/00"]), leased(store, ["train/ff"]):
        assert len(Watch(store).living(LEASES)) == 1


def test_one_of_two_machines_builds_and_the_other_waits(other_store: Store) -> None:
    events = []
    begun = threading.Event()

    def second() -> None:
        with leased(other_store, ["train/ff"]) as lease:
            begun.set()
            with claimed(other_store, "train/ff", lease, poll_seconds=0.05):
                events.append("second")

    with leased(other_store, ["train/ff"]) as lease, claimed(other_store, "train/ff", lease):
        thread = threading.Thread(target=second)
        thread.start()
        assert begun.wait(5)
        time.sleep(0.3)
        events.append("first")
    thread.join(5)
    assert events == ["first", "second"]
    assert other_store.list_sizes(CLAIMS) == {}


def test_a_claim_whose_holder_is_gone_is_taken_over(other_store: Store) -> None:
    other_store.write_bytes("claims/train-ff.json", b'{"lease": "killed"}')
    with leased(other_store, ["train/ff"]) as lease, claimed(other_store, "train/ff", lease):
        assert lease.id.encode() in other_store.read_bytes("claims/train-ff.json")


def test_a_killed_run_of_this_machine_is_not_waited_for(other_store: Store) -> None:
    other_store.write_bytes(
        "leases/killed.json", b'{"id":"killed","run_id":null,"host":"h","pid":1,"beat":9,"artifacts":[]}'
    )
    other_store.write_bytes("claims/train-ff.json", b'{"lease": "killed", "machine": "this"}')
    began = time.monotonic()
    with leased(other_store, ["train/ff"]) as lease, claimed(other_store, "train/ff", lease, machine="this"):
        assert lease.id.encode() in other_store.read_bytes("claims/train-ff.json")
    assert time.monotonic() - began < 1  # of another machine, it would be watched for a minute


def test_a_machine_is_known_by_its_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = []
    for name in ("one", "one", "other"):
        monkeypatch.setenv("PRETRAIN_CACHE_DIR", str(tmp_path / name))
        ids.append(machine_id())
    assert ids[0] == ids[1] != ids[2]
    assert [path.name for path in (tmp_path / "one" / "locks").iterdir()] == ["machine"]
