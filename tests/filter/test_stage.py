from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain.documents import Document, LedgerRow, document_id, read_documents, read_ledger
from pretrain.filter.config import FilterConfig
from pretrain.filter.stage import build
from pretrain.runner import InlineRunner, LocalRunner
from pretrain.stage import StageContext
from pretrain.store import LocalStore
from tests.document_artifact import make_document_artifact

PROSE = "\n".join(["that with the river and the stone have to be of paper"] * 5)
COURSE = {"rules": [{"rule": "course"}]}
BOTH = {"rules": [{"rule": "course"}, {"rule": "gopher_quality", "min_words": 50}]}


def documents(*texts):
    return [Document(document_id("s", "f", i), text, "s", url=f"u{i}") for i, text in enumerate(texts)]


def run(folder, parts, config, runner=None):
    """The stats, the documents kept and the ledger of one build, and the bytes of every file by key."""
    store = LocalStore(folder)
    context = StageContext(
        stage="filter",
        config=FilterConfig.model_validate(config),
        seed=0,
        inputs={"documents": make_document_artifact(store, "download", parts)},
        external={},
        store=store,
        artifact_key="filter/x",
        runner=runner or InlineRunner(),
        progress=lambda done, total, text: None,
    )
    stats = build(context)
    keys = sorted(store.list_sizes("filter/x"))
    kept = [row for key in keys if "/data/" in key for row in read_documents(store.local_file(key))]
    ledger = [row for key in keys if "/ledger/" in key for row in read_ledger(store.local_file(key))]
    return stats, kept, ledger, {key: store.read_bytes(key) for key in keys}


def test_documents_and_ledger(tmp_path):
    good, short, repeated = documents(PROSE, "one line", "abc\n\nabc\n\nabc")
    other = Document(document_id("s", "g", 0), "é\nto be\nto be", "s")
    stats, kept, ledger, files = run(tmp_path, [[good, short], [repeated, other], []], BOTH)

    assert kept == [good]
    assert ledger == [
        LedgerRow(short.id, "s", "filter", "too_few_lines", 1.0, 3.0, None),
        LedgerRow(repeated.id, "s", "filter", "paragraph_repetition", 2 / 3, 0.3, "abc"),
        LedgerRow(other.id, "s", "filter", "paragraph_too_short", 1.0, 3.0, None),
    ]
    assert stats == {
        "documents_in": 4,
        "documents_out": 1,
        "documents_dropped": 3,
        "documents_changed": 0,
        "bytes_in": len(PROSE) + 8 + 13 + 14,
        "bytes_out": len(PROSE),
        "dropped_by_reason": {"paragraph_repetition": 1, "paragraph_too_short": 1, "too_few_lines": 1},
        "changed_by_reason": {},
        "documents_by_source": {"s": 1},
        "dropped_by_source": {"s": {"paragraph_repetition": 1, "paragraph_too_short": 1, "too_few_lines": 1}},
    }
    # one data and one ledger part a part read, empty ones too, and a receipt each
    assert [key.removeprefix("filter/x/") for key in files] == [
        *(f"data/part-0000{i}.parquet" for i in range(3)),
        *(f"ledger/part-0000{i}.parquet" for i in range(3)),
        *(f"receipts/part-0000{i}.json" for i in range(3)),
    ]


def test_the_table_of_metrics_has_every_document_and_all_that_failed(tmp_path):
    good, short = documents(PROSE, "one # line")
    config = {**BOTH, "record_metrics": True}
    stats, kept, ledger, files = run(tmp_path, [[good, short]], config)

    assert kept == [good]
    assert ledger == [LedgerRow(short.id, "s", "filter", "too_few_lines", 1.0, 3.0, None)]
    table = pq.read_table(pa.BufferReader(files["filter/x/metrics/part-00000.parquet"]))
    assert table.column_names[:6] == ["id", "source", "kept", "failed", "course.num_lines", "course.long_line_chars"]
    first, second = table.to_pylist()
    assert (first["id"], first["kept"], first["failed"]) == (good.id, True, [])
    assert (second["id"], second["kept"]) == (short.id, False)
    assert second["failed"] == [
        "course.too_few_lines",
        "gopher_quality.too_few_words",
        "gopher_quality.too_many_hashes",
        "gopher_quality.too_few_alphabetic_words",
        "gopher_quality.too_few_stop_words",
    ]
    assert second["course.long_line_chars"] is None  # there are no three lines
    assert (first["gopher_quality.num_words"], second["gopher_quality.num_words"]) == (60, 2)
    assert stats["dropped_by_reason"] == {"too_few_lines": 1}
    assert stats["failed_by_reason"]["gopher_quality.too_many_hashes"] == 1


def test_an_exhaustive_filter_without_metrics_lists_what_failed(tmp_path):
    _, _, _, files = run(tmp_path, [documents("one # line")], {**BOTH, "exhaustive": True})
    table = pq.read_table(pa.BufferReader(files["filter/x/metrics/part-00000.parquet"]))
    assert table.column_names == ["id", "source", "kept", "failed"]
    assert len(table["failed"][0]) == 5


def test_an_artifact_without_parts_gives_zeros(tmp_path):
    stats, kept, ledger, _ = run(tmp_path, [], COURSE)
    assert (stats["documents_in"], stats["dropped_by_reason"], kept, ledger) == (0, {}, [], [])


def test_workers_do_not_change_a_byte(tmp_path):
    parts = [documents(PROSE, "one line", PROSE * 2), documents("abc\n\nabc\n\nabc"), documents(PROSE, "")]
    inline = run(tmp_path / "inline", parts, BOTH)
    with LocalRunner(num_workers=2) as runner:
        assert run(tmp_path / "pool", parts, BOTH, runner) == inline


LINES = st.sampled_from(["to be with the people of", "a", "", "that that", "- item", "#", "…", "\x00", "\u2028é"])


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.lists(LINES, max_size=12).map("\n".join), max_size=5), max_size=3))
def test_every_document_is_kept_or_in_the_ledger(parts):
    docs = [
        [Document(document_id("s", str(p), i), text, "s") for i, text in enumerate(part)]
        for p, part in enumerate(parts)
    ]
    config = {"rules": [{"rule": "course"}, {"rule": "gopher_quality", "min_words": 3}]}
    with TemporaryDirectory() as folder:
        stats, kept, ledger, _ = run(Path(folder), docs, config)
    every = [document for part in docs for document in part]
    dropped = {row.id for row in ledger}
    assert kept == [document for document in every if document.id not in dropped]
    assert len(kept) + len(ledger) == len(every) == stats["documents_in"]
    assert stats["documents_out"] + stats["documents_dropped"] == stats["documents_in"]
    assert sum(stats["dropped_by_reason"].values()) == len(ledger) == len(dropped)
