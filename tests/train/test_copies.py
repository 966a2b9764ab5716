import shutil

import pytest

from pretrain.errors import StoreError, SubprocessError
from pretrain.store import open_store
from pretrain.train.checkpoints import CheckpointFolder, Retention, find_problem
from pretrain.train.copies import CheckpointCopies
from tests.train.test_checkpoints import seal

KEY = "train/x/checkpoints"


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("PRETRAIN_CACHE_DIR", str(tmp_path / "cache"))
    remote = open_store(f"memory://{tmp_path.name}")
    assert not remote.is_local
    return remote


def copy_steps(store, checkpoints, *steps):
    with checkpoints.private() as scratch:
        for step in steps:
            with CheckpointCopies(store, KEY, checkpoints, scratch) as copies:
                copies.copy(step)


def fetch(store, checkpoints):
    with checkpoints.private() as scratch, CheckpointCopies(store, KEY, checkpoints, scratch) as copies:
        copies.fetch_newest()
    return checkpoints.newest()


def test_another_machine_goes_on_from_the_newest_copy(tmp_path, store):
    here, there = CheckpointFolder(tmp_path / "here", 2), CheckpointFolder(tmp_path / "there", 2)
    for step in (5, 10, 15):
        seal(here, step, f"step {step}")
        copy_steps(store, here, step)
    assert find_problem(here.path_of(15)) is None  # copied, not moved
    found = fetch(store, there)
    assert found is not None and found.step == 15
    assert (found.path / "optimizer.pt").read_text() == "step 15 optimizer.pt"
    folders = {key.split("/")[-2] for key in store.list_sizes(KEY)}
    assert folders == {"step-000010", "step-000015"}  # as many as the local folder keeps


def test_a_newer_local_checkpoint_is_not_replaced(tmp_path, store):
    here, there = CheckpointFolder(tmp_path / "here", 2), CheckpointFolder(tmp_path / "there", 2)
    seal(here, 5)
    copy_steps(store, here, 5)
    seal(there, 10)
    assert fetch(store, there).step == 10
    assert there.steps() == [10]


@pytest.mark.parametrize("damage", ["no marker", "other bytes"])
def test_half_a_copy_is_passed_over(tmp_path, store, damage):
    here, there = CheckpointFolder(tmp_path / "here", 3), CheckpointFolder(tmp_path / "there", 3)
    for step in (5, 10):
        seal(here, step)
        copy_steps(store, here, step)
    if damage == "no marker":
        store.delete(f"{KEY}/step-000010/complete.json")
    else:
        store.write_bytes(f"{KEY}/step-000010/optimizer.pt", b"y optimizer.pt")
    assert fetch(store, there).step == 5


def test_a_copy_that_fails_does_not_stop_training(tmp_path, store, caplog):
    class FullStore(type(store)):
        def put_file(self, path, key):
            raise StoreError("the store failed while writing")

    here = CheckpointFolder(tmp_path / "here", 2)
    seal(here, 5)
    copy_steps(FullStore(store.url), here, 5)
    assert "checkpoint 5 was not copied" in caplog.text and "training goes on" in caplog.text
    assert here.newest().step == 5


def test_a_checkpoint_that_training_has_removed_is_not_copied(tmp_path, store, caplog):
    here = CheckpointFolder(tmp_path / "here", 2)
    shutil.rmtree(seal(here, 5).path)
    copy_steps(store, here, 5)
    assert "checkpoint 5 was not copied" in caplog.text
    assert CheckpointCopies(store, KEY, here, tmp_path).steps() == []


def test_copies_that_stay_do_not_give_way_and_are_fetched_too(tmp_path, store):
    retention = Retention(1, every_steps=10)
    here, there = CheckpointFolder(tmp_path / "here", retention), CheckpointFolder(tmp_path / "there", retention)
    with here.private() as scratch, CheckpointCopies(store, KEY, here, scratch) as copies:
        for step in (5, 10, 15, 20, 25):
            seal(here, step, f"step {step}")
            copies.copy(step)
        copies._thread.shutdown(wait=True)
    assert copies.steps() == [10, 20, 25]
    assert fetch(store, there).step == 25
    assert there.steps() == [10, 20, 25]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SubprocessError])
def test_where_training_ends_early_the_newest_checkpoint_is_copied_first(tmp_path, store, error):
    here = CheckpointFolder(tmp_path / "here", 2)
    with pytest.raises(error), here.private() as scratch, CheckpointCopies(store, KEY, here, scratch):
        seal(here, 5)
        seal(here, 7)  # the parent did not hear of it
        raise error("asked to stop")
    assert fetch(store, CheckpointFolder(tmp_path / "there", 2)).step == 7
