"""What `pretrain show` says of a model."""

from pretrain.artifact import Artifact, Manifest
from pretrain.dag import views
from pretrain.store import LocalStore
from tests.init.tiny_models import ARCHITECTURE, run_init
from tests.train.tiny_training import make_pack


def shown(tmp_path, config, **options):
    _, stats = run_init(tmp_path, config, **options)
    made = {"stage_version": 2, "fingerprint": "made", "inputs": [], "config": {}, "parts": [], "provenance": {}}
    manifest = Manifest(stage="init", stats=stats, **made)
    return dict(views(Artifact(LocalStore(tmp_path / "store"), manifest)))


def test_parameters_memory_and_what_was_done(tmp_path):
    operations = [{"op": "drop_layers", "num_layers": 2}, {"op": "tie"}]
    report = shown(tmp_path, {"architecture": ARCHITECTURE, "operations": operations})
    assert report["parameters"][0].split() == ["embedding", "8,288", "13.0%"]
    assert report["parameters"][-1].split()[:2] == ["all", "64,000"]
    assert report["parameters"][-1].endswith("are 1,280,000")
    memory = report["memory for training, one sequence of 64 tokens in float32"]
    assert [line.split()[0] for line in memory[:5]] == [
        *("weights", "gradients", "optimizer_states", "activations"),
        "all",
    ]
    assert report["operations"] == [
        "drop_layers: dropped [3, 4], 6 layers, 72,288 parameters",
        "tie: keep embedding, 6 layers, 64,000 parameters",
    ]
    assert report["validation loss right after init"][0].startswith("not measured here: `validation_loss_first`")


def test_what_was_measured(tmp_path):
    pack = make_pack(LocalStore(tmp_path / "store"))
    measured = {"op": "drop_layers", "num_layers": 7, "strategy": "block_influence", "num_sequences": 2}
    config = {"architecture": ARCHITECTURE, "operations": [measured], "validation_sequences": 3}
    report = shown(tmp_path, config, pack=pack)
    lines = report["block influence by layer"]
    assert len(lines) == 8
    assert sum(line.endswith("dropped") for line in lines) == 7
    assert report["validation loss right after init"][0].endswith("on 3 sequences")
