"""What `keep` does to whole corpora, and other ways to make and verify candidates."""

import random

import pyarrow.parquet as pq
import pytest

from pretrain.dedup.config import DedupConfig, KeepConfig, MinHashConfig
from pretrain.documents import Document
from pretrain.errors import StageError
from tests.dedup.corpus import deduplicate, documents_of, sentence
from tests.dedup.test_stage import edited

TEXT = sentence(random.Random(0), 80)


def copies(*sources, text=TEXT):
    return [Document(f"{number:032x}", text, source) for number, source in enumerate(sources)]


def test_all_but_takes_documents_of_the_named_sources_only(tmp_path):
    documents = [*copies("web", "wiki", "books", "web"), Document("f" * 32, f"{TEXT} and more", "web")]
    keep = KeepConfig(copies="all_but", removable_sources=("web",))
    outcome = deduplicate(tmp_path, [documents[:2], documents[2:]], DedupConfig(keep=keep))
    assert [document.source for document in outcome.kept] == ["wiki", "books"]
    assert {row.evidence for row in outcome.ledger} == {documents[1].id}
    # what stays of one text is one cluster, to be kept on one side of a split
    assert {row["cluster"] for row in outcome.clusters} == {documents[1].id}
    assert {row["id"] for row in outcome.clusters if row["kept"]} == {documents[1].id, documents[2].id}


@pytest.mark.parametrize("config", [{"exact": None}, {"minhash": None}, {}])
def test_none_takes_every_document_that_has_a_copy(tmp_path, config):
    documents = [*copies("web", "web", "wiki"), Document("f" * 32, "a text of its own", "web")]
    config = DedupConfig(keep=KeepConfig(copies="none"), **config)
    outcome = deduplicate(tmp_path, [documents], config)
    assert outcome.kept == documents[3:]
    assert {row.id: row.evidence for row in outcome.ledger}[documents[0].id] == documents[1].id
    assert {row.value for row in outcome.ledger} == {1.0}


def test_none_takes_near_duplicates_on_both_sides(tmp_path):
    rng = random.Random(1)
    texts = [TEXT, edited(TEXT, rng, 1), sentence(rng, 80)]
    outcome = deduplicate(tmp_path, [documents_of(texts)], DedupConfig(keep=KeepConfig(copies="none")))
    assert outcome.texts() == texts[2:]
    assert [row.evidence for row in outcome.ledger] == [f"{1:032x}", f"{0:032x}"]


def test_a_quality_that_is_no_number_is_refused(tmp_path):
    documents = [Document("0" * 32, TEXT, "web", metadata='{"score": "high"}')]
    with pytest.raises(StageError, match=r"metadata key 'score' .* of document 0+ is 'high', not a number"):
        deduplicate(tmp_path, [documents], DedupConfig(keep=KeepConfig(quality_key="score")))


def test_texts_without_spaces_are_compared_by_characters(tmp_path):
    rng = random.Random(0)
    text = "".join(rng.choice("的一是不了人我在有他这为之大来以个中上们") for _ in range(300))
    texts = [text, text[:150] + "天" + text[151:], "".join(rng.sample(text, len(text)))]
    by_words = deduplicate(tmp_path / "words", [documents_of(texts)], DedupConfig())
    assert by_words.texts() == texts
    config = DedupConfig(minhash=MinHashConfig(unit="character"))
    outcome = deduplicate(tmp_path / "characters", [documents_of(texts)], config)
    assert outcome.texts() == [texts[0], texts[2]]
    assert outcome.ledger[0].value == pytest.approx(291 / 301, abs=0.01)


def test_character_ngrams_see_no_case_and_no_width_of_spaces(tmp_path):
    texts = ["Some Text\n\nhere", " some text here ", "some text there"]
    config = DedupConfig(exact=None, minhash=MinHashConfig(unit="character", threshold=0.99))
    assert deduplicate(tmp_path, [documents_of(texts)], config).texts() == [" some text here ", "some text there"]


def test_verification_by_signature_reads_no_text_again(tmp_path):
    rng = random.Random(2)
    texts = [TEXT, edited(TEXT, rng, 1), edited(TEXT, rng, 12), sentence(rng, 80)]
    config = DedupConfig(exact=None, minhash=MinHashConfig(verify="signature"))
    outcome = deduplicate(tmp_path, [documents_of(texts)], config)
    minima = pq.read_table(outcome.folder / "signatures/minhash/part-00000.parquet")["minima"].to_pylist()
    values = [[row[start : start + 8] for start in range(0, len(row), 8)] for row in minima]
    equal = sum(left == right for left, right in zip(values[0], values[1], strict=True)) / 112
    assert [(row.reason, row.value) for row in outcome.ledger] == [("near_duplicate", equal)]
    assert equal >= 0.7
    assert len(outcome.kept) == 3
