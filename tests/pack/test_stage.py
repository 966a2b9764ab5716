import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoTokenizer

from pretrain.artifact import Artifact, Manifest
from pretrain.documents import Document, document_id
from pretrain.errors import RecipeError, StageError
from pretrain.pack.bigram import bigram_loss
from pretrain.pack.config import PackConfig
from pretrain.pack.stage import build
from pretrain.pack.unigram import unigram_loss
from pretrain.runner import InlineRunner, LocalRunner
from pretrain.sequences import TokenSequences, read_index, read_token_bytes
from pretrain.sequences.encoder import byte_alphabet
from pretrain.stage import UnitFiles
from pretrain.store import LocalStore
from tests.sequences.stage_inputs import (
    finished,
    make_context,
    make_documents,
    make_shard_artifact,
    pep_documents,
)

SPECIAL = ["<|bos|>", "<|eos|>", "<|pad|>"]
MERGES = [("t", "h"), ("th", "e"), ("Ġ", "the"), ("Ġ", "a")]


def make_tokenizer_artifact(store, roles=("bos_token", "eos_token", "pad_token"), num_more_tokens=0):
    """Bytes and four merges; `num_more_tokens` unused entries make a large vocabulary."""
    pieces = [*SPECIAL, *byte_alphabet(), *("".join(merge) for merge in MERGES)]
    pieces += [f"unused-{index}" for index in range(num_more_tokens)]
    tokenizer = Tokenizer(models.BPE(vocab={piece: i for i, piece in enumerate(pieces)}, merges=MERGES))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(SPECIAL)
    files = UnitFiles(store, "tokenizer/upstream")
    with files.create("data/tokenizer.json") as output:
        output.path.write_text(tokenizer.to_str())
    named = dict(zip(("bos_token", "eos_token", "pad_token"), SPECIAL, strict=True))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", **{role: named[role] for role in roles}}
    with files.create("data/tokenizer_config.json") as output:
        output.path.write_text(json.dumps(config))
    manifest = Manifest(
        stage="tokenizer",
        stage_version=1,
        fingerprint="upstream",
        inputs=[],
        config={},
        parts=files.written,
        stats={},
        provenance={},
    )
    artifact = Artifact(store, manifest)
    store.write_bytes(f"{artifact.key}/manifest.json", manifest.to_bytes())  # where workers read it
    return artifact


def pack(folder, train, validation, config, runner=None, **tokenizer):
    """The pack artifact of parts of texts or documents, its stats, and the tokenizer artifact."""
    store = LocalStore(folder)

    def parts(of):
        return [
            part if part and isinstance(part[0], Document) else make_documents(part, f"source-{number}")
            for number, part in enumerate(of)
        ]

    inputs = {
        "shard": make_shard_artifact(store, parts(train), parts(validation)),
        "tokenizer": make_tokenizer_artifact(store, **tokenizer),
    }
    context = make_context(store, "pack", config, inputs, runner=runner)
    stats = build(context)
    del stats["measured"]  # as the engine does, which keeps it beside what two runs have to agree on
    return finished(context, stats), stats, inputs["tokenizer"]


def course_packing(tokenizer, texts, max_seq_length):
    """The course's packing, step by step as its third lesson describes it (one shard of the dataset, no map)."""
    input_ids = []
    for text in texts:
        tokens = tokenizer.convert_tokens_to_ids(tokenizer.tokenize(text))
        input_ids.append([tokenizer.bos_token_id, *tokens, tokenizer.eos_token_id])
    concatenated = np.concatenate(input_ids)
    total_length = len(concatenated) - len(concatenated) % max_seq_length
    return concatenated[:total_length].reshape(-1, max_seq_length).astype(np.int32)


def test_real_text_is_packed_as_the_course_packs_it(tmp_path):
    documents = pep_documents(60)
    config = PackConfig(sequence_length=32)
    artifact, stats, tokenizer = pack(tmp_path, [documents[:20], documents[20:21], documents[21:]], [], config)
    reference = AutoTokenizer.from_pretrained(tokenizer.open_folder())
    expected = course_packing(reference, [document.text for document in documents], 32)
    exported = np.concatenate(
        [
            np.stack(pq.read_table(artifact.open_part(part))["input_ids"].to_numpy())
            for part in artifact.parts("export/train/")
        ]
    )
    assert exported.dtype == np.int32
    assert np.array_equal(exported, expected)
    sequences = TokenSequences.from_artifact(artifact, "train")
    assert np.array_equal(sequences.batch(range(len(sequences))), expected)
    assert stats["sequences"] == len(expected) > 10_000


def test_counts_by_hand(tmp_path):
    # " the" and " a" are one token each, so the parts hold bos a Ġthe eos, bos b eos; and bos the eos.
    config = PackConfig(sequence_length=4)
    artifact, stats, _ = pack(tmp_path, [["a the", "b"], ["the"]], [["a the"]], config)
    assert stats == {
        "documents_in": 4,
        "bytes_in": 14,
        "tokens": 14,
        "sequences": 3,
        "sequence_length": 4,
        "tokens_dropped": 2,
        "tokens_padded": 0,
        "packing_efficiency": 1.0,
        "tokens_by_split": {"train": 10, "validation": 4},
        "sequences_by_split": {"train": 2, "validation": 1},
        "tokens_dropped_by_split": {"train": 2, "validation": 0},
        "tokens_padded_by_split": {"train": 0, "validation": 0},
        "documents_cut": 1,  # "the" begins in the last sequence and ends in the tail
        "tokens_by_source": {"source-0": 11, "source-1": 3},
        "vocab_size": 263,
        "unigram_loss": stats["unigram_loss"],
        "bigram_loss": stats["bigram_loss"],
    }
    byte = {character: 3 + index for index, character in enumerate(byte_alphabet())}
    assert TokenSequences.from_artifact(artifact, "train").batch([0, 1]).tolist() == [
        [0, byte["a"], 261, 1],
        [0, byte["b"], 1, 0],
    ]
    counts = np.zeros((2, 263), dtype=int)
    np.add.at(counts[0], [0, byte["a"], 261, 1, 0, byte["b"], 1, 0, 260, 1], 1)
    np.add.at(counts[1], [0, byte["a"], 261, 1], 1)
    assert stats["unigram_loss"] == unigram_loss(counts[0].tolist(), counts[1].tolist())
    train = np.array([0, byte["a"], 261, 1, 0, byte["b"], 1, 0, 260, 1])
    assert stats["bigram_loss"] == bigram_loss(train, np.array([0, byte["a"], 261, 1]), 263)


def test_the_index_says_what_lies_where(tmp_path):
    config = PackConfig(sequence_length=4)
    artifact, _, _ = pack(tmp_path, [["a the", "b"], ["the"]], [["a the"]], config)
    assert read_index(artifact).model_dump() == {
        "schema_version": 2,
        "layout": "concat",
        "isolate_documents": False,
        "dtype": "uint16",
        "vocab_size": 263,
        "sequence_length": 4,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "pad_token_id": 2,
        "splits": {
            "train": {
                "parts": [
                    {"path": "data/train/part-00000.tokens", "tokens": 7, "documents": 2, "sequences": 0},
                    {"path": "data/train/part-00001.tokens", "tokens": 3, "documents": 1, "sequences": 0},
                ],
                "tokens": 10,
                "sequences": 2,
                "tokens_dropped": 2,
                "tokens_padded": 0,
            },
            "validation": {
                "parts": [{"path": "data/validation/part-00000.tokens", "tokens": 4, "documents": 1, "sequences": 0}],
                "tokens": 4,
                "sequences": 1,
                "tokens_dropped": 0,
                "tokens_padded": 0,
            },
        },
    }
    lengths = pq.read_table(artifact.open_part("data/train/part-00000.documents.parquet")).to_pylist()
    assert lengths == [
        {"id": document_id("source-0", "file", 0), "num_tokens": 4},
        {"id": document_id("source-0", "file", 1), "num_tokens": 3},
    ]
    assert artifact.part("data/train/part-00000.tokens").bytes == 14
    sizes = read_token_bytes(artifact)
    assert sizes.tolist() == [0, 0, 0] + [1] * 256 + [2, 3, 4, 2]


texts = st.lists(st.text(max_size=30) | st.sampled_from(["the", "", "<|eos|> the", "a\r\n"]), max_size=6)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    train=st.lists(texts, min_size=1, max_size=4),
    validation=st.lists(texts, max_size=2),
    length=st.integers(2, 9),
    bos=st.booleans(),
    eos=st.booleans(),
)
def test_every_token_is_in_a_sequence_or_in_the_counted_tail(tmp_path_factory, train, validation, length, bos, eos):
    folder = tmp_path_factory.mktemp("pack")
    train = [["enough text for one sequence"], *train]
    config = PackConfig(sequence_length=length, bos=bos, eos=eos)
    artifact, stats, tokenizer = pack(folder, train, validation, config)
    plain = Tokenizer.from_file(str(tokenizer.open_part("data/tokenizer.json")))
    plain.encode_special_tokens = True
    for split, parts in (("train", train), ("validation", validation)):
        stream = [
            token
            for text in (text for part in parts for text in part)
            for token in [0] * bos + plain.encode(text).ids + [1] * eos
        ]
        sequences = TokenSequences.from_artifact(artifact, split)
        kept = sequences.batch(range(len(sequences))).ravel().tolist()
        dropped = stats["tokens_dropped_by_split"][split]
        assert len(kept) + dropped == stats["tokens_by_split"][split] == len(stream)
        assert kept == stream[: len(stream) - dropped]
        assert dropped < length
        exported = [
            row
            for part in artifact.parts(f"export/{split}/")
            for row in pq.read_table(artifact.open_part(part))["input_ids"].to_pylist()
        ]
        assert [token for row in exported for token in row] == kept
    shutil.rmtree(folder)


def test_an_author_s_special_token_is_text(tmp_path):
    text = "write <|eos|> to end <|bos|>"
    config = PackConfig(sequence_length=2)
    artifact, _, tokenizer = pack(tmp_path, [[text]], [], config)
    sequences = TokenSequences.from_artifact(artifact, "train")
    stream = sequences.stream.read(0, len(sequences.stream)).tolist()
    assert (stream[0], stream[-1]) == (0, 1)
    assert not set(stream[1:-1]) & {0, 1, 2}
    assert AutoTokenizer.from_pretrained(tokenizer.open_folder()).decode(stream[1:-1]) == text


def test_datasets_loads_the_export(tmp_path):
    artifact, stats, _ = pack(tmp_path, [["the thing"] * 9, ["a"] * 5], [["the"] * 4], PackConfig(sequence_length=8))
    files = {
        split: [str(artifact.open_part(part)) for part in artifact.parts(f"export/{split}/")]
        for split in ("train", "validation")
    }
    loaded = load_dataset("parquet", data_files=files, cache_dir=str(tmp_path / "cache"))
    assert {split: rows.num_rows for split, rows in loaded.items()} == stats["sequences_by_split"]
    assert loaded["train"].features["input_ids"].feature.dtype == "int32"
    expected = TokenSequences.from_artifact(artifact, "train")[3].tolist()
    assert loaded["train"][3]["input_ids"] == expected


def test_the_export_can_be_switched_off(tmp_path):
    config = PackConfig(sequence_length=2, export_parquet=False)
    artifact, _, _ = pack(tmp_path, [["the thing"]], [], config)
    assert artifact.parts("export/") == []
    assert artifact.parts("data/")


def test_a_vocabulary_above_65536_takes_uint32(tmp_path):
    config = PackConfig(sequence_length=2)
    artifact, _, _ = pack(tmp_path, [["the thing"]], [], config, num_more_tokens=66_000)
    assert read_index(artifact).dtype == "uint32"
    assert artifact.part("data/train/part-00000.tokens").bytes % 4 == 0
    sequences = TokenSequences.from_artifact(artifact, "train")
    assert sequences[0].tolist()[0] == 0


@pytest.mark.parametrize("validation", [[], [[]], [["a"]]])
def test_a_validation_split_without_a_sequence_is_no_trouble(tmp_path, validation):
    artifact, stats, _ = pack(tmp_path, [["the thing"] * 5], validation, PackConfig(sequence_length=8))
    assert stats["sequences_by_split"]["validation"] == 0
    assert len(TokenSequences.from_artifact(artifact, "validation")) == 0
    assert artifact.parts("export/validation/") == []
    assert (stats["unigram_loss"] is None) == (validation != [["a"]])


def test_too_little_text_for_one_sequence_is_an_error(tmp_path):
    with pytest.raises(StageError, match="the train split has 5 tokens, less than one sequence of 8"):
        pack(tmp_path, [["abc"]], [], PackConfig(sequence_length=8))


def test_a_token_that_the_tokenizer_does_not_name_is_an_error(tmp_path):
    config = PackConfig(sequence_length=2)
    with pytest.raises(RecipeError, match=r"pack.eos is true, but the tokenizer names no eos token"):
        pack(tmp_path / "a", [["the"]], [], config, roles=("bos_token",))
    without = config.model_copy(update={"eos": False})
    artifact, _, _ = pack(tmp_path / "b", [["the thing"]], [], without, roles=("bos_token",))
    assert read_index(artifact).eos_token_id is None


def test_a_lost_part_is_encoded_again_alone(tmp_path):
    config = PackConfig(sequence_length=4)
    first, stats, tokenizer = pack(tmp_path, [["the thing"] * 3, ["a"] * 5, ["the"]], [["a the"]], config)
    store = first.store
    store.delete(f"{first.key}/data/train/part-00001.tokens")
    store.delete(f"{first.key}/scratch")
    computed = []

    class RecordingRunner(InlineRunner):
        def map(self, function, payloads):
            for name, payload in payloads:
                computed.append(name)
                yield name, function(payload)

    train = [["the thing"] * 3, ["a"] * 5, ["the"]]
    parts = [make_documents(texts, f"source-{number}") for number, texts in enumerate(train)]
    shard = make_shard_artifact(store, parts, [make_documents(["a the"], "source-0")])
    inputs = {"shard": shard, "tokenizer": tokenizer}
    again = make_context(store, "pack", config, inputs, runner=RecordingRunner())
    rebuilt = build(again)
    assert rebuilt.pop("measured") and rebuilt == stats
    assert [name for name in computed if not name.startswith(("count-", "bigram"))] == ["encode-train-part-00001"]
    assert finished(again, rebuilt).manifest.content() == first.manifest.content()


def test_bytes_do_not_depend_on_the_number_of_workers(tmp_path):
    train = [["the thing", "a"] * 50, ["the"] * 70, ["naïve 语言"] * 30]
    config = PackConfig(sequence_length=16)
    inline, stats, _ = pack(tmp_path / "a", train, [["a the"] * 20], config)
    with LocalRunner(4) as runner:
        pooled, pooled_stats, _ = pack(tmp_path / "b", train, [["a the"] * 20], config, runner=runner)
    assert inline.manifest.content() == pooled.manifest.content()
    assert stats == pooled_stats
