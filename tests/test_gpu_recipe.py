"""recipes/gpu.yaml: its numbers fit each other and one GPU of 80 GB."""

import json
from pathlib import Path

from typer.testing import CliRunner

from pretrain.cli.app import app

RECIPE = Path(__file__).parents[1] / "recipes" / "gpu.yaml"
SAMPLE = "download.sources=[{name: code, uri: 'python://code', max_bytes: 300000}]"


def test_twenty_tokens_a_parameter_in_whole_steps_within_the_memory_of_the_gpu(tmp_path: Path) -> None:
    options = ["--store", str(tmp_path / "store"), "--set", SAMPLE, "--hardware", "h100", "--json"]
    result = CliRunner().invoke(app, ["plan", str(RECIPE), *options])
    assert result.exit_code == 0, result.stderr
    stages = {stage["stage"]: stage for stage in json.loads(result.stdout)["stages"]}
    assert list(stages) == [
        *("download", "filter", "dedup", "language", "shard", "tokenizer", "pack", "init", "train", "eval")
    ]
    model = {name: quantity["value"] for name, quantity in stages["init"]["estimate"].items()}
    training = {name: quantity["value"] for name, quantity in stages["train"]["estimate"].items()}
    assert model["parameters"] == 123_587_328
    assert 0 <= training["tokens"] - 20 * model["parameters"] < training["global_batch_tokens"]
    assert (training["steps"], training["gradient_accumulation_steps"]) == (4715, 16)
    assert 30e9 < model["training_memory"] < 60e9
    assert stages["init"]["estimate"]["training_time"] == {"value": 101.7, "unit": "minutes on h100 at an MFU of 0.35"}
