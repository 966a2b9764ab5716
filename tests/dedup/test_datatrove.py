"""Against vectors that datatrove 0.10.1 computed: tests/dedup/vectors/make_datatrove.py."""

import builtins
import json
from pathlib import Path

import numpy as np
import pytest

from pretrain.dedup import datatrove
from pretrain.dedup.config import DedupConfig, MinHashConfig
from pretrain.dedup.shingles import ngram_set, sign_text, unit_hashes
from pretrain.errors import StageError
from tests.dedup.corpus import deduplicate, documents_of

CASES = json.loads((Path(__file__).parent / "vectors/datatrove.json").read_text(encoding="utf-8"))["cases"]
RENAMED = {"n_grams": "ngram", "num_buckets": "bands", "hashes_per_bucket": "rows", "seed": "seed"}
CONFIG = MinHashConfig(signature="datatrove")


@pytest.fixture
def spacy():
    return pytest.importorskip("spacy", reason="needs the extra pretrain[spacy]")


def sign(text, config):
    return sign_text(text, unit_hashes(text, config), config)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['text'][:20]!r}, {case['options'].get('seed', 1)}")
def test_values_are_those_of_datatrove_bit_by_bit(spacy, case):
    config = CONFIG.model_copy(update={RENAMED[name]: value for name, value in case["options"].items()})
    values = "".join(f"{value:016x}" for value in sign(case["text"], config).minima.tolist())
    if case["values"]:
        assert values == case["values"]
    else:  # fewer words than an n-gram: datatrove leaves it out, here it is compared word for word
        assert len(unit_hashes(case["text"], config)) < config.ngram
        assert len(ngram_set(case["text"], config)) == 1


def test_the_vectors_cover_both_configurations_and_a_short_text():
    assert len(CASES) == 40
    assert [case["text"] for case in CASES if not case["values"]] == ["Four short words here"]


def test_the_hash_family_is_that_of_a_seeded_random_state():
    generator = np.random.RandomState(1)
    expected = generator.randint(1, (1 << 61) - 1, dtype=np.uint64, size=(1, 112))
    multipliers, offsets = datatrove.permutations(1, 112)
    assert multipliers.tolist() == expected[0].tolist()
    assert offsets.max() < (1 << 61) - 1


@pytest.mark.parametrize(
    ("text", "simple"),
    [
        ("Call 3.14 or 1,000,000 now!", "call 0 or 0 0 now"),
        ("Ünïcödé, ٣٫٥ and “quotes”", "unicode 0 and quotes"),
        (" a\n\n\tb\u2003c ", "a b c"),
    ],
)
def test_texts_are_simplified_as_by_datatrove(text, simple):
    assert datatrove.simplify(text) == simple


def test_the_stage_runs_with_these_signatures(spacy, tmp_path):
    text = "The quick brown fox doesn't jump over the lazy dog, it's said in 2024 and again in 2025"
    texts = [text, text.upper(), text.replace("2024", "1999"), f"{text} once", "Another text of six words."]
    outcome = deduplicate(tmp_path, [documents_of(texts)], DedupConfig(exact=None, minhash=CONFIG))
    assert outcome.texts() == texts[3:]
    assert {row.reason for row in outcome.ledger} == {"near_duplicate"}


def test_without_spacy_the_message_names_what_to_install(monkeypatch):
    real = builtins.__import__

    def refuse(name, *arguments, **options):
        if name == "spacy":
            raise ImportError(name)
        return real(name, *arguments, **options)

    datatrove._tokenizer.cache_clear()
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(StageError, match=r"pip install 'pretrain\[spacy\]'"):
        datatrove.words_of("some text")
    datatrove._tokenizer.cache_clear()
