"""gigatoken's ids are those of tokenizers on every text that is tried, and where they would not be, it is not used."""

import gzip
import json
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from pretrain.sequences.batch_encoder import (
    FIRST_CHARS,
    HARD_TEXTS,
    SAMPLED_SHARE,
    EncodersDiffer,
    PlainBatchEncoder,
    WatchedBatchEncoder,
    forget_loaded_tokenizers,
    open_batch_encoder,
)
from pretrain.sequences.encoder import Encoder
from tests.sequences.stage_inputs import shared_data
from tests.sequences.test_encoder import write_byte_tokenizer
from tests.tiny import prose
from tests.tokenizer.importing import converted

gigatoken = pytest.importorskip("gigatoken", reason="gigatoken is not installed: `pip install 'pretrain[gigatoken]'`")


class Shifted:
    """gigatoken, but for one word, at which every id is one too large: a fault that only some texts show."""

    def __init__(self, folder, word):
        definition = json.loads((folder / "tokenizer.json").read_text())
        definition.update(added_tokens=[], truncation=None, padding=None, post_processor=None)
        self._real = gigatoken.Tokenizer.from_json(json.dumps(definition))
        self._word = word

    def encode_batch(self, texts, *, parallel):
        encoded = self._real.encode_batch(texts, parallel=parallel)
        shift = np.repeat([self._word in text for text in texts], np.diff(encoded.layout.offsets.data))
        encoded.layout.content.data[:] += shift.astype(np.uint32)
        return encoded


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A byte-level BPE of 2,000 tokens with special tokens, as the tokenizer stage trains one."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|bos|>", "<|eos|>", "<|pad|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=2000,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(prose(400), trainer)
    folder = tmp_path_factory.mktemp("trained")
    (folder / "tokenizer.json").write_text(tokenizer.to_str())
    (folder / "tokenizer_config.json").write_text(json.dumps({"bos_token": special[0], "eos_token": special[1]}))
    return folder


@pytest.fixture(autouse=True)
def nothing_loaded():
    """What a process has loaded already is no test's concern."""
    forget_loaded_tokenizers()


def ids_of(encoder, texts):
    """The ids of each text, as lists."""
    tokens = encoder.encode(texts)
    assert tokens.ids.dtype == np.uint32
    return [ids.tolist() for ids in np.split(tokens.ids, np.cumsum(tokens.lengths)[:-1])]


def assert_equal_ids(folder, texts):
    watched, plain = open_batch_encoder(folder), Encoder(folder)
    assert watched.name == "gigatoken"
    assert ids_of(watched, texts) == ids_of(PlainBatchEncoder(plain), texts) == plain.encode(texts)


def test_prose_and_what_is_hard_to_split(folder):
    assert_equal_ids(folder, [*prose(200), *HARD_TEXTS])


@settings(max_examples=300, deadline=None)
@given(texts=st.lists(st.text(max_size=60), min_size=1, max_size=5))
def test_any_text(folder, texts):
    assert_equal_ids(folder, texts)


def test_special_tokens_that_an_author_typed_are_text(folder):
    [ids] = ids_of(open_batch_encoder(folder), ["<|bos|>no<|eos|>"])
    assert not {0, 1, 2} & set(ids)


def test_no_text_and_empty_texts(folder):
    for encoder in (open_batch_encoder(folder), PlainBatchEncoder(Encoder(folder))):
        assert [array.tolist() for array in encoder.encode([])] == [[], []]
        assert [array.tolist() for array in encoder.encode(["", ""])] == [[], [0, 0]]


def test_a_published_tokenizer_that_frames_cuts_and_pads(tmp_path):
    assert_equal_ids(write_byte_tokenizer(tmp_path), prose(20))


def real_texts():
    """Paragraphs of 74 languages, and code."""
    for name, most in (("lang/langid_shared.jsonl.gz", 3000), ("code/github_sample.jsonl.gz", 100)):
        with gzip.open(shared_data(name), "rt", encoding="utf-8") as file:
            rows = [json.loads(line) for line in file]
        yield from (row["text"][:3000] for row in rows[:: max(1, len(rows) // most)])


RANKS = {"tiktoken": {"pattern": "cl100k_base", "special_tokens": ["<|end|>"]}}
AS_IT_IS = {"sentencepiece": {"normalizer": "precompiled"}}


@pytest.mark.parametrize(
    ("names", "values", "encoder"),
    [
        ({"tokenizer.json": "gpt-neox-olmo-dolma-v1_5.json"}, {}, "gigatoken"),
        ({"vocab.json": "gpt2/encoder.json", "merges.txt": "gpt2/vocab.bpe"}, {}, "gigatoken"),
        ({"tokenizer.model": "tiktoken_small.model"}, RANKS, "gigatoken"),
        # a letter outside its vocabulary is an unknown token, which gigatoken has none of
        ({"tokenizer.json": "tiny_tokenizer.json"}, {}, "tokenizers"),
        ({"tokenizer.model": "tiny_sentencepiece.model"}, AS_IT_IS, "tokenizers"),
        ({"tokenizer.model": "t5_sentencepiece.model"}, AS_IT_IS, "tokenizers"),
    ],
)
def test_74_languages_code_and_hard_texts_with_every_shared_tokenizer(tmp_path, names, values, encoder):
    files = {name: shared_data(f"tokenizers/{shared}").read_bytes() for name, shared in names.items()}
    plain = converted(tmp_path / "hf", files, **values)
    fast = open_batch_encoder(tmp_path / "hf")
    assert fast.name == encoder
    texts = [*real_texts(), *HARD_TEXTS]
    assert ids_of(fast, texts) == plain.encode(texts)


def test_without_gigatoken_the_ids_are_the_same(folder, monkeypatch):
    expected = ids_of(open_batch_encoder(folder), prose(20))
    monkeypatch.setitem(sys.modules, "gigatoken", None)
    forget_loaded_tokenizers()
    encoder = open_batch_encoder(folder)
    assert encoder.name == "tokenizers"
    assert ids_of(encoder, prose(20)) == expected


def test_other_ids_for_a_hard_text_are_found_before_anything_is_encoded(folder, monkeypatch):
    monkeypatch.setattr("pretrain.sequences.batch_encoder._gigatoken", lambda path: Shifted(folder, "ﬁ"))
    assert open_batch_encoder(folder).name == "tokenizers"


def test_a_text_at_which_it_panics_is_one_that_it_does_not_encode(folder):
    class PanicException(BaseException):
        pass

    class Panicking(Shifted):
        def encode_batch(self, texts, *, parallel):
            raise PanicException("index out of bounds")

    with pytest.raises(EncodersDiffer):
        WatchedBatchEncoder(Panicking(folder, "zebra"), Encoder(folder)).encode(["a text"])


def test_other_ids_are_found_among_the_first_texts(folder):
    texts = [*prose(40), "a zebra", *prose(400)]
    assert sum(map(len, texts[:41])) < FIRST_CHARS
    with pytest.raises(EncodersDiffer) as caught:
        WatchedBatchEncoder(Shifted(folder, "zebra"), Encoder(folder)).encode(texts)
    assert caught.value.text == "a zebra"


def test_other_ids_are_found_among_what_is_sampled_of_the_rest(folder):
    encoder = WatchedBatchEncoder(Shifted(folder, "zebra"), Encoder(folder))
    encoder.encode(["plain " * 11_000])
    num_chars = 0
    with pytest.raises(EncodersDiffer):
        for _ in range(200):
            encoder.encode(["a zebra " * 250] * 10)
            num_chars += 20_000
    assert num_chars < 5 * 4096 / SAMPLED_SHARE


def test_the_share_that_is_compared(folder):
    class Counted(Encoder):
        num_chars = 0

        def encode(self, texts):
            self.num_chars += sum(map(len, texts))
            return super().encode(texts)

    counted = Counted(folder)
    encoder = WatchedBatchEncoder(Shifted(folder, "zebra"), counted)
    texts = prose(1000)
    for _ in range(20):
        encoder.encode(texts)
    total = 20 * sum(map(len, texts))
    assert counted.num_chars == pytest.approx(FIRST_CHARS + SAMPLED_SHARE * total, abs=4096)


def test_a_tokenizer_is_loaded_once_and_anew_after_much_text(folder, monkeypatch):
    first = open_batch_encoder(folder)
    first.encode(prose(100))
    again = open_batch_encoder(folder)
    assert again.backend is first.backend
    monkeypatch.setattr("pretrain.sequences.batch_encoder.RELOAD_CHARS", 10_000)
    assert open_batch_encoder(folder).backend is not first.backend


def test_another_tokenizer_under_the_same_name_is_another(tmp_path):
    write_byte_tokenizer(tmp_path)
    assert_equal_ids(tmp_path, ["text"])

    def renumbered(definition):
        vocab = definition["model"]["vocab"]
        vocab["t"], vocab["e"] = vocab["e"], vocab["t"]
        return definition | {"version": "1.0 "[:3]}

    write_byte_tokenizer(tmp_path, renumbered)
    assert_equal_ids(tmp_path, ["text"])
