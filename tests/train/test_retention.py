import json

import pytest

from pretrain.train.checkpoints import CheckpointFolder, Retention
from tests.train.killing import checkpoints_of, train_here
from tests.train.test_checkpoints import seal, write_files
from tests.train.test_stopping import SignalAt, Stopped
from tests.train.tiny_training import context_in


@pytest.mark.parametrize(
    ("retention", "best_step", "kept"),
    [
        (Retention(2), None, {15, 17}),
        (Retention(2), 5, {15, 17}),
        (Retention(1, every_steps=6), None, {6, 12, 17}),
        (Retention(1, keeps_best=True), 5, {5, 17}),
        (Retention(1, keeps_best=True), 4, {17}),  # no checkpoint was made there
        (Retention(1, regular_steps=3), None, {15, 17}),
        (Retention(2, every_steps=6, keeps_best=True, regular_steps=5), 9, {6, 9, 12, 15, 17}),
    ],
)
def test_kept_are_the_newest_the_best_and_every_so_many(retention, best_step, kept):
    assert retention.kept([3, 5, 6, 9, 12, 15, 17], best_step) == kept


def test_the_folder_keeps_what_the_retention_says(tmp_path):
    checkpoints = CheckpointFolder(tmp_path, Retention(1, every_steps=4, keeps_best=True))
    for step in range(1, 8):
        with checkpoints.private() as scratch:
            checkpoints.seal(write_files(scratch / "written"), step, best_step=min(step, 3))
    assert checkpoints.steps() == [3, 4, 7]


def test_going_back_is_to_a_regular_checkpoint_and_forgets_the_later_ones(tmp_path):
    checkpoints = CheckpointFolder(tmp_path, 9)
    for step in (4, 8, 9, 12):
        seal(checkpoints, step)
    assert checkpoints.newest(before=12, multiple_of=4).step == 8
    assert checkpoints.newest(before=4, multiple_of=4) is None
    checkpoints.discard_after(8)
    assert checkpoints.steps() == [4, 8]


def test_models_that_stay_are_in_the_artifact_also_after_a_resume(tmp_path):
    values = {"keep_every_steps": 5, "keep_best": True, "eval_every_steps": 3, "keep_checkpoints": 1, "max_steps": 14}
    context = context_in(tmp_path / "a", **values)
    stats = train_here(context)
    models = sorted({path.split("/")[1] for path in stats["files"] if path.startswith("models/")})
    assert {"step-000005", "step-000010"} <= set(models)
    assert {"config.json", "model.safetensors", "tokenizer.json"} < {
        path.rpartition("/")[2] for path in stats["files"] if path.startswith("models/step-000005/")
    }
    rows = [
        json.loads(line) for line in context.store.local_file("train/x/metrics/train.jsonl").read_text().splitlines()
    ]
    best = min((row["validation_loss"], row["step"]) for row in rows if "validation_loss" in row)[1]
    assert best == 14 or f"step-{best:06d}" in models

    stopped = context_in(tmp_path / "b", **values)
    with pytest.raises(Stopped):
        train_here(stopped, [SignalAt("on_step_begin", 8)])
    assert 5 in checkpoints_of(stopped).steps()
    assert train_here(stopped) == stats
