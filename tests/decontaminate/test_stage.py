"""What is found, what is not, what becomes of it, and that nothing is lost."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pretrain.documents import Document, LedgerRow, document_id
from pretrain.errors import InputError
from pretrain.runner import LocalRunner
from tests.decontaminate.decontaminating import (
    decontaminate,
    documents,
    holds,
    plain_ngrams,
    plain_words,
    write_task,
)

ITEM = "Janet’s ducks lay 16 eggs per day. She eats three for breakfast every morning and bakes muffins."
FILLER = "The committee met again on Tuesday without an agenda. " * 40


@pytest.mark.parametrize(
    "copy",
    [
        ITEM,
        ITEM.upper(),
        ITEM.replace("’", "'").replace(" ", "\n"),
        "JANET'S\tducks — lay (16) eggs; per\u00a0day!! she EATS\r\nthree, for... breakfast *every* morning",
        "Janet\u2019s d\u00fcck\u0301s lay 16 eg\u00adgs per day. She eats three for breakfast every morning",
    ],
)
def test_an_item_in_a_long_document_is_found_in_any_spelling(tmp_path, copy):
    task = write_task(
        tmp_path, ["What is the capital of a country that has no neighbours at all, in the far north?", ITEM]
    )
    planted, clean = documents(FILLER + copy + " " + FILLER, FILLER)
    built = decontaminate(tmp_path, [[planted, clean]], [task])
    assert built.kept == [clean]
    assert [(row.id, row.reason, row.threshold) for row in built.ledger] == [(planted.id, "contaminated", 0.0)]
    assert built.ledger[0].evidence.startswith("quiz/1: " + " ".join(copy.split())[:60])
    assert built.items == [{"task": "quiz", "item": "1", "num_documents": 1}]


WORDS = [f"w{number}" for number in range(20)]


@pytest.mark.parametrize(
    ("item", "copied", "is_found"),
    [(20, 13, True), (20, 12, False), (13, 13, True), (12, 12, True), (12, 11, False), (8, 8, True), (7, 7, False)],
)
def test_thirteen_words_are_found_and_shorter_passages_whole(tmp_path, item, copied, is_found):
    # the second item keeps the stage from refusing a task of seven words alone
    tasks = [write_task(tmp_path, [" ".join(WORDS[:item]), ITEM])]
    built = decontaminate(tmp_path, [documents("before " + " ".join(WORDS[:copied]) + " after")], tasks)
    assert [hit["num_words"] for hit in built.hits] == [copied] * is_found
    assert len(built.kept) == (not is_found)


def test_numbers_tables_and_ledger_of_a_drop(tmp_path):
    tasks = [write_task(tmp_path, [ITEM, "one two"], "quiz"), write_task(tmp_path, [" ".join(WORDS)], "words")]
    both, one, clean = documents(f"{ITEM} {' '.join(WORDS)}", "a " * 13 + " ".join(WORDS[3:16]), FILLER)
    built = decontaminate(tmp_path, [[both, one], [clean]], tasks)
    assert built.kept == [clean]
    assert built.ledger == [
        LedgerRow(both.id, "s", "decontaminate", "contaminated", 1.0, 0.0, f"words/0: {' '.join(WORDS)}"),
        LedgerRow(one.id, "s", "decontaminate", "contaminated", 0.5, 0.0, f"words/0: {' '.join(WORDS[3:16])}"),
    ]
    shown = [(hit["task"], hit["item"], hit["id"], hit["num_words"], hit["item_fraction"]) for hit in built.hits]
    assert shown == [
        ("quiz", "0", both.id, 18, 1.0),
        ("words", "0", both.id, 20, 1.0),
        ("words", "0", one.id, 13, 0.125),
    ]
    assert built.hits[0]["span"] == ITEM.removesuffix(".")
    assert [(row["task"], row["item"], row["num_documents"]) for row in built.items] == [
        ("quiz", "0", 1),
        ("words", "0", 2),
    ]
    assert built.stats == {
        "documents_in": 3,
        "documents_out": 1,
        "documents_dropped": 2,
        "documents_changed": 0,
        "documents_contaminated": 2,
        "bytes_in": sum(len(document.text.encode()) for document in (both, one, clean)),
        "bytes_out": len(FILLER),
        "dropped_by_reason": {"contaminated": 2},
        "changed_by_reason": {},
        "documents_by_source": {"s": 1},
        "dropped_by_source": {"s": {"contaminated": 2}},
        "items_by_task": {"quiz": 2, "words": 1},
        "passages_by_task": {"quiz": 1, "words": 1},
        "passages_too_short_by_task": {"quiz": 1, "words": 0},
        "items_hit_by_task": {"quiz": 1, "words": 1},
        "documents_hit_by_task": {"quiz": 1, "words": 2},
    }


def test_a_report_changes_no_document(tmp_path):
    docs = documents(FILLER + ITEM, FILLER)
    built = decontaminate(tmp_path, [docs], [write_task(tmp_path, [ITEM])], action="report")
    assert built.kept == docs
    assert [(row.id, row.reason) for row in built.ledger] == [(docs[0].id, "contaminated_reported")]
    assert [(hit["action"], hit["num_words"]) for hit in built.hits] == [("kept", 18)]
    assert (built.stats["documents_contaminated"], built.stats["documents_dropped"]) == (1, 0)


def test_a_cut_leaves_the_rest_in_order(tmp_path):
    before, after = "alpha " * 10 + "beta", "gamma " + "delta " * 10
    cut, short, clean = documents(f"{before} {ITEM} {after}", f"alpha {ITEM}", FILLER)
    config = {"action": "cut", "cut": {"margin_chars": 0, "min_piece_chars": 10}}
    built = decontaminate(tmp_path, [[cut, short, clean]], [write_task(tmp_path, [ITEM])], **config)
    assert [document.text for document in built.kept] == [f"{before}\n\n. {after.strip()}", FILLER]
    assert [(row.id, row.reason) for row in built.ledger] == [
        (cut.id, "contaminated_spans_cut"),
        (short.id, "contaminated_too_short"),
    ]
    assert [hit["action"] for hit in built.hits] == ["cut", "dropped"]
    assert built.stats["changed_by_reason"] == {"contaminated_spans_cut": 1}
    assert (built.stats["documents_out"], built.stats["documents_changed"]) == (2, 1)


def test_a_document_in_too_many_pieces_goes(tmp_path):
    docs = documents(" ".join([FILLER, ITEM] * 3 + [FILLER]))
    config = {"action": "cut", "cut": {"max_pieces": 3}}
    built = decontaminate(tmp_path, [docs], [write_task(tmp_path, [ITEM])], **config)
    assert [row.reason for row in built.ledger] == ["contaminated_too_many_pieces"]
    built = decontaminate(tmp_path / "4", [docs], [write_task(tmp_path / "4", [ITEM])], action="cut")
    assert len(built.kept[0].text.split("\n\n")) == 4


def test_thresholds_on_the_share_of_item_and_document(tmp_path):
    task = write_task(tmp_path, [" ".join(WORDS)])  # 8 n-grams of 13 words
    docs = documents(" ".join(WORDS[:16]), " ".join(WORDS[:19]), FILLER + " ".join(WORDS))
    built = decontaminate(tmp_path, [docs], [task], min_item_fraction=0.7)
    assert [row.id for row in built.ledger] == [docs[1].id, docs[2].id]
    built = decontaminate(
        tmp_path / "d", [docs], [write_task(tmp_path / "d", [" ".join(WORDS)])], min_document_fraction=0.5
    )
    assert [row.id for row in built.ledger] == [docs[0].id, docs[1].id]
    assert [(hit["id"], hit["action"]) for hit in built.hits][2] == (docs[2].id, "kept")


def test_a_task_of_which_nothing_can_be_found_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"task quiz has 2 passages, none of 8 words or more"):
        decontaminate(tmp_path, [documents("x")], [write_task(tmp_path, ["one two", "three"])])


def test_workers_do_not_change_a_byte_nor_the_cut_into_parts_a_decision(tmp_path):
    docs = documents(*(FILLER * (n % 3) + (ITEM if n % 4 == 0 else f"number {n}") for n in range(12)))
    built = decontaminate(tmp_path / "a", [docs[:5], docs[5:]], [write_task(tmp_path / "a", [ITEM])])
    with LocalRunner(num_workers=2) as runner:
        task = write_task(tmp_path / "b", [ITEM])
        assert decontaminate(tmp_path / "b", [docs[:5], docs[5:]], [task], runner).files == built.files
    whole = decontaminate(tmp_path / "c", [docs], [write_task(tmp_path / "c", [ITEM])])
    assert (whole.kept, whole.ledger, whole.hits, whole.stats) == (built.kept, built.ledger, built.hits, built.stats)


def test_no_documents_at_all(tmp_path):
    built = decontaminate(tmp_path, [[]], [write_task(tmp_path, [ITEM])])
    assert (built.kept, built.ledger, built.hits, built.items) == ([], [], [], [])


LETTERS = st.sampled_from(["a", "B", "b", "É", "e\u0301", "e", " ", " ", "\n", "-", "_", "9", "ﬁ", "ß", "İ"])
TEXT = st.lists(LETTERS, max_size=40).map("".join)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(TEXT, max_size=4), max_size=3), st.lists(TEXT, max_size=4), st.integers(2, 5), st.data())
@example([["a b", "b a b"]], ["A b"], 2, None)
def test_found_is_what_the_definition_says_and_nothing_is_lost(parts, items, ngram, data):
    min_words = data.draw(st.integers(1, ngram)) if data else 2
    items = [*items, "a b e a b"]
    docs = [
        [Document(document_id("s", str(p), i), text, "s") for i, text in enumerate(part)]
        for p, part in enumerate(parts)
    ]
    with TemporaryDirectory() as folder:
        task = write_task(Path(folder), items)
        built = decontaminate(Path(folder), docs, [task], ngram=ngram, min_words=min_words)
    every = [document for part in docs for document in part]
    expected = {
        (document.id, str(number))
        for document in every
        for number, item in enumerate(items)
        if holds(document.text, item, ngram, min_words)
    }
    assert {(hit["id"], hit["item"]) for hit in built.hits} == expected
    dropped = {row.id for row in built.ledger}
    assert dropped == {identifier for identifier, _ in expected}
    assert built.kept == [document for document in every if document.id not in dropped]
    for hit in built.hits:
        wanted = plain_ngrams(items[int(hit["item"])], ngram, min_words)
        own = {
            gram
            for gram in wanted
            for document in every
            if document.id == hit["id"] and _holds_words(plain_words(document.text), gram)
        }
        assert hit["item_fraction"] == len(own) / len(wanted)


def _holds_words(words, gram):
    return any(words[i : i + len(gram)] == gram for i in range(len(words)))
