"""Block influence and the loss right after init, against transformers' own hidden states and against `train`."""

import pytest
import torch
from torch.nn.functional import cosine_similarity

from pretrain.errors import InputError
from pretrain.init.forward import Rows, StreamedModel
from pretrain.init.plan import ModelPlan
from pretrain.init.tensors import Constant
from pretrain.modeling.parameters import tensor_shapes
from pretrain.modeling.shape import ModelShape
from pretrain.sequences import TokenSequences, read_token_bytes
from pretrain.store import LocalStore
from pretrain.train.validation import Validation
from tests.init.models import assert_sound, load
from tests.init.tiny_models import ARCHITECTURE, byte_tokenizer, receipts, run_init, save_checkpoint
from tests.train.test_isolation import TEXTS, packed
from tests.train.tiny_training import make_pack

MEASURED = {"op": "drop_layers", "num_layers": 3, "strategy": "block_influence", "num_sequences": 5}


@pytest.fixture
def pack(tmp_path):
    return make_pack(LocalStore(tmp_path / "store"))


def influences(model, rows):
    """1 - mean cosine of what goes into each layer and what comes out, by hooks on the whole model."""
    seen = []
    for layer in model.model.layers:
        layer.register_forward_hook(lambda module, args, output: seen.append((args[0], output)))
    with torch.inference_mode():
        model(rows, use_cache=False)
    return [1 - cosine_similarity(before, after, dim=-1).mean().item() for before, after in seen]


def test_the_least_influential_layers_are_dropped(tmp_path, pack):
    model = save_checkpoint(tmp_path / "source").eval()
    folder, stats = run_init(tmp_path, {"from": "source", "operations": [MEASURED]}, pack=pack)
    rows = torch.from_numpy(TokenSequences.from_artifact(pack, "validation").batch(range(5)))
    expected = influences(model, rows)
    [told] = stats["operations"]
    assert told["block_influence"] == pytest.approx(expected, abs=2e-6)
    assert told["dropped"] == sorted(sorted(range(8), key=lambda layer: expected[layer])[:3])
    kept = [layer for layer in range(8) if layer not in told["dropped"]]
    for target, layer in enumerate(kept):
        found, source = (m.model.layers[i].mlp.up_proj.weight for m, i in ((load(folder), target), (model, layer)))
        assert torch.equal(found, source)
    assert_sound(folder)


def test_it_is_measured_on_the_model_at_its_place_in_the_list_and_once(tmp_path, pack):
    save_checkpoint(tmp_path / "source")
    operations = [{"op": "expand_blocks", "num_groups": 2}, {**MEASURED, "num_layers": 2}]
    _, stats = run_init(tmp_path, {"from": "source", "operations": operations}, pack=pack)
    told = stats["operations"][1]
    assert told["dropped"] == [4, 9]  # the copies, which change nothing yet
    assert [told["block_influence"][layer] for layer in (4, 9)] == pytest.approx([0, 0], abs=1e-6)
    assert "influence-1" in [receipt.unit for receipt in receipts(tmp_path)]


@pytest.mark.parametrize("tied", [False, True])
def test_the_loss_right_after_init_is_what_train_measures_before_its_first_step(tmp_path, pack, tied):
    config = {"architecture": {**ARCHITECTURE, "tie_word_embeddings": tied}, "validation_sequences": 6}
    folder, stats = run_init(tmp_path, config, pack=pack)
    sequences = TokenSequences.from_artifact(pack, "validation")
    expected = Validation(sequences, read_token_bytes(pack), 6, batch_size=2).measure(load(folder))
    assert stats["validation_loss"] == pytest.approx(expected.loss, rel=1e-6)
    assert stats["validation_bits_per_byte"] == pytest.approx(expected.bits_per_byte, rel=1e-6)
    assert stats["validation_sequences"] == 6


@pytest.mark.parametrize("changed", [{}, {"isolate_documents": False}, {"strategy": "pad"}, {"strategy": "concat"}])
def test_the_same_holds_for_packed_documents_and_padding(tmp_path, changed):
    pack = packed(tmp_path / "packed", 3 * TEXTS, **changed)
    architecture = {**ARCHITECTURE, "max_position_embeddings": 96}
    config = {"architecture": architecture, "validation_sequences": 100}
    tokenizer = byte_tokenizer(num_extra_tokens=4)
    folder, stats = run_init(tmp_path, config, pack=pack, tokenizer=tokenizer)
    sequences = TokenSequences.from_artifact(pack, "validation")
    expected = Validation(sequences, read_token_bytes(pack), 100, batch_size=2).measure(load(folder))
    assert stats["validation_loss"] == pytest.approx(expected.loss, rel=1e-5)
    assert stats["validation_bits_per_byte"] == pytest.approx(expected.bits_per_byte, rel=1e-5)
    assert stats["validation_sequences"] == len(sequences)


def test_without_validation_sequences_it_is_refused(tmp_path):
    pack = make_pack(LocalStore(tmp_path / "store"), {"train": 4, "validation": 0})
    with pytest.raises(InputError, match=r"raise shard\.validation_fraction"):
        run_init(tmp_path, {"architecture": ARCHITECTURE, "validation_sequences": 1}, pack=pack)


def test_one_layer_is_in_memory_at_a_time():
    config = {
        **{"model_type": "llama", "vocab_size": 5, "hidden_size": 4, "intermediate_size": 8, "num_hidden_layers": 3},
        **{"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 2, "max_position_embeddings": 8},
    }
    shapes = tensor_shapes(ModelShape.from_config(config))
    plan = ModelPlan(config, {name: Constant(shape, 0.5) for name, shape in shapes.items()})
    asked = []

    def read(name):
        asked.append(name)
        return plan.tensors[name].read()

    rows = torch.tensor([[1, 2, 3]]).numpy()
    states = StreamedModel(plan, "cpu", read).hidden_states(Rows(rows))
    next(states)
    assert asked == ["model.embed_tokens.weight"]
    next(states)
    assert {name.split(".")[2] for name in asked[1:]} == {"0"}
