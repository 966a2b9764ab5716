"""In training a model hands out its loss alone, and in evaluation what it did."""

import inspect

import torch

from pretrain.train.outputs import without_logits
from tests.train.test_isolation import make_model


def test_logits_are_handed_out_in_evaluation_only():
    tokens = torch.arange(3, 23)[None]
    plain, model = make_model("sdpa").train(), make_model("sdpa").train()
    without_logits(model)
    found, expected = model(input_ids=tokens, labels=tokens), plain(input_ids=tokens, labels=tokens)
    assert found.keys() == {"loss"} and torch.equal(found.loss, expected.loss)
    assert torch.equal(model.eval()(input_ids=tokens).logits, expected.logits)
    assert model(input_ids=tokens, labels=tokens).keys() >= {"loss", "logits"}


def test_the_signature_stays_by_which_the_trainer_chooses_how_it_scales_the_loss():
    model = make_model("sdpa")
    expected = inspect.signature(model.forward)
    without_logits(model)
    assert inspect.signature(model.forward) == expected
