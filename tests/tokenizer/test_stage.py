import json
import shutil

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoTokenizer

from pretrain.errors import InputError
from pretrain.external import Surroundings
from pretrain.filehash import FileHashes
from pretrain.runner import LocalRunner
from pretrain.sequences import Encoder
from pretrain.store import LocalStore
from pretrain.tokenizer.config import TokenizerConfig
from pretrain.tokenizer.inputs import external_inputs
from pretrain.tokenizer.stage import build
from tests.sequences.stage_inputs import (
    finished,
    make_context,
    make_documents,
    make_shard_artifact,
    shared_data,
)

TRAIN = ["the theory of the thing is that the other thing thinks"] * 20 + ["naïve 语言 🙂"] * 5
VALIDATION = ["the other <|eos|> theory", "", "naïve\r\n\ttext 🙂"]


def build_tokenizer(folder, values, train=TRAIN, validation=VALIDATION, runner=None):
    store = LocalStore(folder / "store")
    shard = make_shard_artifact(store, [make_documents(train)], [make_documents(validation)])
    config = TokenizerConfig.model_validate(values)
    found = external_inputs(config, Surroundings(folder, store, FileHashes()))
    external = {outside.name: outside for outside in found}
    context = make_context(store, "tokenizer", config, {"shard": shard}, external=external, runner=runner)
    stats = build(context)
    return finished(context, stats), stats


def test_a_trained_tokenizer_loads_and_round_trips(tmp_path):
    artifact, stats = build_tokenizer(tmp_path, {"train": {"vocab_size": 280}})
    tokenizer = AutoTokenizer.from_pretrained(artifact.open_folder())
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id) == (0, 1, 2)
    assert len(tokenizer) == stats["vocab_size"] == 280
    ids = tokenizer("the thing").input_ids
    assert 0 not in ids
    assert 1 not in ids
    assert tokenizer.decode(ids) == "the thing"
    assert tokenizer.decode(tokenizer(" a , b .").input_ids) == " a , b ."
    assert {part.path for part in artifact.manifest.parts} == {
        "data/tokenizer.json",
        "data/tokenizer_config.json",
    }


def test_the_validation_split_is_measured(tmp_path):
    artifact, stats = build_tokenizer(tmp_path, {"train": {"vocab_size": 280}})
    encoder = Encoder(artifact.open_folder())
    encoded = encoder.encode(VALIDATION)
    num_tokens, num_bytes = sum(map(len, encoded)), sum(len(text.encode()) for text in VALIDATION)
    used = {token for ids in encoded for token in ids}
    assert stats == {
        "vocab_size": 280,
        "documents": 3,
        "bytes": num_bytes,
        "validation_tokens": num_tokens,
        "bytes_per_token": round(num_bytes / num_tokens, 4),
        "bytes_per_token_by_source": {"docs": round(num_bytes / num_tokens, 4)},
        "round_trip_failures": 0,
        "round_trip_failure_ids": [],
        "unused_tokens": 277 - len(used),
    }


def test_an_empty_validation_split_has_no_ratio(tmp_path):
    store = LocalStore(tmp_path)
    shard = make_shard_artifact(store, [make_documents(TRAIN)], [])
    config = TokenizerConfig.model_validate({"train": {"vocab_size": 280}})
    stats = build(make_context(store, "tokenizer", config, {"shard": shard}))
    assert (stats["documents"], stats["bytes_per_token"], stats["unused_tokens"]) == (0, None, 277)


def test_more_special_tokens_are_kept(tmp_path):
    values = {"train": {"vocab_size": 300, "special_tokens": ["<|user|>"]}, "eos_token": "<|end|>"}
    artifact, _ = build_tokenizer(tmp_path, values)
    tokenizer = AutoTokenizer.from_pretrained(artifact.open_folder())
    assert tokenizer.eos_token == "<|end|>"
    assert tokenizer("a<|user|>").input_ids[-1] == 3
    [ids] = Encoder(artifact.open_folder()).encode(["a<|user|>"])
    assert 3 not in ids


def test_bytes_do_not_depend_on_the_number_of_workers(tmp_path):
    values = {"train": {"vocab_size": 300}}
    inline, _ = build_tokenizer(tmp_path / "a", values)
    with LocalRunner(2) as runner:
        pooled, _ = build_tokenizer(tmp_path / "b", values, runner=runner)
    assert [part.sha256 for part in inline.parts()] == [part.sha256 for part in pooled.parts()]


@pytest.fixture
def outside(tmp_path):
    """A tokenizer folder as others publish it, without any config."""
    artifact, _ = build_tokenizer(tmp_path / "made", {"train": {"vocab_size": 280}})
    folder = tmp_path / "outside"
    folder.mkdir()
    shutil.copy(artifact.open_part("data/tokenizer.json"), folder)
    return folder


def test_an_imported_tokenizer_is_kept_byte_for_byte(tmp_path, outside):
    values = {"import": "outside", "bos_token": "<|bos|>", "eos_token": "<|eos|>"}
    artifact, stats = build_tokenizer(tmp_path, values)
    original = (outside / "tokenizer.json").read_bytes()
    assert artifact.open_part("data/tokenizer.json").read_bytes() == original
    tokenizer = AutoTokenizer.from_pretrained(artifact.open_folder())
    assert (tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token) == ("<|bos|>", "<|eos|>", None)
    assert (stats["vocab_size"], stats["round_trip_failures"]) == (280, 0)


def test_special_tokens_come_from_recipe_then_config_then_map(tmp_path, outside):
    (outside / "tokenizer_config.json").write_text(
        json.dumps({"bos_token": {"content": "<|pad|>"}, "eos_token": "<|pad|>", "auto_map": {"x": "y.Z"}})
    )
    (outside / "special_tokens_map.json").write_text(
        json.dumps({"eos_token": "<|bos|>", "pad_token": {"content": "<|pad|>"}})
    )
    artifact, _ = build_tokenizer(tmp_path, {"import": "outside", "bos_token": "<|bos|>"})
    encoder = Encoder(artifact.open_folder())
    assert (encoder.bos_token_id, encoder.eos_token_id, encoder.pad_token_id) == (0, 2, 2)
    assert "auto_map" not in json.loads(artifact.open_part("data/tokenizer_config.json").read_bytes())
    assert [part.path for part in artifact.parts()] == ["data/tokenizer.json", "data/tokenizer_config.json"]


def test_a_special_token_outside_the_vocabulary_is_refused(tmp_path, outside):
    with pytest.raises(InputError, match=r"eos_token '</s>' is not in the vocabulary of 280 tokens"):
        build_tokenizer(tmp_path, {"import": "outside", "eos_token": "</s>"})


def test_a_file_that_is_no_tokenizer_is_refused(tmp_path, outside):
    (outside / "tokenizer.json").write_text('{"version": "1.0"}')
    with pytest.raises(InputError, match=r"is not a tokenizer\.json"):
        build_tokenizer(tmp_path, {"import": "outside"})


def test_a_config_that_is_no_json_is_refused(tmp_path, outside):
    (outside / "tokenizer_config.json").write_text("{")
    with pytest.raises(InputError, match=r"tokenizer_config\.json is not valid JSON"):
        build_tokenizer(tmp_path, {"import": "outside"})


def without_tokens(folder, tokens):
    """The tokenizer.json of a folder without some tokens, their ids and merges."""
    definition = json.loads((folder / "tokenizer.json").read_text())
    model = definition["model"]
    model["merges"] = [pair for pair in model["merges"] if not any(token in "".join(pair) for token in tokens)]
    model["vocab"] = {name: n for name, n in model["vocab"].items() if not any(token in name for token in tokens)}
    (folder / "tokenizer.json").write_text(json.dumps(definition))
    return definition


@pytest.mark.parametrize("lost", [["q"], ["q", "Ã"], ["Ċ"]])
def test_a_tokenizer_that_would_drop_bytes_of_texts_is_refused(tmp_path, outside, lost):
    definition = without_tokens(outside, lost)
    with pytest.raises(InputError, match=rf"no token for {len(lost)} of the bytes .*such as '{lost[0]}'"):
        build_tokenizer(tmp_path, {"import": "outside"})
    definition["model"]["vocab"]["[UNK]"] = 280
    definition["model"]["unk_token"] = "[UNK]"  # what it does not know is seen
    (outside / "tokenizer.json").write_text(json.dumps(definition))
    build_tokenizer(tmp_path, {"import": "outside"})


def test_bytes_that_occur_in_no_text_or_are_normalized_away_may_be_absent(tmp_path, outside):
    never = [chr(byte) for byte in (0xC0, 0xC1, *range(0xF5, 0x100))]
    definition = without_tokens(outside, [*never, *"ABCDEFGHIJKLMNOPQRSTUVWXYZ"])
    with pytest.raises(InputError, match="no token for 26 of the bytes"):
        build_tokenizer(tmp_path, {"import": "outside"})
    definition["normalizer"] = {"type": "Lowercase"}
    (outside / "tokenizer.json").write_text(json.dumps(definition))
    build_tokenizer(tmp_path, {"import": "outside"})


def test_a_published_tokenizer_file_is_imported(tmp_path):
    path = shared_data("tokenizers/gpt-neox-olmo-dolma-v1_5.json")
    artifact, stats = build_tokenizer(tmp_path, {"import": str(path), "eos_token": "<|endoftext|>"})
    reference = AutoTokenizer.from_pretrained(artifact.open_folder())
    encoder = Encoder(artifact.open_folder())
    assert encoder.encode(TRAIN) == reference(TRAIN, add_special_tokens=False).input_ids
    assert reference.eos_token_id == encoder.eos_token_id
    sizes = encoder.token_bytes()
    assert [sizes[ids].sum() for ids in encoder.encode(TRAIN)] == [len(text.encode()) for text in TRAIN]
    assert stats["round_trip_failures"] == 0


@pytest.mark.parametrize("token", ["Ġ", "e", "Ġth"])
def test_a_token_of_ordinary_text_neither_begins_nor_ends_documents(tmp_path, outside, token):
    for role in ("bos_token", "eos_token", "pad_token"):
        with pytest.raises(InputError, match=f"'{token}' begins, ends or pads documents, but is not marked as special"):
            build_tokenizer(tmp_path, {"import": "outside", role: token})


def test_a_token_that_is_not_marked_as_special_cannot_end_documents(tmp_path, outside):
    definition = json.loads((outside / "tokenizer.json").read_text())
    for token in definition["added_tokens"]:
        token["special"] = False
    (outside / "tokenizer.json").write_text(json.dumps(definition))
    with pytest.raises(InputError, match=r"'<\|eos\|>' begins, ends or pads documents, but is not marked as special"):
        build_tokenizer(tmp_path, {"import": "outside", "eos_token": "<|eos|>"})


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ('{"eos_token": 5}', r"has eos_token '5': write it as a string"),
        ('{"eos_token": {"lstrip": false}}', r"has eos_token .*: write it as a string"),
        ('{"eos_token": "\\ud800"}', r"half a character"),
        ('{"tokenizer_class": 7}', r"transformers cannot load it"),
        ('{"tokenizer_class": "BertTokenizer"}', r"transformers cannot load it"),
        ('{"added_tokens_decoder": []}', r"transformers cannot load it"),
        ('{"model_max_length": "x"}', r"transformers cannot load it"),
        ("[" * 100_000, r"tokenizer_config\.json is not valid JSON"),
    ],
)
def test_a_config_of_any_content_is_refused_in_words(tmp_path, outside, config, message):
    (outside / "tokenizer_config.json").write_text(config)
    with pytest.raises(InputError, match=message):
        build_tokenizer(tmp_path, {"import": "outside"})


def test_an_id_far_beyond_the_vocabulary_is_refused_before_anything_of_that_size_is_made(tmp_path, outside):
    definition = json.loads((outside / "tokenizer.json").read_text())
    definition["model"]["vocab"]["zzzz"] = 4_000_000_000
    (outside / "tokenizer.json").write_text(json.dumps(definition))
    with pytest.raises(InputError, match=r"an id of its 281 tokens is 4,000,000,000"):
        build_tokenizer(tmp_path, {"import": "outside"})


@pytest.mark.parametrize(
    "config",
    [
        {"added_tokens_decoder": {"280": {"content": "on the", "special": False}}},
        {"additional_special_tokens": ["<|more|>"]},
        {"tokenizer_class": "GPT2Tokenizer"},  # which adds its own <|endoftext|>
    ],
)
def test_tokens_that_transformers_would_add_are_refused(tmp_path, outside, config):
    (outside / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=r"transformers loads it with 1 tokens more .* with id 280"):
        build_tokenizer(tmp_path, {"import": "outside"})


def test_what_stands_for_unknown_text_cannot_end_documents_but_may_pad_them(tmp_path):
    tokenizer = Tokenizer(models.WordLevel({"<unk>": 0, "the": 1}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(["<unk>"])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(InputError, match="is encoded to the special token itself"):
        build_tokenizer(tmp_path, {"import": "tokenizer.json", "eos_token": "<unk>"})
    artifact, _ = build_tokenizer(tmp_path, {"import": "tokenizer.json", "pad_token": "<unk>"})
    assert Encoder(artifact.open_folder()).pad_token_id == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {"type": "Unigram", "unk_id": None, "vocab": [["a", 0.0]]}}, "cannot encode text with it"),
        ({"normalizer": {"type": "Precompiled", "precompiled_charsmap": ""}}, "cannot encode text with it"),
        ({"model": {"type": "BPE", "dropout": 0.1, "vocab": {"a": 0}, "merges": []}}, r"at random \(dropout 0\.1"),
    ],
)
def test_a_model_that_fails_on_a_text_or_is_random_is_refused(tmp_path, outside, changes, message):
    definition = json.loads((outside / "tokenizer.json").read_text())
    (outside / "tokenizer.json").write_text(json.dumps({**definition, **changes}))
    with pytest.raises(InputError, match=message):
        build_tokenizer(tmp_path, {"import": "outside"})
