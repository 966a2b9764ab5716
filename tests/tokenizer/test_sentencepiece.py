import base64
import json
import struct
import tracemalloc

import pytest

from pretrain.errors import InputError
from pretrain.tokenizer.charsmap import decode_charsmap
from pretrain.tokenizer.sentencepiece_model import BYTE, CONTROL, NORMAL, UNKNOWN, UNUSED, USER_DEFINED, parse_model
from tests.sequences.stage_inputs import shared_data
from tests.tokenizer.importing import converted, reference

EXACT = {"bpe_bytes": [], "bpe_symbols": [], "unigram": [], "unigram_bytes": [18]}


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def field(number, value):
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    return varint(number << 3) + varint(value)


def model(pieces, trainer=b"", normalizer=b"", more=b""):
    """A .model file: pieces with score and type, and fields of its two descriptions."""
    plain = field(3, 0) + field(4, 0)
    listed = [field(1, field(1, text.encode()) + field(2, score) + field(3, kind)) for text, score, kind in pieces]
    return b"".join(listed) + field(2, trainer) + field(3, plain + normalizer) + more


PIECES = [("<unk>", 0.0, UNKNOWN), ("</s>", 0.0, CONTROL), ("\u2581", -1.0, NORMAL), ("a", -2.0, NORMAL)]
BPE = field(3, 2)


def spm(folder, data, **values):
    return converted(folder, {"tokenizer.model": data}, **values)


def score(encoder, ids):
    vocab = json.loads(encoder.tokenizer.to_str())["model"]["vocab"]
    return sum(vocab[token_id][1] for token_id in ids)


@pytest.mark.parametrize(("name", "ties"), EXACT.items())
def test_ids_are_those_of_sentencepiece(tmp_path, name, ties):
    encoder = spm(tmp_path, base64.b64decode(reference()["models"][name]))
    expected, found = reference()["ids"][name], encoder.encode(reference()["texts"])
    assert [index for index, ids in enumerate(found) if ids != expected[index]] == ties
    for index in ties:  # SentencePiece adds scores as 32-bit floats, and a run has many cuts of one sum
        assert score(encoder, found[index]) == pytest.approx(score(encoder, expected[index]), abs=1e-3)


@pytest.mark.parametrize(("name", "ties"), [pytest.param("t5", [20], marks=pytest.mark.slow), ("tiny", [])])
def test_ids_of_a_published_model_are_those_of_sentencepiece(tmp_path, name, ties):
    files = {"t5": "t5_sentencepiece.model", "tiny": "tiny_sentencepiece.model"}
    data = shared_data(f"tokenizers/{files[name]}").read_bytes()
    encoder = spm(tmp_path, data, sentencepiece={"normalizer": "precompiled"})
    expected, found = reference()["ids"][name], encoder.encode(reference()["texts"])
    assert [index for index, ids in enumerate(found) if ids != expected[index]] == ties
    for index in ties:
        assert score(encoder, found[index]) == pytest.approx(score(encoder, expected[index]), abs=1e-3)


def test_a_model_with_character_rules_has_to_be_asked_for(tmp_path):
    data = shared_data("tokenizers/tiny_sentencepiece.model").read_bytes()
    with pytest.raises(InputError, match=r"normaliser 'nmt_nfkc' cannot be converted exactly.*precompiled"):
        spm(tmp_path, data)


def test_the_rules_of_a_normaliser_are_read(tmp_path):
    rules = decode_charsmap(parse_model(shared_data("tokenizers/tiny_sentencepiece.model").read_bytes()).charsmap)
    assert [rules[key] for key in ("\t", "\x01", "ﬁ", "e\u0301", "\u1112\u1161\u11ab")] == [" ", "", "fi", "é", "한"]


def test_space_and_bytes_round_trip(tmp_path):
    encoder = spm(tmp_path, base64.b64decode(reference()["models"]["bpe_bytes"]))
    texts = [text for text in reference()["texts"] if "\u2581" not in text]  # the sign for a space is a space again
    assert [encoder.decode(ids) for ids in encoder.encode(texts)] == texts


def test_special_tokens_are_named_by_role(tmp_path):
    encoder = spm(tmp_path, base64.b64decode(reference()["models"]["bpe_bytes"]))
    assert (encoder.bos_token_id, encoder.eos_token_id, encoder.pad_token_id) == (1, 2, None)


@pytest.mark.parametrize("name", EXACT)
def test_special_tokens_and_bytes_that_an_author_spells_are_text(tmp_path, name):
    encoder = spm(tmp_path, base64.b64decode(reference()["models"][name]))
    parsed = parse_model(base64.b64decode(reference()["models"][name]))
    control = {index for index, piece in enumerate(parsed.pieces) if piece.type == CONTROL}
    [ids] = encoder.encode(["</s> <s>x</s><0x41>"])
    assert not control & set(ids)
    if "bytes" in name:
        assert encoder.decode(ids) == "</s> <s>x</s><0x41>"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "neither a SentencePiece model nor tiktoken ranks.*0 pieces"),
        (b"\x7fELF\x02\x01\x01", "neither a SentencePiece model"),
        (model(PIECES)[:-3], "neither a SentencePiece model"),
        (model(PIECES)[:40], "or is cut"),
        (field(1, field(1, b"a")), "1 pieces, and no description of training"),
        (field(1, field(1, b"\xff")), "codec can't decode"),
        (model([*PIECES, ("b", float("nan"), NORMAL)]), "has the score nan"),
        (model([*PIECES, ("a", -3.0, NORMAL)]), "it has a piece twice"),
        (model(PIECES[1:]), "0 pieces for unknown text instead of one"),
        (model([*PIECES, ("b", -3.0, UNUSED)]), "it has unused pieces"),
        (model([*PIECES, ("b", -3.0, 9)]), "pieces of unknown types"),
        (model([*PIECES, ("<b>", 0.0, USER_DEFINED)]), "user-defined symbols"),
        (model([*PIECES, ("<0x41>", 0.0, BYTE)], field(35, 1)), "byte_fallback with 1 bytes, not 256"),
        (model(PIECES, field(3, 3)), "model type 3 is neither unigram nor BPE"),
        (model(PIECES, field(24, 1)), "treat_whitespace_as_suffix"),
        (model(PIECES, normalizer=field(5, 0)), "escape_whitespaces"),
        (model(PIECES, more=field(5, field(2, b"rules"))), "changes decoded text"),
        (model([*PIECES, ("ab", -3.0, NORMAL)], BPE), "'ab' has characters that are no pieces"),
        (model([*PIECES, ("aa", -3.0, NORMAL), ("aaa", -3.0, NORMAL)], BPE), "pieces share a score"),
    ],
)
def test_what_cannot_be_converted_is_refused(tmp_path, data, message):
    with pytest.raises(InputError, match=message):
        spm(tmp_path, data)


@pytest.mark.parametrize("size", [1 << 31, 1 << 40, (1 << 63) - 1, (1 << 64) - 1])
def test_a_huge_declared_length_allocates_nothing(tmp_path, size):
    data = model(PIECES) + varint(1 << 3 | 2) + varint(size) + b"x"
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=f"has {size} bytes, 1 are left"):
            spm(tmp_path, data)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("blob", "message"),
    [
        (b"\x01", "it has 1 bytes"),
        (struct.pack("<I", 1 << 30) + b"0000", "does not fit"),
        (struct.pack("<I", 4) + struct.pack("<I", 1 << 8 | 1), None),
        # a unit that is its own child
        (struct.pack("<I", 8) + struct.pack("<II", 0, 1 << 10 | 1), "cycle"),
    ],
)
def test_damaged_rules_of_a_normaliser_are_named(tmp_path, blob, message):
    data = model(PIECES, normalizer=field(2, blob))
    if message is None:
        spm(tmp_path, data, sentencepiece={"normalizer": "precompiled"})
        return
    with pytest.raises(InputError, match=f"rules of its normaliser are damaged.*({message})"):
        spm(tmp_path, data, sentencepiece={"normalizer": "precompiled"})


def test_merges_of_a_repeated_unit_are_those_of_the_leftmost_rule(tmp_path):
    tokens = ["aa", "aaa", "aaaa", "aab", "aba"]
    pieces = [*PIECES, ("b", -2.5, NORMAL), *((token, -3.0 - rank, NORMAL) for rank, token in enumerate(tokens))]
    encoder = spm(tmp_path, model(pieces, BPE))
    assert [encoder.tokenizer.id_to_token(index) for index in encoder.encode(["a" * 7])[0]] == ["aaaa", "aaa"]
