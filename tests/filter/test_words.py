import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from pretrain.filter import c4_kernels, course_kernel, lines, ngrams, scanner
from pretrain.filter.characters import character_flags
from pretrain.filter.columns import utf8_of
from pretrain.filter.ngrams import hash_word
from pretrain.filter.symbols import SYMBOLS
from pretrain.filter.textview import TextView
from pretrain.filter.words import RepeatedNgram, Words, hashes_of, sizes_of

TOKENS = st.lists(st.text(min_size=1, max_size=6) | st.sampled_from(["the", "...", "a", "，", "café", "1,000"]))


@given(TOKENS)
def test_counts_are_those_of_string_methods(tokens):
    words = Words.of(tokens)
    real = [word for word in tokens if word.strip(SYMBOLS)]
    assert words.tokens == tokens
    assert len(words) == len(tokens)
    assert words.num_real_words == len(real)
    assert words.num_real_word_chars == sum(map(len, real))
    assert words.num_alphabetic_words == sum(any(map(str.isalpha, word)) for word in tokens)


def test_words_keep_their_place_in_the_text():
    words = TextView("Don't  stop，\nall right.").words("regex")
    assert words.tokens == ["Don", "'t", "stop", "，", "all", "right", "."]
    assert words.counts["all"] == 1


@given(TOKENS, TOKENS)
def test_words_are_found_by_their_hash(tokens, wanted):
    assert Words.of(tokens).with_hashes(hashes_of(wanted)) == [word in tokens for word in wanted]


def test_a_hash_is_a_polynomial_of_the_characters_modulo_a_mersenne_prime():
    base, prime = hash_word("\x00\x00") - 1, 2**61 - 1
    assert hash_word("abc") == (98 * base**2 + 99 * base + 100) % prime
    assert hash_word("") == 0
    assert base > 2**59


def test_ngrams():
    words = Words.of(list("ababcab"))
    assert words.top_ngrams(sizes_of([1, 2, 3, 8])) == [
        RepeatedNgram(3, 0),  # "a", as often as "b", but first
        RepeatedNgram(9, 0),
        RepeatedNgram(5, 0),  # once
        RepeatedNgram(0, -1),
    ]
    assert words.duplicate_ngrams(sizes_of([1, 2, 3])) == [
        RepeatedNgram(4, 2),
        RepeatedNgram(4, 2),
        RepeatedNgram(0, -1),
    ]
    assert words.ngram(2, 2) == "a b"


def test_words_without_a_letter():
    assert Words.of(["a1", "1", "-", "é", "1"]).without_letter() == ["1", "-", "1"]


def test_each_kernel_is_compiled_for_one_combination_of_types():
    # several would share files of machine code, and two processes that compile at once could mix them up
    words = [Words.of(["a"] * 9), TextView("a b c. A\n\na").words("regex")]
    for each in words:
        each.with_hashes(hashes_of(["a"]))
        each.top_ngrams(sizes_of([2]))
        each.duplicate_ngrams(sizes_of([5]))
    for texts in (["a\nbc", "é"], [""], ["a"]):
        utf8 = utf8_of(pa.array(texts, pa.large_string()))
        course_kernel.keeps(*utf8, character_flags(), 3, 3, 0.3, float("inf"))
    modules = (c4_kernels, course_kernel, lines, ngrams, scanner)
    kernels = [value for module in modules for value in vars(module).values() if hasattr(value, "signatures")]
    assert len(kernels) >= 20
    assert all(len(kernel.signatures) <= 1 for kernel in kernels if not kernel.__name__.startswith("_"))
