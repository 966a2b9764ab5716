import pytest

from pretrain.errors import UsageError
from pretrain.train.config import TrainConfig
from pretrain.train.surroundings import read_surroundings


@pytest.mark.parametrize(("value", "expected"), [("3", 3), ("4,2", 4)])
def test_threads_are_those_of_the_environment(monkeypatch, value, expected):
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert read_surroundings().num_threads == expected


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("OMP_NUM_THREADS", "many", "OMP_NUM_THREADS is 'many'; set it to a positive number"),
        (
            "PRETRAIN_NUM_PROCESSES",
            "0",
            "PRETRAIN_NUM_PROCESSES is '0'; set it to a positive number, or unset it for 1",
        ),
        ("PRETRAIN_LOADER_WORKERS", "-1", "PRETRAIN_LOADER_WORKERS is '-1'; set it to a number from 0 on"),
        ("PRETRAIN_SHARDING", "zero3", "PRETRAIN_SHARDING is 'zero3'; set it to none or fsdp, or unset it for none"),
        (
            "PRETRAIN_SHARDING",
            "fsdp",
            "PRETRAIN_SHARDING is 'fsdp', which shares a model out among processes, and there is one: set "
            "PRETRAIN_NUM_PROCESSES to 2 or more",
        ),
    ],
)
def test_what_is_no_number_is_refused(monkeypatch, variable, value, message):
    monkeypatch.setenv(variable, value)
    with pytest.raises(UsageError, match=message):
        read_surroundings()


def test_a_model_is_shared_out_where_the_environment_says_so(monkeypatch):
    assert read_surroundings().sharding == "none"
    monkeypatch.setenv("PRETRAIN_NUM_PROCESSES", "2")
    monkeypatch.setenv("PRETRAIN_SHARDING", "fsdp")
    around = read_surroundings()
    assert around.sharding == "fsdp"
    around.require_trainable(TrainConfig(max_steps=10))
    with pytest.raises(UsageError, match=r"PRETRAIN_SHARDING is 'fsdp', and train\.compile is true:"):
        around.require_trainable(TrainConfig(max_steps=10, compile=True))


def test_event_files_have_a_folder_for_each_training(monkeypatch, tmp_path):
    assert read_surroundings().tensorboard_folder("train/x") is None
    monkeypatch.setenv("PRETRAIN_TENSORBOARD_DIR", str(tmp_path))
    assert read_surroundings().tensorboard_folder("train/x") == tmp_path / "train/x"
