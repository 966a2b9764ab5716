import json
import subprocess
import sys
import threading

import pytest

from pretrain.errors import StageError
from pretrain.train.checkpoints import REQUIRED, CheckpointFolder, complete_random_states, find_problem
from pretrain.train.resuming import newest_whole

FILES = sorted({*REQUIRED, "model.safetensors"})


def write_files(folder, content="x"):
    folder.mkdir(parents=True)
    for name in FILES:
        (folder / name).write_text(f"{content} {name}")
    (folder / "training_args.bin").write_text("a pickle")
    return folder


def seal(checkpoints, step, content="x"):
    with checkpoints.private() as scratch:
        return checkpoints.seal(write_files(scratch / "written", content), step)


def test_a_sealed_checkpoint_is_found_with_its_files_and_without_the_pickle(tmp_path):
    checkpoints = CheckpointFolder(tmp_path, keep=2)
    seal(checkpoints, 100)
    found = checkpoints.newest()
    assert found is not None and (found.step, found.path.name) == (100, "step-000100")
    assert sorted(path.name for path in found.path.iterdir()) == ["complete.json", *FILES]
    marker = json.loads((found.path / "complete.json").read_text())
    assert marker["step"] == 100 and sorted(marker["files"]) == FILES


def test_the_newest_are_kept(tmp_path):
    checkpoints = CheckpointFolder(tmp_path, keep=2)
    for step in (5, 10, 1000, 15):  # by step, not by time or by name
        seal(checkpoints, step)
    assert checkpoints.steps() == [15, 1000]


@pytest.mark.parametrize("name", FILES)
def test_a_checkpoint_that_lacks_a_file_is_passed_over(tmp_path, name):
    checkpoints = CheckpointFolder(tmp_path, keep=3)
    seal(checkpoints, 5)
    seal(checkpoints, 10)
    (tmp_path / "step-000010" / name).unlink()
    assert checkpoints.newest().step == 5


@pytest.mark.parametrize("damage", ["truncated", "one byte", "no marker", "half a marker"])
def test_a_damaged_checkpoint_is_passed_over(tmp_path, damage):
    checkpoints = CheckpointFolder(tmp_path, keep=3)
    seal(checkpoints, 5)
    path = seal(checkpoints, 10).path
    if damage == "truncated":
        (path / "optimizer.pt").write_text("x opt")
    elif damage == "one byte":
        (path / "optimizer.pt").write_text("y optimizer.pt")
    elif damage == "no marker":
        (path / "complete.json").unlink()
    else:
        (path / "complete.json").write_text('{"step": 10, "files": {"opt')
    assert checkpoints.newest().step == 5
    assert seal(checkpoints, 10).step == 10  # and what is written anew takes its place
    assert checkpoints.newest().step == 10


def test_nothing_at_all_means_a_start_from_the_beginning(tmp_path):
    checkpoints = CheckpointFolder(tmp_path / "absent", keep=1)
    assert checkpoints.newest() is None and newest_whole(checkpoints) is None


@pytest.mark.parametrize("name", ["optimizer.pt", "rng_state.pth"])
def test_nothing_whole_is_an_error_and_no_fresh_start(tmp_path, name):
    checkpoints = CheckpointFolder(tmp_path, keep=1)
    (seal(checkpoints, 5).path / name).unlink()
    assert checkpoints.newest() is None
    with pytest.raises(
        StageError, match=rf"no checkpoint .* is whole.*step-000005: {name} is missing.*Restore one, or"
    ):
        newest_whole(checkpoints)


def test_a_checkpoint_that_is_passed_over_is_told(tmp_path, capsys):
    checkpoints = CheckpointFolder(tmp_path, keep=2)
    for step in (5, 10):
        seal(checkpoints, step)
    (tmp_path / "step-000010" / "optimizer.pt").unlink()
    assert newest_whole(checkpoints).step == 5
    assert "passed over" in capsys.readouterr().out


def test_a_state_that_an_exact_resume_needs_must_be_written(tmp_path):
    checkpoints = CheckpointFolder(tmp_path, keep=1)
    with checkpoints.private() as scratch:
        written = write_files(scratch / "written")
        (written / "scheduler.pt").unlink()
        with pytest.raises(StageError, match=r"step 10 cannot be resumed from: it has no scheduler\.pt"):
            checkpoints.seal(written, 10)
    assert checkpoints.newest() is None


def test_of_two_that_complete_one_step_the_first_stays(tmp_path):
    checkpoints = CheckpointFolder(tmp_path, keep=1)
    seal(checkpoints, 10, "first")
    seal(checkpoints, 10, "second")
    assert (tmp_path / "step-000010" / "optimizer.pt").read_text() == "first optimizer.pt"


def test_many_processes_seal_the_same_steps(tmp_path):
    def run():
        checkpoints = CheckpointFolder(tmp_path, keep=2)
        for step in range(1, 21):
            seal(checkpoints, step)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert CheckpointFolder(tmp_path, keep=2).steps() == [19, 20]
    assert find_problem(tmp_path / "step-000020") is None


def test_scratch_of_a_killed_process_goes_and_that_of_a_living_one_stays(tmp_path):
    code = (
        "import sys, os, pathlib\n"
        "from pretrain.train.checkpoints import CheckpointFolder\n"
        "with CheckpointFolder(pathlib.Path(sys.argv[1]), 1).private(): os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    [abandoned] = tmp_path.glob(".scratch-*")
    checkpoints = CheckpointFolder(tmp_path, keep=1)
    with checkpoints.private() as mine:
        assert not abandoned.exists()
        with checkpoints.private() as other:
            assert mine.exists() and other.exists() and mine != other
    assert list(tmp_path.glob(".scratch-*")) == []


def write_shards(folder, *names):
    written = write_files(folder)
    (written / "optimizer.pt").unlink()
    for name in names:
        (written / name).write_text("rows")
    return written


SHARDS = ("optimizer-00001-of-00002.safetensors", "optimizer-00002-of-00002.safetensors")


def test_shares_of_the_optimizers_state_stand_for_the_whole(tmp_path):
    found = CheckpointFolder(tmp_path, 1).seal(write_shards(tmp_path / "written", *SHARDS), 5)
    assert find_problem(found.path) is None


@pytest.mark.parametrize("missing", [0, 1])
def test_every_share_must_be_there(tmp_path, missing):
    written = write_shards(tmp_path / "written", SHARDS[1 - missing])
    with pytest.raises(StageError, match=rf"cannot be resumed from: it has no {SHARDS[missing]}"):
        CheckpointFolder(tmp_path, 1).seal(written, 5)


def test_shares_of_the_optimizers_state_are_no_weights(tmp_path):
    written = write_shards(tmp_path / "written", *SHARDS)
    (written / "model.safetensors").unlink()
    with pytest.raises(StageError, match=r"it has no weights"):
        CheckpointFolder(tmp_path, 1).seal(written, 5)


def test_of_several_processes_every_generator_state_must_be_there(tmp_path):
    written = write_files(tmp_path / "written")
    (written / "rng_state.pth").unlink()
    (written / "rng_state_0.pth").write_text("of the first")
    with pytest.raises(StageError, match=r"lacks rng_state_1\.pth, and cannot be resumed from"):
        complete_random_states(written, 2)
    (written / "rng_state_1.pth").write_text("of the second")
    complete_random_states(written, 2)
    found = CheckpointFolder(tmp_path, 1).seal(written, 5)
    assert found.num_processes == 2
    assert (found.path / "rng_state.pth").read_text() == "of the first"  # one process may go on
