import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

from pretrain.documents import Document
from pretrain.errors import InputError
from pretrain.sequences.encoder import Encoder, byte_alphabet, text_batches

BYTES = {character: index + 3 for index, character in enumerate(byte_alphabet())}
SPECIAL = {"<|bos|>": 0, "<|eos|>": 1, "<|pad|>": 2}


def write_byte_tokenizer(folder, change=lambda definition: definition):
    """A tokenizer of single bytes that adds bos, cuts at 3 tokens and pads, as published ones may."""
    tokenizer = Tokenizer(models.BPE(vocab={**SPECIAL, **BYTES}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(single="<|bos|> $A", special_tokens=[("<|bos|>", 0)])
    tokenizer.add_special_tokens(list(SPECIAL))
    tokenizer.enable_truncation(3)
    tokenizer.enable_padding(pad_id=2, pad_token="<|pad|>", length=8)
    definition = change(json.loads(tokenizer.to_str()))
    (folder / "tokenizer.json").write_text(json.dumps(definition))
    config = {"bos_token": {"content": "<|bos|>", "lstrip": False}, "eos_token": "<|eos|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return Encoder(write_byte_tokenizer(tmp_path_factory.mktemp("tokenizer")))


def test_text_is_neither_cut_nor_padded_nor_framed(encoder):
    [ids] = encoder.encode(["hello"])
    assert ids == [BYTES[c] for c in "hello"]


def test_special_tokens_typed_by_an_author_are_text(encoder):
    text = "see <|eos|> and <|bos|><|pad|>"
    [ids] = encoder.encode([text])
    assert not set(ids) & set(SPECIAL.values())
    assert encoder.decode(ids) == text


@given(text=st.text())
def test_any_text_round_trips_and_its_bytes_add_up(encoder, text):
    [ids] = encoder.encode([text])
    assert encoder.decode(ids) == text
    assert encoder.token_bytes()[ids].sum() == len(text.encode())


def test_special_ids_are_what_the_config_names(encoder):
    assert (encoder.bos_token_id, encoder.eos_token_id, encoder.pad_token_id) == (0, 1, None)
    assert encoder.vocab_size == 259


def test_special_tokens_stand_for_no_bytes(encoder):
    sizes = encoder.token_bytes()
    assert sizes.dtype == np.int32
    assert sizes.tolist() == [0, 0, 0] + [1] * 256


def test_sentencepiece_tokens_count_their_bytes(tmp_path):
    vocab = {"<unk>": 0, "▁": 1, "é": 2, "<0x0A>": 3, "▁é": 4}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[("▁", "é")], unk_token="<unk>", byte_fallback=True))
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens(["<unk>"])
    tokenizer.add_tokens(["   "])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert Encoder(tmp_path).token_bytes().tolist() == [0, 1, 2, 1, 3, 3]


def test_what_is_no_tokenizer_is_named(tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*tokenizer.json"):
        Encoder(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(InputError, match=r"is not a tokenizer\.json"):
        Encoder(tmp_path)


def test_batches_hold_about_a_mebibyte_and_keep_the_order():
    documents = [Document(str(size), "x" * size, "s") for size in (400_000, 700_000, 3_000_000, 5, 6)]
    batches = list(text_batches(iter(documents)))
    assert [[document.id for document in batch] for batch in batches] == [
        ["400000", "700000"],
        ["3000000"],
        ["5", "6"],
    ]


def test_a_unigram_model_does_not_read_special_tokens_in_text(tmp_path):
    vocab = [("<unk>", 0.0), ("</s>", 0.0), ("<", -3.0), ("/", -3.0), ("s", -3.0), (">", -3.0)]
    tokenizer = Tokenizer(models.Unigram(vocab, unk_id=0))
    tokenizer.add_special_tokens(["<unk>", "</s>"])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text('{"eos_token": "</s>"}')
    encoder = Encoder(tmp_path)
    assert encoder.encode(["</s>", "s<unk>"]) == [[2, 3, 4, 5], [4, 2, 0, 5]]
    assert (encoder.eos_token_id, encoder.decode([4, 1]), encoder.vocab_size) == (1, "s </s>", 6)
