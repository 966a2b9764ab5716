import sys
import unicodedata

import numpy as np
import pytest

from pretrain.decontaminate.kernels import fold_codes, split_words, word_spans
from pretrain.decontaminate.normalization import SEPARATOR, WORD_BY_ITSELF, fold_table


def words(text):
    data = np.frombuffer(text.encode(), np.uint8)
    starts, ends, _ = split_words(data, fold_table())
    return [data[start:end].tobytes().decode() for start, end in zip(starts, ends, strict=True)]


def folded(word):
    codes = fold_codes(np.frombuffer(word.encode(), np.uint8), fold_table())
    return "".join(chr(code % WORD_BY_ITSELF) for code in codes)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" .\n—", []),
        ("Don't stop_now, v2.0!", ["Don", "t", "stop", "now", "v2", "0"]),
        ("soft\u00adhyphen zero\u200djoined", ["soft\u00adhyphen", "zero\u200djoined"]),
        ("三毛は3匹いる ok", ["三", "毛", "は", "3", "匹", "い", "る", "ok"]),
        ("ภาษา", ["ภ", "า", "ษ", "า"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("한국어 문장", ["한국어", "문장"]),
    ],
)
def test_words(text, expected):
    assert words(text) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ÉCOLE", "e\u0301cole"),
        ("ΟΔΟΣ", "οδός"),
        ("ｆｕｌｌ", "full"),
        ("ẞ", "ß"),
        ("Ёлка", "елка"),
        ("が", "か\u3099"),
        ("İ", "i"),
    ],
)
def test_spellings_of_one_word(one, other):
    assert folded(one) == folded(other)


def test_word_characters_are_those_of_python_s_w_but_for_the_underscore_and_marks():
    table = fold_table()
    in_words = (table != SEPARATOR).tolist()
    differ = [
        chr(code) for code in range(sys.maxunicode + 1) if in_words[code] != (chr(code).isalnum() or code == ord("_"))
    ]
    assert {unicodedata.category(character) for character in differ} == {"Pc", "Mn", "Me", "Mc", "Cf"}
    assert [character for character in differ if unicodedata.category(character) == "Pc"] == ["_"]


def test_spans_of_chosen_words():
    data = np.frombuffer("ein Ärger, zwei".encode(), np.uint8)
    assert word_spans(data, fold_table(), np.array([1, 2])).tolist() == [[4, 10], [12, 16]]
