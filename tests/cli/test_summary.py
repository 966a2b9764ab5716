"""What people read at the end of a run: scores beside the accuracy of guessing."""

from pretrain.cli.summary import print_summary
from pretrain.runs import RunRecord, StageRecord
from pretrain.spec import RunSpec


def printed(tmp_path, capsys, **stats):
    stage = StageRecord(stage="eval", fingerprint="0" * 16, action="built", seconds=1.0, stats=stats)
    record = RunRecord(
        run_id="20261127-000000-x-0000",
        store=str(tmp_path),
        state="completed",
        seconds=1.0,
        stages=[stage],
        started="2026-11-27T00:00:00+00:00",
        recipe_path="x.yaml",
        recipe={},
    )
    print_summary(RunSpec(recipe="x.yaml", store=str(tmp_path)), record)
    return capsys.readouterr().out.splitlines()


def test_scores_stand_beside_the_accuracy_of_guessing(tmp_path, capsys):
    results = {"train": {"quiz": {"acc": 0.5, "acc_stderr": 0.0481}, "text": {"byte_perplexity": 3.0}}}
    lines = printed(tmp_path, capsys, results=results, chance={"quiz": 0.25})
    start = next(number for number, line in enumerate(lines) if line.startswith("task"))
    assert [line.split() for line in lines[start : start + 3]] == [
        ["task", "metric", "chance", "train"],
        ["quiz", "acc", "0.25", "0.5", "±", "0.048"],
        ["text", "byte_perplexity", "3"],
    ]


def test_where_nothing_is_guessed_there_is_no_column_for_it(tmp_path, capsys):
    lines = printed(tmp_path, capsys, results={"train": {"text": {"byte_perplexity": 3.0}}}, chance={})
    assert ["task", "metric", "train"] in [line.split() for line in lines]
