"""torch.compile trains the same model; validation, samples and checkpoints are of the plain one."""

import json

import pytest
from safetensors.torch import load_file

from tests.train.killing import train_here
from tests.train.sharded import Share, train_together
from tests.train.test_sampling_in_training import PROMPTS, make_context_with_tokenizer
from tests.train.test_stopping import SignalAt, Stopped
from tests.train.tiny_training import context_in

pytestmark = pytest.mark.slow


def rows_of(context):
    lines = context.store.local_file("train/x/metrics/train.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_compiled_it_trains_as_without_and_resumes(tmp_path):
    values = {**PROMPTS, "sample_every_steps": 5, "eval_every_steps": 5}
    plain, compiled = (
        make_context_with_tokenizer(tmp_path / name, compile=name == "compiled", **values)
        for name in ("plain", "compiled")
    )
    train_here(plain)
    with pytest.raises(Stopped):
        train_here(compiled, [SignalAt("on_step_begin", 6)])
    train_here(compiled)
    for expected, found in zip(rows_of(plain), rows_of(compiled), strict=True):
        assert found.keys() == expected.keys() and found["step"] == expected["step"]
        for name in found.keys() & {"loss", "validation_loss"}:  # near it: compiled kernels draw other dropout
            assert found[name] == pytest.approx(expected[name], abs=0.1)
    saved = [load_file(each.store.local_file("train/x/data/model.safetensors")) for each in (plain, compiled)]
    assert saved[0].keys() == saved[1].keys()


def test_compiled_several_processes_sum_their_gradients_once_a_step(tmp_path):
    """Two micro-batches of each process in each of five steps: the first of them is not summed over processes."""
    context = context_in(tmp_path, compile=True, max_steps=5, gradient_accumulation_steps=4)
    (told,) = train_together([Share(context, sharding="none")])
    assert [each["unsummed"] for each in told.processes] == [5, 5]
