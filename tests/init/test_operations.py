"""Which layers each operation takes, in the literature's and the course's own examples."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain.init.operations.base import reorder_layers
from pretrain.init.operations.drop_layers import DropLayers
from pretrain.init.operations.expand_blocks import ExpandBlocks
from pretrain.init.operations.upscale_depth import UpscaleDepth
from pretrain.init.tensors import Constant


@pytest.mark.parametrize(
    ("operation", "num_layers", "order"),
    [
        (DropLayers(num_layers=2), 12, [0, 1, 2, 3, 4, 7, 8, 9, 10, 11]),  # the course: 12 -> 10
        (DropLayers(layers=(6, 5)), 12, [0, 1, 2, 3, 4, 7, 8, 9, 10, 11]),
        (DropLayers(num_layers=2, strategy="first"), 5, [2, 3, 4]),
        (DropLayers(num_layers=2, strategy="last"), 5, [0, 1, 2]),
        (DropLayers(num_layers=2, strategy="middle"), 5, [0, 3, 4]),
        (DropLayers(num_layers=4, strategy="uniform"), 12, [0, 2, 3, 5, 6, 8, 9, 11]),
        (DropLayers(num_layers=2, strategy="uniform"), 12, [0, 1, 2, 4, 5, 6, 7, 8, 10, 11]),
        (DropLayers(num_layers=1, strategy="uniform"), 3, [0, 2]),
        (DropLayers(num_layers=4, strategy="uniform"), 5, [2]),
        (ExpandBlocks(num_groups=2), 4, [0, 1, 1, 2, 3, 3]),
        (ExpandBlocks(num_groups=1, num_copies=2), 2, [0, 1, 1, 1]),
        (ExpandBlocks(num_groups=3), 3, [0, 0, 1, 1, 2, 2]),
        (
            UpscaleDepth(overlap=4),
            12,
            [0, 1, 2, 3, 4, 5, 6, 7, 4, 5, 6, 7, 8, 9, 10, 11],
        ),  # the course: 12 -> 16
        (UpscaleDepth(overlap=2), 8, [0, 1, 2, 3, 4, 5, 2, 3, 4, 5, 6, 7]),
        (UpscaleDepth(overlap=0), 2, [0, 1, 0, 1]),
    ],
)
def test_layer_order(operation, num_layers, order):
    assert operation.layer_order(num_layers) == order
    assert operation.num_layers_after(num_layers) == len(order)


@given(st.integers(2, 60), st.data())
def test_uniform_drops_one_layer_of_each_equal_piece(num_layers, data):
    count = data.draw(st.integers(1, num_layers - 1))
    kept = DropLayers(num_layers=count, strategy="uniform").layer_order(num_layers)
    dropped = sorted(set(range(num_layers)) - set(kept))
    assert len(dropped) == count
    pieces = [(index * num_layers / count, (index + 1) * num_layers / count) for index in range(count)]
    assert all(first <= layer + 0.5 < last + 0.5 for layer, (first, last) in zip(dropped, pieces, strict=True))


def test_llama_pro_goes_from_32_to_40_layers():
    assert ExpandBlocks(num_groups=8).num_layers_after(32) == 40


def test_solar_goes_from_32_to_48_layers():
    assert UpscaleDepth(overlap=8).num_layers_after(32) == 48


@given(st.integers(1, 60), st.data())
def test_upscaling_is_the_papers_formula(num_layers, data):
    overlap = data.draw(st.integers(0, num_layers - 1))
    layers = list(range(num_layers))
    order = UpscaleDepth(overlap=overlap).layer_order(num_layers)
    assert order == layers[: num_layers - overlap] + layers[overlap:]
    assert len(order) == 2 * (num_layers - overlap)


def test_reordering_renames_layers_and_keeps_the_rest():
    tensors = {name: Constant((1,), float(value)) for value, name in enumerate(_names(11))}
    result = reorder_layers(tensors, [10, 0, 10])
    assert {name: tensor.value for name, tensor in result.items()} == {
        "model.embed_tokens.weight": 0.0,
        "model.norm.weight": 12.0,
        "model.layers.0.mlp.up_proj.weight": 11.0,
        "model.layers.1.mlp.up_proj.weight": 1.0,
        "model.layers.2.mlp.up_proj.weight": 11.0,
    }


def _names(num_layers):
    layers = [f"model.layers.{layer}.mlp.up_proj.weight" for layer in range(num_layers)]
    return ["model.embed_tokens.weight", *layers, "model.norm.weight"]
