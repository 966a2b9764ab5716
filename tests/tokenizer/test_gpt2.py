import json

import pytest

from pretrain.errors import InputError
from tests.sequences.stage_inputs import shared_data
from tests.tokenizer.importing import converted, gpt2_files, reference

MERGES = [("h", "e"), ("t", "he"), ("Ġ", "the"), ("i", "n")]


def test_merges_are_applied_in_their_order(tmp_path):
    encoder = converted(tmp_path, gpt2_files(MERGES), eos_token="<|endoftext|>")
    vocab = encoder.tokenizer.get_vocab()
    [ids] = encoder.encode(["the thein"])
    assert ids == [vocab[token] for token in ("the", "Ġthe", "in")]
    assert encoder.eos_token_id == 260


def test_published_ids_are_those_of_the_original(tmp_path):
    files = {
        "vocab.json": shared_data("tokenizers/gpt2/encoder.json").read_bytes(),
        "merges.txt": shared_data("tokenizers/gpt2/vocab.bpe").read_bytes(),
    }
    encoder = converted(tmp_path, files)
    texts = reference()["texts"]
    assert encoder.encode(texts) == reference()["ids"]["gpt2"]
    assert [encoder.decode(ids) for ids in encoder.encode(texts)] == texts


def test_lines_may_end_in_crlf(tmp_path):
    files = gpt2_files(MERGES)
    files["merges.txt"] = files["merges.txt"].replace(b"\n", b"\r\n")
    assert converted(tmp_path / "a", files).encode(["the"]) == converted(tmp_path / "b", gpt2_files(MERGES)).encode(
        ["the"]
    )


def test_a_space_is_put_before_the_text_where_the_folder_says_so(tmp_path):
    files = {**gpt2_files(MERGES), "tokenizer_config.json": b'{"add_prefix_space": true}'}
    assert converted(tmp_path, files).encode(["the"]) == [[258]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vocab.json": b""}, r"vocab\.json is not valid JSON"),
        ({"vocab.json": b"[1]"}, "no JSON object of ids"),
        ({"vocab.json": b'{"a": "x"}'}, "no JSON object of ids"),
        ({"vocab.json": b'{"a": true}'}, "no JSON object of ids"),
        ({"vocab.json": b'{"a": 4294967296}'}, "no JSON object of ids"),
        ({"vocab.json": b"[" * 100_000}, "is not valid JSON"),
        ({"vocab.json": b'{"a": 0, "b": 0}'}, "gives one id to several"),
        ({"vocab.json": b'{"a": 0}'}, r"lacks 25\d bytes or tokens"),
        ({"vocab.json": b'{"a": 0'}, "is not valid JSON"),
        ({"vocab.json": b'{"\xff": 0}'}, "is not valid JSON"),
        ({"merges.txt": b""}, r"no merge makes 4 tokens of vocab\.json, such as 'he'"),
        ({"merges.txt": b"h e\nt he\n"}, "no merge makes 2 tokens"),
        ({"merges.txt": b"h \xff\n"}, r"merges\.txt is not UTF-8"),
        ({"merges.txt": b"h e\nt he\nthe"}, r"line 3 of merges\.txt is no pair"),
        ({"merges.txt": b"h e t\n"}, r"line 1 of merges\.txt is no pair"),
        ({"merges.txt": b"h e\nh e\n"}, "has a merge twice"),
        ({"merges.txt": b"x y\n"}, "lacks 1 bytes or tokens that merges make, such as 'xy'"),
        ({"tokenizer_config.json": b'{"tokenizer_class": "Qwen2TokenizerFast"}'}, "Qwen2Tokenizer, which splits"),
    ],
)
def test_damaged_or_mismatched_files_are_named(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        converted(tmp_path, {**gpt2_files(MERGES), **changes})


def test_word_endings_of_another_kind_are_refused(tmp_path):
    files = gpt2_files([("h", "e</w>")], more=("e</w>",))
    with pytest.raises(InputError, match=r"no merge makes 1 tokens.*CLIP"):
        converted(tmp_path, files)


def test_tokens_that_nothing_makes_are_special(tmp_path):
    encoder = converted(tmp_path, gpt2_files(MERGES, more=("<s>", "[PAD]")))
    assert encoder.token_bytes()[-2:].tolist() == [0, 0]
    definition = json.loads((tmp_path / "tokenizer.json").read_bytes())
    assert [token["content"] for token in definition["added_tokens"]] == ["<s>", "[PAD]"]
