"""A checkpoint of another training is refused with what differs, and gone on from where that is allowed."""

import re
from dataclasses import replace

import pytest

from pretrain.errors import UsageError
from pretrain.train.config import TrainConfig
from pretrain.train.horizon import horizon
from pretrain.train.job import TrainJob
from pretrain.train.record import StepFigures, TrainingRecord
from pretrain.train.resuming import record_of
from pretrain.train.samples import sample_at
from tests.train.killing import train_here
from tests.train.test_stopping import SignalAt, Stopped
from tests.train.tiny_training import context_in, make_pack


def changed(context, **values):
    return replace(context, config=TrainConfig.model_validate(context.config.model_dump() | values))


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    context = context_in(tmp_path_factory.mktemp("stopped"))
    with pytest.raises(Stopped):
        train_here(context, [SignalAt("on_step_begin", 5)])
    return context


def refusal(context, **surroundings):
    with pytest.raises(UsageError, match="was made by another training") as refused:
        train_here(context, **surroundings)
    assert "PRETRAIN_ALLOW_CHANGED_RESUME=1" in str(refused.value)
    return re.findall(r"(\w+): (\S+) then, (\S+) here", str(refused.value))


@pytest.mark.parametrize(
    ("values", "differing"),
    [
        (
            {"per_device_batch_size": 4},
            {"global_batch_size": ("4", "8"), "per_device_batch_size": ("2", "4")},
        ),
        ({"max_steps": 40}, {"max_steps": ("30", "40"), "steps": ("30", "40")}),
        ({"learning_rate": 0.02}, {"learning_rate": ("0.01", "0.02")}),
    ],
)
def test_another_batch_horizon_or_rate_is_refused(stopped, values, differing):
    assert {key: (old, new) for key, old, new in refusal(changed(stopped, **values))} == differing


def test_other_data_and_another_seed_are_refused(stopped):
    assert refusal(replace(stopped, seed=1)) == [("seed", "0", "1")]
    pack = make_pack(stopped.store, {"train": 44, "validation": 8})
    assert [key for key, _, _ in refusal(replace(stopped, inputs=stopped.inputs | {"pack": pack}))] == ["pack"]
    make_pack(stopped.store)  # as it was


def test_what_secures_work_may_change(trained, tmp_path):
    context = context_in(tmp_path)
    with pytest.raises(Stopped):
        train_here(context, [SignalAt("on_step_begin", 5)])
    stats = train_here(changed(context, save_every_steps=7, keep_checkpoints=1))
    assert stats["loss_final"] == trained.stats["loss_final"]


def test_where_it_is_allowed_it_goes_on_from_the_next_sample_and_says_so(tmp_path):
    context = context_in(tmp_path)
    with pytest.raises(Stopped):
        train_here(context, [SignalAt("on_step_begin", 5)])
    other = changed(context, per_device_batch_size=4, max_steps=10)
    stats = train_here(other, allows_changed_resume=True)
    [change] = stats["resumes_with_changes"]
    assert change["step"] == 6 and change["changed"]["global_batch_size"] == [4, 8]
    assert (stats["steps"], stats["tokens"]) == (10, (6 * 4 + 4 * 8) * 32)


@pytest.mark.parametrize("batch", [1, 2, 4, 8])
def test_no_sample_is_read_twice_or_left_out_when_the_batch_changes(tmp_path, batch):
    values = {"warmup_steps": 0, "max_steps": 20}
    job = job_of(TrainConfig(per_device_batch_size=4, **values))
    record = record_of(job, horizon(job.config, 8), None)
    for step in range(1, 6):
        record.add_step(step, StepFigures(1.0, 1.0, 0.1))
    record.save(tmp_path / "record.json")

    class Made:
        step, path, record = 5, tmp_path, tmp_path / "record.json"

    other = job_of(TrainConfig(per_device_batch_size=batch, **values), allows_changed_resume=True)
    resumed = record_of(other, horizon(other.config, 8), Made)
    places = range(5 * batch, 20 * batch)
    assert [sample_at(place, resumed.shifts) for place in places] == list(range(20, 20 + 15 * batch))
    assert resumed.tokens_at(20) == (20 + 15 * batch) * 8
    assert TrainingRecord.load(tmp_path / "record.json").changes == []


def job_of(config, **values):
    folders = dict.fromkeys(
        ("pack_folder", "init_folder", "checkpoint_folder", "scratch_folder", "export_folder"), "/nowhere"
    )
    return TrainJob(config=config, seed=0, num_threads=1, flops_per_token=None, **folders, **values)
