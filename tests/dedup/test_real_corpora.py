"""Natural near-duplicates: documentation of nine versions, and proposals that were moved."""

import gzip
import json
from collections import defaultdict

import pytest

from pretrain.dedup.config import DedupConfig, ExactConfig, MinHashConfig
from pretrain.documents import Document, document_id
from tests.dedup.corpus import deduplicate
from tests.dedup.real_corpora import corpus_file
from tests.dedup.test_stage import check_soundness, ngrams

STUB = "This file was moved to"


def read_corpus(name):
    with gzip.open(corpus_file(name), "rt") as lines:
        rows = [json.loads(line) for line in lines]
    return [Document(document_id("", name, n), row["text"], row["source"], row["url"]) for n, row in enumerate(rows)]


@pytest.fixture
def etcd():
    return read_corpus("etcd-docs.jsonl.gz")


@pytest.fixture
def eips():
    return read_corpus("eips.jsonl.gz")


def test_pages_of_nine_versions_cluster_by_page(tmp_path, etcd):
    outcome = deduplicate(tmp_path, [etcd[:400], etcd[400:]], DedupConfig())
    check_soundness(outcome, etcd)
    assert 150 < len(outcome.kept) < 300
    url = {document.id: document.url for document in etcd}
    pages = defaultdict(set)
    for row in outcome.clusters:
        pages[row["cluster"]].add(url[row["id"]].rsplit("/", 1)[-1])
    # what remains are pages that were renamed between versions (learner.md, design-learner.md)
    assert sum(len(names) == 1 for names in pages.values()) >= 0.95 * len(pages)
    sets = [ngrams(text) for text in outcome.texts()]
    alike = [
        len(left & right) / len(left | right)
        for number, left in enumerate(sets)
        for right in sets[:number]
        if len(left & right) >= 0.9 * len(left | right) > 0
    ]
    assert alike == []


def test_stubs_of_moved_proposals_differ_by_their_number_alone(tmp_path, eips):
    def stubs_kept(name, config):
        outcome = deduplicate(tmp_path / name, [eips], config)
        return sum(STUB in text for text in outcome.texts())

    assert sum(STUB in document.text for document in eips) == 365
    # 14 of the 22 different 5-grams of two stubs are the same: 0.64
    assert stubs_kept("near", DedupConfig()) >= 360
    assert stubs_kept("lower", DedupConfig(minhash=MinHashConfig(threshold=0.6))) < 100
    folded = ExactConfig(normalize="casefold_punctuation_digits")
    assert stubs_kept("exact", DedupConfig(exact=folded, minhash=None)) == 1
