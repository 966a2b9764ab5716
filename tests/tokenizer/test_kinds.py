"""Every kind of import through the stage: what it writes is one tokenizer for pack and for transformers."""

import base64

import pytest
from transformers import AutoTokenizer

from pretrain.errors import InputError
from pretrain.sequences import Encoder
from tests.tokenizer.importing import gpt2_files, reference
from tests.tokenizer.test_stage import build_tokenizer

TEXT = "It's a naïve café: 漢字 🙂 e\u0301\r\n\tdef f(x_1): return  3.14 "


def files_of(kind):
    if kind == "gpt2":
        return gpt2_files([("h", "e"), ("t", "he")])
    if kind == "tiktoken":
        return {"x.tiktoken": reference()["ranks"].encode()}
    return {"x.model": base64.b64decode(reference()["models"][kind])}


VALUES = {
    "gpt2": {"eos_token": "<|endoftext|>"},
    "tiktoken": {"tiktoken": {"pattern": "cl100k_base", "special_tokens": ["<|end|>"]}, "eos_token": "<|end|>"},
    "bpe_bytes": {},
    "bpe_symbols": {},
    "unigram": {},
    "unigram_bytes": {},
}


@pytest.mark.parametrize("kind", VALUES)
def test_each_kind_is_one_tokenizer_for_everyone(tmp_path, kind):
    (tmp_path / "outside").mkdir()
    for name, data in files_of(kind).items():
        (tmp_path / "outside" / name).write_bytes(data)
    artifact, stats = build_tokenizer(tmp_path, {"import": "outside", **VALUES[kind]}, validation=[TEXT])
    encoder = Encoder(artifact.open_folder())
    loaded = AutoTokenizer.from_pretrained(artifact.open_folder())
    assert encoder.encode([TEXT]) == [loaded.encode(TEXT, add_special_tokens=False)]
    assert loaded.eos_token_id == encoder.eos_token_id is not None
    assert len(loaded) == stats["vocab_size"]
    typed = f"x{loaded.eos_token} {loaded.eos_token}"
    assert encoder.eos_token_id not in encoder.encode([typed])[0]
    if kind != "unigram":  # it knows no bytes, and takes white space away
        assert encoder.decode(encoder.encode([typed])[0]) == typed
        assert stats["round_trip_failures"] == 0


def test_a_model_that_reads_special_tokens_in_text_is_refused(tmp_path):
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "EOS": 1, "a": 2}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(["[UNK]", "EOS"])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(InputError, match="the text 'EOS' is encoded to the special token itself"):
        build_tokenizer(tmp_path, {"import": "tokenizer.json"})


def test_options_of_another_kind_are_refused(tmp_path):
    for name, data in gpt2_files([]).items():
        (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=r"tokenizer\.sentencepiece: vocab\.json, merges\.txt is no SentencePiece"):
        build_tokenizer(tmp_path, {"import": ".", "sentencepiece": {}})


def test_an_empty_file_is_refused(tmp_path):
    for name, message in (("tokenizer.json", r"is not a tokenizer\.json"), ("x.model", "neither a SentencePiece")):
        (tmp_path / name).write_bytes(b"")
        with pytest.raises(InputError, match=message):
            build_tokenizer(tmp_path, {"import": name})


def test_a_word_of_gpt2_s_files_cannot_end_documents(tmp_path):
    for name, data in gpt2_files([("h", "e"), ("Ġ", "he")]).items():
        (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match="the text ' he' is encoded to the special token itself"):
        build_tokenizer(tmp_path, {"import": ".", "eos_token": "Ġhe"})
