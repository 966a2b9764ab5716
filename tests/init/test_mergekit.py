"""Depth surgery is mergekit's `passthrough` of slices: by its rule, and by mergekit itself where it is installed.

The rule (mergekit 0.1.5, merge_methods/passthrough.py and plan.py): output layers are the `layer_range` of each slice,
end excluded, one after the other, each tensor as it is; tensors before and after the layers are those of the first and
last slice.
"""

import pytest
import torch

from tests.init.models import weights
from tests.init.tiny_models import run_init, save_checkpoint

CASES = [
    ({"op": "upscale_depth", "overlap": 2}, [(0, 6), (2, 8)]),
    ({"op": "upscale_depth", "overlap": 4}, [(0, 4), (4, 8)]),
    ({"op": "drop_layers", "num_layers": 2}, [(0, 3), (5, 8)]),
    ({"op": "drop_layers", "layers": [0, 4, 7]}, [(1, 4), (5, 7)]),
]


def by_the_rule(source, slices):
    order = [layer for start, stop in slices for layer in range(start, stop)]
    outside = {name: tensor for name, tensor in source.items() if ".layers." not in name}
    moved = {
        name.replace(f".layers.{layer}.", f".layers.{target}."): tensor
        for target, layer in enumerate(order)
        for name, tensor in source.items()
        if f".layers.{layer}." in name
    }
    return outside | moved


def by_mergekit(folder, slices):
    pytest.importorskip("mergekit", reason="mergekit is no dependency; `pip install mergekit` runs this comparison")
    from mergekit.config import MergeConfiguration
    from mergekit.merge import run_merge
    from mergekit.options import MergeOptions

    sources = [{"sources": [{"model": str(folder), "layer_range": list(layers)}]} for layers in slices]
    values = {"slices": sources, "merge_method": "passthrough", "dtype": "float32"}
    options = MergeOptions(copy_tokenizer=False, quiet=True, lazy_unpickle=False)
    run_merge(MergeConfiguration.model_validate(values), str(folder.parent / "merged"), options=options)
    return weights(folder.parent / "merged")


@pytest.mark.parametrize("reference", ["rule", "mergekit"])
@pytest.mark.parametrize(("operation", "slices"), CASES)
def test_the_tensors_are_those_of_a_passthrough_merge(tmp_path, operation, slices, reference):
    save_checkpoint(tmp_path / "source")
    if reference == "rule":
        expected = by_the_rule(weights(tmp_path / "source"), slices)
    else:
        expected = by_mergekit(tmp_path / "source", slices)
    folder, _ = run_init(tmp_path, {"from": "source", "operations": [operation]})
    found = weights(folder)
    assert found.keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in found.items())
