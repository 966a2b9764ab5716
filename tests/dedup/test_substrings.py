import itertools
import random
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain.dedup import substrings
from pretrain.dedup.config import DedupConfig, KeepConfig, SegmentsConfig, SubstringsConfig
from pretrain.dedup.spans import cut_spans
from pretrain.dedup.substring_kernels import anchor_runs, window_hashes
from pretrain.documents import LedgerRow
from pretrain.errors import StageError
from pretrain.runner import LocalRunner
from tests.dedup.corpus import deduplicate, documents_of, sentence

FIRST = KeepConfig(order="first")
CONFIG = DedupConfig(exact=None, minhash=None, substrings=SubstringsConfig(min_bytes=16), keep=FIRST)
LICENCE = "Permission is hereby granted, free of charge, to any person obtaining a copy."


def without_repeats(texts: list[str], size: int) -> list[str]:
    """By the definition: every window of every earlier document is looked at."""
    seen: set[bytes] = set()
    cut: list[str] = []
    for data in (text.encode() for text in texts):
        windows = [data[start : start + size] for start in range(len(data) - size + 1)]
        goes = np.zeros(len(data) + 1, np.bool_)
        for start, window in enumerate(windows):
            if window in seen:
                goes[start : start + size] = True
        characters = [(len(text.encode()) if text else 0) for text in data.decode()]
        bounds = np.cumsum([0, *characters])
        kept = [goes[first:last].all() for first, last in itertools.pairwise(bounds)]
        cut.append("".join(c for c, is_gone in zip(data.decode(), kept, strict=True) if not is_gone))
        seen.update(windows)
    return [text for text in cut if text.strip()]


@given(
    st.lists(
        st.lists(st.sampled_from(["the quick fox ", "é", "日本語", "a", "bb", LICENCE, "\n"]), max_size=12), max_size=8
    ),
    st.integers(1, 3),
)
@settings(max_examples=25, deadline=None)
def test_it_is_what_a_search_through_all_windows_finds(pieces, num_parts):
    texts = [text for text in map("".join, pieces) if text.strip()]
    documents = documents_of(texts)
    parts = [
        documents[n * len(documents) // num_parts : (n + 1) * len(documents) // num_parts] for n in range(num_parts)
    ]
    with tempfile.TemporaryDirectory() as folder:
        outcome = deduplicate(Path(folder), parts, CONFIG)
    assert outcome.texts() == without_repeats(texts, 16)


def test_long_random_texts_with_planted_spans(tmp_path):
    rng = random.Random(5)
    spans = [sentence(rng, 60) for _ in range(10)]
    texts = []
    for _ in range(60):
        pieces = [sentence(rng, rng.randrange(200)) for _ in range(4)]
        pieces.insert(rng.randrange(4), rng.choice(spans)[rng.randrange(100) :])
        texts.append(rng.choice(["", "ü", "日"]).join(pieces))
    config = CONFIG.model_copy(update={"substrings": SubstringsConfig(min_bytes=100)})
    outcome = deduplicate(tmp_path, [documents_of(texts)], config)
    assert outcome.texts() == without_repeats(texts, 100)
    assert 40 <= outcome.stats["changed_by_reason"]["repeated_substring"] <= 59
    assert outcome.stats["documents_changed"] == outcome.stats["changed_by_reason"]["repeated_substring"]


def test_the_ledger_tells_how_much_went_and_who_keeps_it(tmp_path):
    texts = [f"One. {LICENCE} Mine.", f"Two. {LICENCE} Yours.", LICENCE]
    outcome = deduplicate(tmp_path, [documents_of(texts)], CONFIG)
    assert outcome.texts() == [texts[0], "TwoYours."]
    cut = float(len(LICENCE) + 3)  # with the full stop before it and the spaces
    assert outcome.ledger == [
        LedgerRow(f"{1:032x}", "web", "dedup", "repeated_substring", cut, 16.0, f"{0:032x}"),
        LedgerRow(f"{2:032x}", "web", "dedup", "no_text_left", cut - 3, 16.0, f"{0:032x}"),
    ]
    assert outcome.stats["dropped_by_reason"] == {"no_text_left": 1}
    assert outcome.stats["documents_changed"] == 1


def test_what_earlier_steps_removed_or_cut_counts_no_more(tmp_path):
    texts = [f"{LICENCE}\nOne of its own", f"{LICENCE}\nOne of its own", f"{LICENCE}\nTwo of its own"]
    config = DedupConfig(
        minhash=None,
        segments=SegmentsConfig(unit="line", max_documents=1),
        substrings=SubstringsConfig(min_bytes=16),
        keep=FIRST,
    )
    outcome = deduplicate(tmp_path, [documents_of(texts)], config)
    assert outcome.texts() == [texts[0], "Two of its own"]
    assert [row.reason for row in outcome.ledger] == ["exact_duplicate", "repeated_line"]


def test_the_keeper_policy_says_who_keeps_it(tmp_path):
    documents = [*documents_of([f"web {LICENCE}"]), *documents_of([f"{LICENCE} longer, of a book"], "book")]
    documents[1] = documents[1]._replace(id=f"{1:032x}")
    by_source = CONFIG.model_copy(update={"keep": KeepConfig(prefer_sources=("book",))})
    assert deduplicate(tmp_path / "a", [documents], by_source).texts() == ["web ", documents[1].text]
    protected = KeepConfig(copies="all_but", removable_sources=("book",))
    outcome = deduplicate(tmp_path / "b", [documents], CONFIG.model_copy(update={"keep": protected}))
    assert outcome.texts() == [f"web {LICENCE}", " longer, of a book"]


def test_repeats_within_one_document_stay(tmp_path):
    outcome = deduplicate(tmp_path, [documents_of([LICENCE * 3, "a" * 200_000])], CONFIG)
    assert outcome.texts() == [LICENCE * 3, "a" * 200_000]
    assert outcome.ledger == []


def test_workers_parts_and_memory_do_not_change_a_byte(tmp_path):
    rng = random.Random(2)
    span = sentence(rng, 80)
    documents = documents_of([sentence(rng, 40) + span + sentence(rng, 40) for _ in range(40)])
    config = CONFIG.model_copy(update={"substrings": SubstringsConfig()})
    parts = [documents[:9], documents[9:]]
    expected = deduplicate(tmp_path / "a", parts, config).bytes_by_path()
    small = config.model_copy(update={"memory_limit_bytes": 512 << 20})
    with LocalRunner(2) as runner:
        assert deduplicate(tmp_path / "b", parts, small, runner).bytes_by_path() == expected
    assert (
        deduplicate(tmp_path / "c", [documents], config).texts() == deduplicate(tmp_path / "d", parts, config).texts()
    )


def test_what_does_not_fit_the_memory_limit_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(substrings, "WINDOW_ROW_BYTES", 1 << 24)
    texts = [f"{number} {LICENCE}" for number in range(9)]
    small = CONFIG.model_copy(update={"memory_limit_bytes": 512 << 20})
    with pytest.raises(StageError, match=r"dedup\.substrings: one unit of work would take [\d,]+ bytes .*set a larger"):
        deduplicate(tmp_path, [documents_of(texts)], small)


@given(st.binary(max_size=80), st.integers(2, 20), st.data())
@settings(deadline=None)
def test_every_window_has_the_least_hash_of_its_pieces(data, size, more):
    piece = more.draw(st.integers(1, size))
    firsts, lasts, anchors = anchor_runs(np.frombuffer(data, np.uint8), size, piece)
    found = [anchor for first, last, anchor in zip(firsts, lasts, anchors, strict=True) for _ in range(first, last + 1)]
    assert len(found) == max(len(data) - size + 1, 0)
    windows = [data[start : start + size] for start in range(len(found))]
    for window, anchor in zip(windows, found, strict=True):
        alone = anchor_runs(np.frombuffer(window, np.uint8), size, piece)[2]
        pieces = [window[at : at + piece] for at in range(size - piece + 1)]
        of_pieces = [anchor_runs(np.frombuffer(each, np.uint8), piece, piece)[2][0] for each in pieces]
        assert [anchor] == list(alone) == [min(of_pieces)]


@given(st.binary(min_size=8, max_size=60), st.integers(1, 8))
@settings(deadline=None)
def test_hashes_of_windows_are_the_polynomials_of_their_bytes(data, size):
    prime, bases = (1 << 61) - 1, (0x0B2F31C6B5A4D3E7, 0x1D8E4E27C47D124F)
    found = window_hashes(np.frombuffer(data, np.uint8), size, 0, len(data) - size)
    for start, hashes in enumerate(found.tolist()):
        for base, value in zip(bases, hashes, strict=True):
            expected = 0
            for byte in data[start : start + size]:
                expected = (expected * base + byte) % prime
            assert value == expected


def test_only_whole_characters_are_cut():
    spans = np.array([[1, 4, 0, 7], [6, 8, 0, 9]], np.uint64)
    assert cut_spans("éaé日b", spans) == ("éé日b", 1, f"{7:032x}")
