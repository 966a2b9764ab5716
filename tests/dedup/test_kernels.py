import gzip
import json
import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain.dedup.kernels import (
    band_keys,
    count_common,
    hash_words,
    minhash,
    ngram_hashes,
    permutations,
    word_characters,
)
from tests.dedup.real_corpora import corpus_file

ROWS, BANDS = 8, 14
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)


def words_of(text):
    return re.findall(r"\w+", text.lower())


def mixed(value):
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB % 2**64
    return value ^ (value >> 31)


def polynomial(values, plus=0):
    total = 0
    for value in values:
        total = (total * 0x9E3779B97F4A7C15 + value + plus) % 2**64
    return total


def reference_word(word):
    value = 0xCBF29CE484222325
    for byte in word.encode():
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return mixed(value)


def reference_band_keys(text, ngram, seed):
    words = [reference_word(word) for word in words_of(text)]
    windows = [words[i : i + ngram] for i in range(len(words) - ngram + 1)] or [words]
    stream = [mixed((seed + (i + 1) * 0x9E3779B97F4A7C15) % 2**64) for i in range(2 * BANDS * ROWS)]
    rows = [
        min(((a | 1) * mixed(polynomial(window)) + b) % 2**64 >> 32 for window in windows)
        for a, b in zip(stream[::2], stream[1::2], strict=True)
    ]
    golden = 0x9E3779B97F4A7C15
    return [mixed(polynomial(rows[i : i + ROWS], plus=golden)) for i in range(0, BANDS * ROWS, ROWS)]


def test_a_hash_is_a_constant_of_the_word():
    # a change of any of these makes every stored signature useless: raise VERSION with it
    expected = ["901962260b6a34d5", "901962260b6a34d5", "e0c13ffc340b758f", "e9088bdd85d61035"]
    assert [f"{value:016x}" for value in hash_words("The the café 東京").tolist()] == expected


@pytest.mark.parametrize("text", ["one two three four five six seven", "Zwölf Boxkämpfer", "x " * 300, "日本 語"])
def test_band_keys_are_those_of_the_definition_written_out_in_plain_python(text):
    keys = band_keys(minhash(ngram_hashes(hash_words(text), 5), *permutations(1, BANDS * ROWS)), BANDS)
    assert keys.tolist() == reference_band_keys(text, 5, 1)


@settings(max_examples=300, deadline=None)
@given(TEXT)
def test_words_are_those_of_the_regular_expression(text):
    words = words_of(text)
    assert hash_words(text).tolist() == [int(hash_words(word)[0]) for word in words]


@given(TEXT, TEXT)
@settings(deadline=None)
def test_equal_hashes_mean_equal_words(left, right):
    assert (hash_words(left).tolist() == hash_words(right).tolist()) == (words_of(left) == words_of(right))


def test_the_word_characters_are_those_of_the_regular_expression():
    codes = [*range(0x3000), *range(0x1F000, 0x1F700), 0xD800, 0x10FFFF]
    table = word_characters()
    assert [bool(table[code]) for code in codes] == [bool(re.match(r"\w", chr(code))) for code in codes]


def test_no_two_words_of_a_real_vocabulary_collide():
    with gzip.open(corpus_file("eips.jsonl.gz"), "rt") as lines:
        words = {word for line in lines for word in words_of(json.loads(line)["text"])}
    assert len(words) > 20_000
    assert len({int(hash_words(word)[0]) for word in words}) == len(words)


def test_ngrams_are_windows_of_words_and_a_short_text_is_one_window():
    words = hash_words("a b c a b c a")
    trigrams = ngram_hashes(words, 3)
    assert len(trigrams) == 5
    assert trigrams[0] == trigrams[3] == ngram_hashes(hash_words("a b c"), 5)[0]
    assert len(np.unique(trigrams)) == 3
    assert len(ngram_hashes(hash_words("a"), 5)) == 1
    assert len(ngram_hashes(hash_words(""), 5)) == 0
    assert ngram_hashes(hash_words("a b"), 5)[0] != ngram_hashes(hash_words("b a"), 5)[0]


def sets_with_jaccard(rng, similarity, size=600):
    """Two sets of random 64-bit hashes; `size` values in all, of which `similarity` are in both."""
    values = rng.integers(0, 1 << 63, size, np.uint64)
    shared = round(similarity * size)
    half = shared + (size - shared) // 2
    return values[:half], np.concatenate([values[:shared], values[half:]])


@pytest.mark.parametrize("similarity", [0.1, 0.5, 0.7, 0.8, 0.9])
def test_the_share_of_equal_rows_is_an_unbiased_estimate_of_jaccard(similarity):
    rng = np.random.default_rng(0)
    family = permutations(1, 112)
    estimates = []
    for _ in range(300):
        left, right = sets_with_jaccard(rng, similarity)
        estimates.append(np.mean(minhash(left, *family) == minhash(right, *family)))
    one_estimate = (similarity * (1 - similarity) / 112) ** 0.5
    assert np.mean(estimates) == pytest.approx(similarity, abs=4 * one_estimate / 300**0.5)
    assert np.std(estimates) == pytest.approx(one_estimate, rel=0.2)


@pytest.mark.parametrize("similarity", [0.5, 0.6, 0.7, 0.8, 0.9])
def test_candidates_are_found_with_the_probability_of_the_banding_formula(similarity):
    rng = np.random.default_rng(1)
    family = permutations(1, BANDS * ROWS)
    trials = 1000
    found = 0
    for _ in range(trials):
        left, right = (band_keys(minhash(part, *family), BANDS) for part in sets_with_jaccard(rng, similarity))
        found += bool((left == right).any())
    expected = 1 - (1 - similarity**ROWS) ** BANDS
    error = (expected * (1 - expected) / trials) ** 0.5
    assert found / trials == pytest.approx(expected, abs=4 * error + 1e-9)


def test_families_of_two_seeds_differ():
    assert not np.array_equal(permutations(1, 112)[0], permutations(2, 112)[0])
    assert (permutations(1, 112)[0] % 2 == 1).all()


@settings(deadline=None)
@given(st.sets(st.integers(0, 50)), st.sets(st.integers(0, 50)))
def test_count_common_is_the_size_of_the_intersection(left, right):
    assert count_common(*(np.array(sorted(part), np.uint64) for part in (left, right))) == len(left & right)


def test_kernels_work_where_the_machine_code_cannot_be_kept(tmp_path):
    """In an install without a writable folder numba refuses its cache; each process compiles for itself."""
    program = (
        "import numba.core.caching as caching\n"
        "caching.CacheImpl._locator_classes = []\n"
        "from pretrain.dedup.kernels import hash_words\n"
        "print(len(hash_words('two words')))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.stdout, done.returncode) == ("2\n", 0), done.stderr
