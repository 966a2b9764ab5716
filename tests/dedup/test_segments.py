import random
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain.dedup import repeats
from pretrain.dedup.config import DedupConfig, KeepConfig, MinHashConfig, SegmentsConfig
from pretrain.dedup.segments import cut_segments, segment_digest, segment_digests, split_segments
from pretrain.documents import LedgerRow
from tests.dedup.corpus import deduplicate, documents_of, sentence

PARAGRAPHS = SegmentsConfig(min_chars=1, max_documents=1)
LINES = SegmentsConfig(unit="line", min_chars=1, max_documents=1)
SEGMENTS_ONLY = DedupConfig(exact=None, minhash=None, segments=LINES)
COOKIES = "We use cookies to give you the best experience of our site."


@pytest.mark.parametrize(
    ("config", "text", "segments"),
    [
        (PARAGRAPHS, "one\ntwo\n\nthree\n \n\nfour", ["one\ntwo\n\n", "three\n \n\n", "four"]),
        (PARAGRAPHS, "\n\n one\n\n", ["\n\n", " one\n\n"]),
        (LINES, "one\n\n two\n", ["one\n", "\n", " two\n"]),
        (LINES, "", []),
    ],
)
def test_a_text_is_split_with_its_breaks(config, text, segments):
    assert list(split_segments(text, config)) == segments


@given(st.text("ab \n\t\r", max_size=30), st.sampled_from([PARAGRAPHS, LINES]))
def test_segments_joined_are_the_text_and_cutting_nothing_changes_nothing(text, config):
    assert "".join(split_segments(text, config)) == text
    assert cut_segments(text, config, set()) == (text, [])
    assert cut_segments(text, config, segment_digests(text, config)).text.strip() == ""


def test_what_is_cut_goes_with_its_break():
    text = "Title\n\nShared  text\n\nBody\n\nFooter"
    cut = {segment_digest(segment, PARAGRAPHS) for segment in ("Shared text", "Footer")}
    assert cut_segments(text, PARAGRAPHS, cut) == ("Title\n\nBody", ["Shared  text", "Footer"])


def test_short_segments_are_never_cut():
    config = SegmentsConfig(unit="line", min_chars=6)
    assert segment_digest("  short \n", config) is None
    assert segment_digest("longer\n", config) == segment_digest(" longer", config) is not None


def test_a_line_of_more_documents_than_the_limit_stays_with_the_first_of_them(tmp_path):
    config = SEGMENTS_ONLY.model_copy(update={"segments": SegmentsConfig(unit="line", max_documents=2)})
    bodies = [f"Page {number} has a text of its own, which is long enough to count." for number in range(4)]
    texts = [f"{COOKIES}\n{body}\n{COOKIES}" for body in bodies[:3]] + [bodies[3] + "\nTwice in one text. " * 9]
    outcome = deduplicate(tmp_path, [documents_of(texts[:1]), documents_of(texts)[1:]], config)
    assert outcome.texts() == [texts[0], bodies[1], bodies[2], texts[3]]
    assert outcome.ledger == [
        LedgerRow(f"{number:032x}", "web", "dedup", "repeated_line", 2.0, 2.0, COOKIES) for number in (1, 2)
    ]
    assert (outcome.stats["documents_changed"], outcome.stats["documents_dropped"]) == (2, 0)
    assert outcome.stats["changed_by_reason"] == {"repeated_line": 2}
    assert outcome.stats["repeated_segments"] == 1


def test_a_document_of_nothing_else_goes(tmp_path):
    outcome = deduplicate(tmp_path, [documents_of([f"{COOKIES}\nmore", COOKIES])], SEGMENTS_ONLY)
    assert outcome.texts() == [f"{COOKIES}\nmore"]
    assert [(row.reason, row.value, row.evidence) for row in outcome.ledger] == [("no_text_left", 1.0, COOKIES)]
    assert outcome.stats["dropped_by_reason"] == {"no_text_left": 1}


def test_exact_copies_count_as_one_document(tmp_path):
    config = DedupConfig(minhash=None, segments=LINES)
    outcome = deduplicate(tmp_path, [documents_of([COOKIES] * 5 + ["another text"])], config)
    assert outcome.texts() == [COOKIES, "another text"]
    assert outcome.stats["dropped_by_reason"] == {"exact_duplicate": 4}


def test_near_duplicates_are_found_among_the_texts_that_are_left(tmp_path):
    rng = random.Random(0)
    menu = "\n".join(sentence(rng, 12) for _ in range(12))
    bodies = [sentence(rng, 12) for _ in range(4)]
    texts = [f"{menu}\n{body}" for body in bodies]
    near = DedupConfig(exact=None, minhash=MinHashConfig(threshold=0.6))
    assert len(deduplicate(tmp_path / "menus", [documents_of(texts)], near).kept) == 1
    cut = near.model_copy(update={"segments": SegmentsConfig(unit="line", max_documents=2)})
    outcome = deduplicate(tmp_path / "cut", [documents_of(texts)], cut)
    assert sorted(text.rsplit("\n", 1)[-1] for text in outcome.texts()) == sorted(bodies)
    assert sum(menu in text for text in outcome.texts()) == 1


def test_segments_are_written_in_files_that_fit_the_memory(tmp_path, monkeypatch):
    texts = [f"{COOKIES}\n{number} is a line of one document" for number in range(6)]
    whole = deduplicate(tmp_path / "whole", [documents_of(texts)], SEGMENTS_ONLY)
    monkeypatch.setattr(repeats, "SEGMENT_BYTES", SEGMENTS_ONLY.memory_limit_bytes // 6)
    cut = deduplicate(tmp_path / "cut", [documents_of(texts)], SEGMENTS_ONLY)
    assert cut.bytes_by_path() == whole.bytes_by_path()
    assert len(list((cut.folder / "scratch").glob("segments-scatter-*"))) == 6


@settings(max_examples=8, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from("abcd"), max_size=4).map("\n".join), max_size=8),
    st.integers(0, 8),
    st.sampled_from(["longest", "lowest_id"]),
)
def test_any_corpus_of_lines_in_any_order_and_parts(texts, cut, order):
    config = SEGMENTS_ONLY.model_copy(update={"keep": KeepConfig(order=order)})
    documents = documents_of(texts)
    shuffled = random.Random(cut).sample(documents, len(documents))
    with tempfile.TemporaryDirectory() as folder:
        one = deduplicate(Path(folder) / "one", [documents], config)
        two = deduplicate(Path(folder) / "two", [shuffled[:cut], shuffled[cut:]], config)
    assert sorted(one.kept) == sorted(two.kept)
    assert sorted(one.ledger) == sorted(two.ledger)
    changed = {row.id for row in one.ledger if row.reason == "repeated_line"}
    dropped = {row.id for row in one.ledger if row.reason == "no_text_left"}
    assert [d.id for d in one.kept] == [d.id for d in documents if d.id not in dropped]
    holders = Counter(line for document in one.kept for line in set(document.text.split("\n")) if line)
    assert set(holders.values()) <= {1}
    assert set(holders) == {line for text in texts for line in text.split("\n") if line}
    assert all(d.text == texts[int(d.id, 16)] for d in one.kept if d.id not in changed)
