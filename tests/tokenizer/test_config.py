import pytest
from pydantic import ValidationError

from pretrain.tokenizer.config import TokenizerConfig


def config(values):
    return TokenizerConfig.model_validate(values)


def test_a_trained_tokenizer_has_three_special_tokens():
    assert config({"train": {"vocab_size": 4096}}).special_roles() == {
        "bos_token": "<|bos|>",
        "eos_token": "<|eos|>",
        "pad_token": "<|pad|>",
    }
    renamed = config({"train": {"vocab_size": 4096}, "eos_token": "<|endoftext|>"})
    assert renamed.special_roles()["eos_token"] == "<|endoftext|>"


def test_an_imported_tokenizer_has_the_ones_given():
    assert config({"import": "gpt2"}).special_roles() == {}
    assert config({"import": "gpt2", "pad_token": "<pad>"}).special_roles() == {"pad_token": "<pad>"}


def test_where_a_tokenizer_lies_is_no_part_of_its_identity():
    assert config({"import": "here"}).identity() == config({"import": "there"}).identity()
    trained = config({"train": {"vocab_size": 300}})
    assert trained.identity() != config({"train": {"vocab_size": 301}}).identity()


def test_a_dumped_config_is_read_again():
    for values in ({"import": "here"}, {"train": {"vocab_size": 300, "special_tokens": ["<x>"]}}):
        dumped = config(values).model_dump(mode="json", by_alias=True)
        assert config(dumped) == config(values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "give exactly one of"),
        ({"train": {"vocab_size": 300}, "import": "x"}, "give exactly one of"),
        ({"train": {"vocab_size": 258}}, "at least 256 bytes \\+ 3 special tokens"),
        ({"train": {"vocab_size": 300}, "bos_token": "<|eos|>"}, "special tokens must differ"),
        ({"train": {"vocab_size": 300, "special_tokens": ["<|pad|>"]}}, "special tokens must differ"),
        ({"train": {"vocab_size": 300, "special_tokens": [""]}}, "special_tokens.0\n  String should have at least 1"),
        ({"import": "x", "tiktoken": {"pattern": "gpt2", "special_tokens": [""]}}, "special_tokens.0\n  String should"),
        ({"train": {"vocab_size": 300}, "revision": "0" * 40}, "belong to `import`"),
        ({"import": "o/n", "revision": "main"}, "'main' is no commit \\(40 hex digits\\)"),
        ({"import": "./o/n", "revision": "0" * 40}, "is no id of a hub"),
        ({"import": "x", "tiktoken": {}}, "exactly one of `encoding: cl100k_base`"),
        ({"import": "x", "tiktoken": {"encoding": "gpt2", "special_tokens": ["<x>"]}}, "an encoding has its own"),
        ({"import": "x", "tiktoken": {"pattern": "gpt2", "special_tokens": ["<x>", "<x>"]}}, "must differ"),
        ({"import": "x", "tiktoken": {"encoding": "gpt5"}}, "Input should be 'gpt2'"),
        ({"import": "x", "tiktoken": {"pattern": "gpt2"}, "sentencepiece": {}}, "give one of"),
    ],
)
def test_a_wrong_recipe_is_named(values, message):
    with pytest.raises(ValidationError, match=message):
        config(values)
