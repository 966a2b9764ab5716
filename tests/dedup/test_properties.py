"""Workers, the order in which units end, part sizes, memory limit and order of the input never change the result."""

import random
import tempfile
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain.dedup import corpus as layouts
from pretrain.dedup.config import DedupConfig, KeepConfig, MinHashConfig, SegmentsConfig
from pretrain.documents import Document
from pretrain.runner import InlineRunner
from tests.dedup.corpus import deduplicate, sentence
from tests.dedup.test_stage import edited

CONFIGS = [
    DedupConfig(),
    DedupConfig(segments=SegmentsConfig(unit="line", min_chars=5, max_documents=2)),
    DedupConfig(minhash=MinHashConfig(max_bucket_leaders=1), keep=KeepConfig(order="lowest_id")),
    DedupConfig(minhash=MinHashConfig(verify="signature"), keep=KeepConfig(prefer_sources=("b",))),
    DedupConfig(keep=KeepConfig(copies="all_but", removable_sources=("a",))),
    DedupConfig(keep=KeepConfig(copies="none")),
]


class ShuffledRunner(InlineRunner):
    """Completes units in another order."""

    def __init__(self, seed):
        self._random = random.Random(seed)

    def map(self, function, payloads):
        units = list(payloads)
        yield from super().map(function, self._random.sample(units, len(units)))


def families(seed, size):
    """Texts with copies and edits of them, of two sources, and a line that many share; ids in no order."""
    rng = random.Random(seed)
    texts = []
    while len(texts) < size:
        text = sentence(rng, rng.choice([3, 40, 40, 80]))
        texts += [text] * rng.choice([1, 1, 2, 4])
        texts += [edited(text, rng, count) for count in rng.sample(range(1, 4), rng.randrange(3))]
        texts += [f"some menu of a site\n{text}"] * rng.randrange(2)
    return [Document(f"{rng.getrandbits(128):032x}", text, rng.choice("ab")) for text in rng.sample(texts, size)]


def cut(documents, rng):
    places = sorted(rng.randrange(len(documents) + 1) for _ in range(rng.randrange(5)))
    return [documents[a:b] for a, b in zip([0, *places], [*places, len(documents)], strict=True)]


def content(outcome):
    return sorted(outcome.kept), sorted(outcome.ledger), outcome.clusters


def check(seed, size, config, documents_per_group):
    rng = random.Random(seed)
    documents = families(seed, size)
    parts, shuffled = cut(documents, rng), rng.sample(documents, size)
    budget = DedupConfig().memory_limit_bytes - layouts.LIBRARIES_BYTES
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        one = deduplicate(folder / "one", parts, config)
        again = deduplicate(folder / "one again", parts, config, ShuffledRunner(seed))
        with patch.object(layouts, "_BYTES_PER_DOCUMENT", budget // documents_per_group):
            small = deduplicate(folder / "small", parts, config, ShuffledRunner(seed))
        other = deduplicate(folder / "other", cut(shuffled, rng), config)
        assert again.bytes_by_path() == small.bytes_by_path() == one.bytes_by_path()
    assert again.stats == small.stats == one.stats
    assert content(other) == content(one)
    assert other.stats == one.stats


corpora = given(st.integers(0, 1 << 30), st.integers(1, 40), st.sampled_from(CONFIGS), st.integers(1, 20))


@settings(max_examples=2, deadline=None)
@corpora
def test_nothing_of_how_the_work_is_done_changes_the_result(seed, size, config, documents_per_group):
    check(seed, size, config, documents_per_group)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("config", CONFIGS)
@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1 << 30), st.integers(1, 60), st.integers(1, 20))
def test_nothing_changes_the_result_of_many_corpora(config, seed, size, documents_per_group):
    check(seed, size, config, documents_per_group)
