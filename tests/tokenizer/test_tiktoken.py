import base64

import pytest

from pretrain.errors import InputError
from tests.sequences.stage_inputs import shared_data
from tests.tokenizer.importing import converted, reference

PATTERNS = ["gpt2", "cl100k_base", "o200k_base"]


def ranks(*tokens):
    """A file of ranks: the 256 bytes, then these tokens."""
    everything = [bytes([byte]) for byte in range(256)] + list(tokens)
    return b"".join(b"%s %d\n" % (base64.b64encode(token), rank) for rank, token in enumerate(everything))


def from_ranks(folder, data, **values):
    return converted(folder, {"tokenizer.model": data}, tiktoken=values or {"pattern": "gpt2"})


@pytest.mark.parametrize("pattern", PATTERNS)
def test_ids_are_those_of_tiktoken(tmp_path, pattern):
    texts = reference()["texts"]
    encoder = from_ranks(tmp_path, reference()["ranks"].encode(), pattern=pattern)
    assert encoder.encode(texts) == reference()["ids"][f"ranks:{pattern}"]
    assert [encoder.decode(ids) for ids in encoder.encode(texts)] == texts


@pytest.mark.parametrize("pattern", PATTERNS)
def test_ids_of_a_published_file_are_those_of_tiktoken(tmp_path, pattern):
    data = shared_data("tokenizers/tiktoken_small.model").read_bytes()
    encoder = from_ranks(tmp_path, data, pattern=pattern)
    assert encoder.encode(reference()["texts"]) == reference()["ids"][f"shared_ranks:{pattern}"]


def test_special_tokens_follow_the_last_rank(tmp_path):
    encoder = from_ranks(tmp_path, ranks(b"ab"), pattern="gpt2", special_tokens=["<|end|>", "<|pad|>"])
    assert [encoder.tokenizer.token_to_id(token) for token in ("<|end|>", "<|pad|>")] == [257, 258]
    assert encoder.vocab_size == 259


def test_a_published_encoding_has_its_own_special_tokens(tmp_path):
    # made up ranks in the number that cl100k_base has: what is looked at is which ids its special tokens get
    tokens = [b"%c%c" % (index >> 8, index & 255) for index in range(65_536)]
    tokens += [b"\xff\xff%c%c" % (index >> 8, index & 255) for index in range(100_256 - 256 - 65_536)]
    encoder = from_ranks(tmp_path, ranks(*tokens), encoding="cl100k_base")
    ids = {token: encoder.tokenizer.token_to_id(token) for token in ("<|endoftext|>", "<|endofprompt|>")}
    assert ids == {"<|endoftext|>": 100_257, "<|endofprompt|>": 100_276}
    assert encoder.tokenizer.id_to_token(100_256) == "<|unused_100256|>"
    assert encoder.vocab_size == 100_277


def test_a_whole_piece_is_its_token_though_no_merge_makes_it(tmp_path):
    encoder = from_ranks(tmp_path, ranks(b"xyzzy"))
    assert encoder.encode(["xyzzy", "xyzzyx"]) == [[256], [*b"xyzzyx"]]


def test_a_pattern_of_ones_own(tmp_path):
    encoder = from_ranks(tmp_path, ranks(b"ab", b"b "), pattern=r"\S+|\s+")
    assert encoder.encode(["ab ab"]) == [[256, ord(" "), 256]]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (ranks()[:-7], "line 256 is no base64 token and rank"),
        (ranks(b"ab", b"ab"), "line 258 has the token b'ab' a second time"),
        (ranks() + b"YWI= 7\n", "doubles or holes"),
        (ranks() + b"YWI= 300\n", "doubles or holes"),
        (ranks() + b"\xff\xfe 256\n", "line 257 is no base64"),
        (ranks() + b"YWI 256\n", "line 257 is no base64"),
        (ranks() + b"YWI= 99999999999999999999\n", "line 257 is no base64"),
        (ranks(b"a" * 2000), "a token has 2,000 bytes"),
        (b"YQ== 0\n", "255 of the 256 bytes have no rank"),
    ],
)
def test_damaged_ranks_are_named(tmp_path, data, message):
    with pytest.raises(InputError, match=message):
        from_ranks(tmp_path, data)


def test_a_file_of_another_encoding_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"it has 257 ranks, cl100k_base has 100,256"):
        from_ranks(tmp_path, ranks(b"ab"), encoding="cl100k_base")


def test_how_text_is_split_has_to_be_said(tmp_path):
    with pytest.raises(InputError, match=r"does not say how text is split; add tokenizer\.tiktoken"):
        converted(tmp_path, {"tokenizer.model": ranks()})
    with pytest.raises(InputError, match=r"tokenizer\.model is no file of tiktoken ranks"):
        from_ranks(tmp_path, b"")


def test_a_special_token_that_is_a_token_of_text_is_refused(tmp_path):
    with pytest.raises(InputError, match="'<x>' is a token of text too"):
        from_ranks(tmp_path, ranks(b"<x>"), pattern="gpt2", special_tokens=["<x>"])


@pytest.mark.parametrize("pattern", ["(", r"\p{N}{1,3}+|\s+|\D", r"[a-z]+", r"(?m)^a|.$|\s+|.+"])
def test_a_pattern_that_would_be_read_otherwise_is_refused(tmp_path, pattern):
    with pytest.raises(InputError, match=r"tokenizer\.tiktoken\.pattern"):
        from_ranks(tmp_path, ranks(), pattern=pattern)
