"""Values of random tensors: by seed and name alone."""

import torch

from pretrain.init.tensors import Constant, RandomNormal, tensor_seed


def test_the_seed_is_stable_across_processes_and_versions():
    # printf '0\0lm_head.weight' | sha256sum: its first 16 hex digits, without the lowest bit
    assert tensor_seed(0, "lm_head.weight") == 2639694972881422462
    assert tensor_seed(1, "lm_head.weight") != tensor_seed(0, "lm_head.weight")
    assert tensor_seed(0, "model.norm.weight") != tensor_seed(0, "lm_head.weight")


def test_values_do_not_depend_on_order_threads_or_global_state():
    sources = [RandomNormal(f"t{index}", (64, 65), 0.02, seed=3) for index in range(3)]
    first = [source.read() for source in sources]
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        torch.manual_seed(99)
        state = torch.get_rng_state()
        again = [source.read() for source in reversed(sources)][::-1]
        assert torch.equal(torch.get_rng_state(), state)
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], first[1])


def test_values_are_normal_with_the_given_deviation():
    values = RandomNormal("t", (400, 1000), 0.02, seed=0).read()
    assert abs(values.mean().item()) < 2e-4
    assert abs(values.std().item() - 0.02) < 2e-4
    assert abs((values.abs() < 0.02).float().mean().item() - 0.6827) < 5e-3


def test_the_padding_row_is_zero_and_the_others_are_unchanged():
    plain = RandomNormal("t", (5, 8), 0.02, seed=0).read()
    padded = RandomNormal("t", (5, 8), 0.02, seed=0, zero_row=2).read()
    assert padded[2].abs().sum() == 0
    assert torch.equal(padded[[0, 1, 3, 4]], plain[[0, 1, 3, 4]])


def test_constants():
    assert torch.equal(Constant((2, 3), 1.0).read(), torch.ones(2, 3))
