import random

import pytest

from pretrain.dedup.config import DedupConfig, MinHashConfig
from pretrain.dedup.guard import most_common_spans
from pretrain.errors import StageError
from tests.dedup.corpus import deduplicate, documents_of, sentence

TEMPLATE = "This page was moved to the new site. Please update your bookmarks and links, thank you for reading"


def stubs(count):
    return documents_of([f"{TEMPLATE} number {number}" for number in range(count)])


def guarded(**values):
    return DedupConfig(minhash=MinHashConfig(min_cluster_documents=20, **values))


def test_a_template_that_takes_most_of_a_source_fails_with_its_text(tmp_path):
    with pytest.raises(StageError) as failure:
        deduplicate(tmp_path, [stubs(30)], guarded())
    message = str(failure.value)
    assert message.startswith("29 of the 30 documents of source 'web' are near-duplicates of document ")
    assert f"29 of 29 of them share {TEMPLATE + ' number'!r}" in message
    assert "dedup.minhash.max_cluster_fraction 0.5" in message


def test_the_limit_is_a_share_of_one_source(tmp_path):
    rng = random.Random(0)
    others = documents_of([sentence(rng, 60) for _ in range(40)], source="books")
    others = [document._replace(id=f"b{number:031x}") for number, document in enumerate(others)]
    with pytest.raises(StageError, match="29 of the 30 documents of source 'web'"):
        deduplicate(tmp_path, [stubs(30), others], guarded())


def test_it_passes_below_the_limit_and_where_the_limit_is_raised_or_the_corpus_small(tmp_path):
    rng = random.Random(0)
    mixed = documents_of([document.text for document in stubs(30)] + [sentence(rng, 60) for _ in range(40)])
    assert deduplicate(tmp_path / "a", [mixed], guarded()).stats["documents_out"] == 41
    assert deduplicate(tmp_path / "b", [stubs(30)], guarded(max_cluster_fraction=1.0)).stats["documents_out"] == 1
    assert deduplicate(tmp_path / "c", [stubs(30)], DedupConfig()).stats["documents_out"] == 1


def test_exact_copies_never_fail(tmp_path):
    same = documents_of([TEMPLATE] * 40)
    assert deduplicate(tmp_path, [same], guarded()).stats["dropped_by_reason"] == {"exact_duplicate": 39}


def test_a_span_is_a_run_of_equally_common_ngrams():
    keeper = "Intro words here. The quick brown fox jumps over it! Then more."
    texts = [
        "the quick brown fox jumps over it today",
        "see how the quick brown fox jumps over it",
        "nothing alike",
    ]
    assert most_common_spans(keeper, texts, 3) == [("The quick brown fox jumps over it", 2)]
    assert most_common_spans("", texts, 3) == []
    assert most_common_spans("two words", ["two words"], 5) == [("two words", 1)]


def test_spans_come_by_how_many_texts_share_them():
    texts = ["a b c d x y z", "a b c d", "q w e x y z"]
    assert most_common_spans("a b c d q w e x y z", texts, 2) == [("a b c d", 2), ("x y z", 2), ("q w e x", 1)]
