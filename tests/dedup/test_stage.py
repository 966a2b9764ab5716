import random
import re
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain.dedup import corpus as layouts
from pretrain.dedup import signatures
from pretrain.dedup.config import DedupConfig, ExactConfig, KeepConfig, MinHashConfig
from pretrain.documents import Document
from pretrain.runner import InlineRunner, LocalRunner
from tests.dedup.corpus import Outcome, deduplicate, documents_of, sentence

EXACT_ONLY = DedupConfig(minhash=None, keep=KeepConfig(order="first"))
NEAR_ONLY = DedupConfig(exact=None)
BOTH = DedupConfig()


def ngrams(text, n=5):
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[i : i + n]) for i in range(max(1, len(words) - n + 1))} if words else set()


def jaccard(left, right):
    left, right = ngrams(left), ngrams(right)
    return len(left & right) / len(left | right) if left | right else 0.0


def edited(text, rng, num_words):
    words = text.split()
    for position in rng.sample(range(len(words)), num_words):
        words[position] = "edited"
    return " ".join(words)


def noisy_corpus(seed, num_families=12):
    """Families of a text, an exact copy, and edits of it from slight to heavy; shuffled, in three parts."""
    rng = random.Random(seed)
    texts = []
    for _ in range(num_families):
        text = sentence(rng, 120)
        texts += [text, text, *(edited(text, rng, count) for count in (1, 2, 4, 8))]
    rng.shuffle(texts)
    documents = documents_of(texts)
    return [documents[:20], documents[20:45], documents[45:]]


def check_soundness(outcome: Outcome, documents: list[Document], threshold: float = 0.7) -> None:
    """What holds for every corpus, from the texts alone."""
    by_id = {document.id: document for document in documents}
    kept = {document.id for document in outcome.kept}
    dropped = {row.id: row for row in outcome.ledger}
    assert outcome.kept == [document for document in documents if document.id not in dropped]
    assert len(outcome.kept) + len(outcome.ledger) == len(documents)
    for row in outcome.ledger:
        text, keeper = by_id[row.id].text, by_id[row.evidence].text
        assert row.stage == "dedup"
        assert row.source == by_id[row.id].source
        if row.reason == "exact_duplicate":
            assert (row.value, row.threshold, text) == (1.0, 1.0, keeper)
            # the copy that stayed may be a near-duplicate itself, and then says of which
            assert row.evidence in kept or dropped[row.evidence].reason == "near_duplicate"
        else:
            assert (row.reason, row.threshold) == ("near_duplicate", threshold)
            assert row.value == jaccard(text, keeper) >= threshold
            assert row.evidence in kept
    clusters = {row["id"]: row["cluster"] for row in outcome.clusters}
    sizes = Counter(clusters.values())
    assert clusters == {row.id: final_keeper(row, dropped) for row in outcome.ledger} | {k: k for k in sizes}
    assert all(row["size"] == sizes[row["cluster"]] > 1 for row in outcome.clusters)
    assert {row["id"] for row in outcome.clusters if row["kept"]} == kept & clusters.keys()


def final_keeper(row, dropped):
    return final_keeper(dropped[row.evidence], dropped) if row.evidence in dropped else row.evidence


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from("abcdef"), max_size=9).map(" ".join), max_size=14),
    st.sampled_from([BOTH, NEAR_ONLY, DedupConfig(keep=KeepConfig(order="first"))]),
    st.integers(0, 14),
)
def test_any_corpus_of_short_texts(texts, config, cut):
    documents = documents_of(texts)
    with tempfile.TemporaryDirectory() as folder:
        outcome = deduplicate(Path(folder), [documents[:cut], documents[cut:]], config)
    check_soundness(outcome, documents)
    words = [" ".join(text.split()) for text in outcome.texts() if text.strip()]
    assert len(set(words)) == len(words)


@pytest.mark.parametrize("seed", [0, 1])
def test_every_planted_duplicate_is_found_and_every_removal_is_verified(tmp_path, seed):
    parts = noisy_corpus(seed)
    documents = [document for part in parts for document in part]
    outcome = deduplicate(tmp_path, parts, BOTH)
    check_soundness(outcome, documents)
    still_alike = [
        (left.id, right.id)
        for number, left in enumerate(outcome.kept)
        for right in outcome.kept[:number]
        if jaccard(left.text, right.text) >= 0.85
    ]
    assert still_alike == []
    assert outcome.stats["clusters"] >= 12
    assert outcome.stats["verified_pairs"] <= outcome.stats["candidate_pairs"]


def test_the_counts_of_the_manifest(tmp_path):
    text = "one two three four five six seven eight nine ten eleven twelve"
    changed = f"{text} thirteen"
    documents = documents_of([text, text, changed, "é alone"])
    outcome = deduplicate(tmp_path, [documents[:2], documents[2:]], BOTH)
    assert outcome.stats == {
        "documents_in": 4,
        "documents_out": 2,
        "documents_dropped": 2,
        "bytes_in": 62 + 62 + 71 + 8,
        "bytes_out": 71 + 8,
        "documents_changed": 0,
        "dropped_by_reason": {"exact_duplicate": 1, "near_duplicate": 1},
        "changed_by_reason": {},
        "documents_by_source": {"web": 2},
        "dropped_by_source": {"web": {"exact_duplicate": 1, "near_duplicate": 1}},
        "documents_signed": 3,
        "repeated_segments": 0,
        "candidate_pairs": 1,
        "verified_pairs": 1,
        "capped_buckets": 0,
        "clusters": 1,
        "largest_cluster": 3,
    }
    assert [(row.value, int(row.evidence, 16)) for row in outcome.ledger] == [(8 / 9, 2), (1.0, 0)]


def test_each_source_counts_what_it_kept_and_lost(tmp_path):
    parts = [documents_of(["a b", "c d", "a b"], "web"), documents_of(["c d", "e f", "c d"], "wiki")]
    parts = [[d._replace(id=f"{n}{d.id[1:]}") for d in part] for n, part in enumerate(parts)]
    stats = deduplicate(tmp_path, parts, EXACT_ONLY).stats
    assert stats["documents_by_source"] == {"web": 2, "wiki": 1}
    assert stats["dropped_by_source"] == {"web": {"exact_duplicate": 1}, "wiki": {"exact_duplicate": 2}}


def test_the_course_rule_keeps_the_first_occurrence_of_a_string(tmp_path):
    texts = ["a longer text", "b", "a longer text", "B", "b", "", "", "a longer text "]
    outcome = deduplicate(tmp_path, [documents_of(texts)], EXACT_ONLY)
    seen = set()
    assert outcome.texts() == [text for text in texts if not (text in seen or seen.add(text))]
    assert [(int(row.id, 16), int(row.evidence, 16)) for row in outcome.ledger] == [(2, 0), (4, 1), (6, 5)]
    assert {row.reason for row in outcome.ledger} == {"exact_duplicate"}


def test_exact_duplicates_after_a_normalisation(tmp_path):
    texts = ["Call 555-0199!", "call 12 34", "Call  555-0199!\n", "..."]
    config = DedupConfig(exact=ExactConfig(normalize="casefold_punctuation_digits"), minhash=None)
    assert deduplicate(tmp_path / "a", [documents_of(texts)], config).texts() == ["Call  555-0199!\n", "..."]
    config = DedupConfig(exact=ExactConfig(normalize="whitespace"), minhash=None)
    kept = deduplicate(tmp_path / "b", [documents_of(texts)], config).texts()
    assert kept == ["call 12 34", "Call  555-0199!\n", "..."]


WEB_LONG, WEB_FIRST, WIKI_FIRST, WIKI_LONG = (digit * 32 for digit in "1234")


@pytest.mark.parametrize(
    ("keep", "kept"),
    [
        (KeepConfig(), WEB_LONG),
        (KeepConfig(order="first"), WEB_FIRST),
        (KeepConfig(prefer_sources=("wiki",)), WIKI_LONG),
        (KeepConfig(prefer_sources=("wiki",), order="first"), WIKI_FIRST),
        (KeepConfig(order="lowest_id"), WEB_LONG),
        (KeepConfig(quality_key="score"), WIKI_FIRST),
    ],
)
def test_the_keeper_is_the_one_that_the_policy_names(tmp_path, keep, kept):
    text = sentence(random.Random(0), 80)
    documents = [
        Document(WEB_FIRST, text, "web"),
        Document(WIKI_FIRST, text, "wiki", metadata='{"score": 0.1}'),
        Document(WIKI_LONG, f"{text} one", "wiki"),
        Document(WEB_LONG, f"{text} one more", "web"),
    ]
    outcome = deduplicate(tmp_path, [documents[:1], documents[1:]], DedupConfig(keep=keep))
    assert [document.id for document in outcome.kept] == [kept]
    assert {row["cluster"] for row in outcome.clusters} == {kept}


@pytest.mark.parametrize("config", [BOTH, NEAR_ONLY, EXACT_ONLY])
@pytest.mark.parametrize("texts", [[], [""], ["word"], ["", ""], ["!", "?", "!!"]])
def test_corpora_with_nothing_to_compare(tmp_path, config, texts):
    documents = documents_of(texts)
    outcome = deduplicate(tmp_path, [documents], config)
    assert outcome.stats["documents_in"] == len(texts)
    assert outcome.texts() == (texts if len(set(texts)) == len(texts) or config is NEAR_ONLY else [""])


@pytest.mark.parametrize("config", [BOTH, EXACT_ONLY])
def test_an_input_without_parts(tmp_path, config):
    outcome = deduplicate(tmp_path, [], config)
    assert outcome.stats["documents_out"] == outcome.stats["bytes_out"] == outcome.stats["clusters"] == 0
    assert outcome.kept == []


@pytest.mark.parametrize("config", [BOTH, NEAR_ONLY, EXACT_ONLY])
def test_a_corpus_of_one_text(tmp_path, config):
    outcome = deduplicate(tmp_path, [documents_of(["the same five words again"] * 50)], config)
    assert outcome.stats["documents_out"] == 1
    assert outcome.stats["largest_cluster"] == 50
    assert outcome.stats["candidate_pairs"] == 0  # equal words are one representative


def test_texts_of_fewer_words_than_an_ngram_are_compared_word_for_word(tmp_path):
    texts = ["One", "one!", "one two", "One, two.", "two one", "a b c d", "a b c d e", "a-b-c-d"]
    outcome = deduplicate(tmp_path, [documents_of(texts)], NEAR_ONLY)
    assert outcome.texts() == ["one!", "One, two.", "two one", "a b c d", "a b c d e"]


def test_verification_reads_beyond_the_text_cap(tmp_path):
    rng = random.Random(0)
    opening, long, other = sentence(rng, 200), sentence(rng, 3000), sentence(rng, 3000)
    texts = [f"{opening} {long}", f"{opening} {long} end", f"{opening} {other}"]
    config = DedupConfig(minhash=MinHashConfig(max_chars=600))
    outcome = deduplicate(tmp_path, [documents_of(texts)], config)
    assert outcome.stats["candidate_pairs"] == 3
    assert outcome.texts() == texts[1:]


def test_a_document_of_many_megabytes(tmp_path):
    rng = random.Random(0)
    block = sentence(rng, 20_000)
    text = " ".join(f"{block} {number}" for number in range(60))
    outcome = deduplicate(tmp_path, [documents_of([text, f"{text} end", "short one"])], BOTH)
    assert len(text) > 4_000_000
    assert outcome.texts() == [f"{text} end", "short one"]


def test_documents_that_share_a_template_stay(tmp_path):
    """Header and footer of one site make half of each page (marin#6854: such a corpus was wiped out)."""
    rng = random.Random(0)
    header, footer = sentence(rng, 60), sentence(rng, 60)
    documents = documents_of([f"{header} {sentence(rng, 100)} {footer}" for _ in range(300)])
    outcome = deduplicate(tmp_path, [documents], BOTH)
    assert outcome.kept == documents


def test_a_chain_of_small_changes_does_not_swallow_its_ends(tmp_path):
    words = sentence(random.Random(0), 700).split()
    documents = documents_of([" ".join(words[start : start + 100]) for start in range(0, 600, 5)])
    outcome = deduplicate(tmp_path, [documents], BOTH)
    check_soundness(outcome, documents)
    assert 10 < outcome.stats["documents_out"] < 60


@pytest.mark.parametrize("order", ["longest", "first"])
def test_a_bucket_beyond_the_limit_still_collapses_to_its_keeper(tmp_path, order):
    template = sentence(random.Random(0), 80)
    documents = documents_of([f"{template} {number:02d}" for number in range(90)])
    random.Random(1).shuffle(documents)
    config = DedupConfig(minhash=MinHashConfig(max_bucket_leaders=1), keep=KeepConfig(order=order))
    outcome = deduplicate(tmp_path, [documents], config)
    check_soundness(outcome, documents)
    assert outcome.kept == [documents[0] if order == "first" else min(documents)]
    assert outcome.stats["capped_buckets"] > 0
    assert outcome.stats["candidate_pairs"] < 14 * 90


class BackwardsRunner(InlineRunner):
    """Completes units in the opposite order."""

    def map(self, function, payloads):
        yield from super().map(function, reversed(list(payloads)))


class InterruptedRunner(InlineRunner):
    """Dies before unit number `limit`."""

    def __init__(self, limit):
        self.left = limit

    def map(self, function, payloads):
        for name, payload in payloads:
            if self.left == 0:
                raise KeyboardInterrupt
            self.left -= 1
            yield name, function(payload)


def test_two_workers_and_any_order_give_the_same_bytes(tmp_path):
    parts = noisy_corpus(2)
    outcome = deduplicate(tmp_path / "one", parts, BOTH)
    expected = outcome.bytes_by_path()
    assert {path.split("/")[0] for path in expected} == {"data", "ledger", "clusters", "signatures"}
    assert deduplicate(tmp_path / "back", parts, BOTH, BackwardsRunner()).bytes_by_path() == expected
    with LocalRunner(2) as runner:
        two = deduplicate(tmp_path / "two", parts, BOTH, runner)
    assert two.bytes_by_path() == expected
    assert two.stats == outcome.stats


@pytest.mark.parametrize("verify", ["jaccard", "signature"])
def test_a_corpus_of_few_parts_is_shared_in_pieces_to_the_same_bytes(tmp_path, monkeypatch, verify):
    config = BOTH.model_copy(update={"minhash": BOTH.minhash.model_copy(update={"verify": verify})})
    parts = noisy_corpus(5)
    monkeypatch.setattr(layouts, "PIECE_ROWS", 4)
    monkeypatch.setattr(signatures, "PIECE_ROWS", 4)
    monkeypatch.setattr(layouts, "_NUM_PIECES", 1)
    whole = deduplicate(tmp_path / "whole", parts, config)
    monkeypatch.setattr(layouts, "_NUM_PIECES", 32)
    pieces = deduplicate(tmp_path / "pieces", parts, config)
    assert pieces.bytes_by_path() == whole.bytes_by_path()
    assert pieces.stats == whole.stats
    num_pieces = sum(max(1, -(-len(part) // 4)) for part in parts)
    for kind in ("minhash-?????-*", "ngram-pieces-*"):
        assert len(list((pieces.folder / "receipts").glob(kind))) == num_pieces > 3 * len(parts)


def test_an_interrupted_stage_resumes_to_the_same_bytes(tmp_path):
    parts = noisy_corpus(3, num_families=8)
    expected = deduplicate(tmp_path / "whole", parts, BOTH).bytes_by_path()
    attempts = 0
    while True:
        try:
            outcome = deduplicate(tmp_path / "pieces", parts, BOTH, InterruptedRunner(2))
        except KeyboardInterrupt:
            attempts += 1
            continue
        break
    assert attempts >= 6
    assert outcome.bytes_by_path() == expected


def test_the_memory_limit_does_not_change_the_result(tmp_path, monkeypatch):
    parts = noisy_corpus(4)
    whole = deduplicate(tmp_path / "whole", parts, BOTH)
    monkeypatch.setattr(layouts, "_BYTES_PER_DOCUMENT", 20 << 20)  # 6 documents in the smallest budget
    cut = deduplicate(tmp_path / "cut", parts, BOTH.model_copy(update={"memory_limit_bytes": 512 << 20}))
    assert cut.bytes_by_path() == whole.bytes_by_path()
    assert cut.stats == whole.stats
    for kind, number in (("exact", 23), ("words", 23), ("bands", 1), ("ngram-pieces", 3)):
        assert len(list((cut.folder / "receipts").glob(f"{kind}-128m-*"))) == number
    assert len(list((cut.folder / "receipts").glob("decisions-*"))) > 10


def test_part_sizes_do_not_change_who_stays(tmp_path):
    parts = noisy_corpus(5)
    documents = [document for part in parts for document in part]
    one = deduplicate(tmp_path / "one", [documents], BOTH)
    three = deduplicate(tmp_path / "three", parts, BOTH)
    assert (one.kept, one.ledger, one.clusters) == (three.kept, three.ledger, three.clusters)
