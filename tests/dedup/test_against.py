"""A new source against artifacts that are deduplicated: as if all had been run together, the old documents first."""

import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pretrain.dedup.config import DedupConfig, ExactConfig, KeepConfig, MinHashConfig
from pretrain.documents import Document
from pretrain.errors import InputError, NotInStoreError
from tests.dedup.corpus import deduplicate, sentence
from tests.dedup.test_stage import edited

KEEP = KeepConfig(prefer_sources=("old",))
# Rows of 2 in 20 bands find nearly every pair over 0.4, and buckets of more than 3 documents are cut.
FINE = MinHashConfig(ngram=1, bands=20, rows=2, threshold=0.5, max_bucket_leaders=2)
CONFIGS = [
    DedupConfig(keep=KEEP, minhash=FINE),
    DedupConfig(keep=KEEP, minhash=FINE, exact=None),
    DedupConfig(keep=KEEP, minhash=FINE.model_copy(update={"verify": "signature"}), exact=None),
    DedupConfig(keep=KEEP, minhash=None, exact=ExactConfig(normalize="casefold_punctuation_digits")),
    DedupConfig(keep=KeepConfig(order="first"), minhash=FINE),
    DedupConfig(keep=KeepConfig(copies="all_but", removable_sources=("new",), order="lowest_id"), minhash=FINE),
]
OLD, OTHER = "dedup/old", "dedup/other"


def documents(texts, source, first):
    rng = random.Random(first)  # ids in no order
    return [Document(f"{rng.getrandbits(112):028x}{first + n:04x}", text, source) for n, text in enumerate(texts)]


def check(folder, config, olds, new):
    """Runs the old sources one after the other, the new one against them, and all at once."""
    kept_before, keys = [], []
    for number, (key, old) in enumerate(zip((OLD, OTHER), olds, strict=False)):
        earlier = config.model_copy(update={"against": tuple(keys)})
        kept_before += deduplicate(folder / "steps", old, earlier, key=key).kept
        keys.append(key)
        assert number < 2
    outcome = deduplicate(folder / "steps", new, config.model_copy(update={"against": tuple(keys)}), key="dedup/z")
    full = deduplicate(folder / "full", [part for parts in (*olds, new) for part in parts], config)
    names = {document.id for part in new for document in part}
    assert outcome.kept == [document for document in full.kept if document.id in names]
    assert kept_before == [document for document in full.kept if document.id not in names]
    assert outcome.ledger == [row for row in full.ledger if row.id in names]
    return outcome


texts_of_few_words = st.lists(
    st.one_of(
        st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=6).map(" ".join),
        st.sampled_from(["", "A", "a", "a b c d", "a b c d e", "b c d e f", "A, B, C, D"]),
    ),
    max_size=10,
)


corpora = given(texts_of_few_words, texts_of_few_words, st.sampled_from(CONFIGS), st.integers(0, 10))


def check_two_sources(old, new, config, cut):
    with tempfile.TemporaryDirectory() as folder:
        fresh, stale = documents(new, "new", 500), documents(old, "old", 0)
        check(Path(folder), config, [[stale[:cut], stale[cut:]]], [fresh[:cut], fresh[cut:]])


@settings(max_examples=2, deadline=None)
@corpora
@example(["a b c d", "a b c d e f", "c d e f g h"], ["a b c d", "A B C D E", "c d e f"], CONFIGS[1], 2)
@example(["a b", "a b c", "a b c d", "a"], ["a b", "b a", "a b c d e", "b"] * 2, CONFIGS[1], 3)
def test_a_new_source_is_judged_as_by_the_full_run(old, new, config, cut):
    check_two_sources(old, new, config, cut)


@pytest.mark.slow
@pytest.mark.timeout(900)
@settings(max_examples=60, deadline=None)
@corpora
def test_many_new_sources_are_judged_as_by_the_full_run(old, new, config, cut):
    check_two_sources(old, new, config, cut)


def test_against_two_artifacts_of_which_one_was_made_against_the_other(tmp_path):
    rng = random.Random(3)
    base = [sentence(rng, 60) for _ in range(12)]
    sources = [
        [text for text in base[:6] for text in (text, edited(text, rng, 1))],
        [text for text in base[3:9] for text in (edited(text, rng, 2), text)],
        [text for text in base for text in (edited(text, rng, 1), text, edited(text, rng, 20))],
    ]
    config = DedupConfig(keep=KeepConfig(prefer_sources=("old", "other")))
    made = [
        documents(texts, name, 100 * n)
        for n, (texts, name) in enumerate(zip(sources, ("old", "other", "new"), strict=True))
    ]
    outcome = check(tmp_path, config, [[made[0]], [made[1]]], [made[2][:20], made[2][20:]])
    assert outcome.stats["documents_signed"] < 36  # exact copies of old documents are not even hashed for MinHash
    signed = {path.name for path in outcome.folder.glob("signatures/minhash/*")}
    assert signed == {"part-00000.parquet", "part-00001.parquet"}


@pytest.mark.parametrize(
    ("against", "change", "error", "message"),
    [
        ("dedup/missing", {}, NotInStoreError, "has no artifact dedup/missing"),
        ("filter/upstream", {}, InputError, "is an artifact of filter"),
        (OLD, {"minhash": MinHashConfig(seed=2)}, InputError, "dedup/old was made with minhash .*'seed': 1"),
        (OLD, {"exact": None}, InputError, "dedup/old was made with exact"),
        (OLD, {"keep": KeepConfig(order="first")}, InputError, "dedup/old was made with keep"),
    ],
)
def test_what_cannot_be_compared_is_refused(tmp_path, against, change, error, message):
    deduplicate(tmp_path, [documents(["some text"], "old", 0)], DedupConfig(), key=OLD)
    config = DedupConfig().model_copy(update={"against": (against,), **change})
    with pytest.raises(error, match=message):
        deduplicate(tmp_path, [documents(["some text"], "new", 1)], config, key="dedup/z")
