import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pretrain.download.readers import jsonl
from pretrain.filter.textview import TextView
from tests.download.downloading import download

TEXT = '{"text":"good"}'
# Either sends a line past orjson, to Python's recursive parser and writer.
BESIDE = {"surrogate": b'"\\ud800"', "large integer": b"9" * 30}


def nested(depth: int, beside: bytes = b"0") -> bytes:
    """A record whose field `d` is `depth` arrays in one another: `depth + 1` levels."""
    return b'{"text":"t","s":%s,"d":%s%s}' % (beside, b"[" * depth, b"]" * depth)


# line -> (text, metadata) of a document, or the reason in the ledger
HOSTILE = [
    (b'{"text":"plain"}', ("plain", None)),
    (b'{"text":"with CR at the end"}\r', ("with CR at the end", None)),
    ('{"text":"a\u2028b\u2029c\u0085d"}'.encode(), ("a\u2028b\u2029c\u0085d", None)),
    (b'{"text":"nul \\u0000 kept"}', ("nul \x00 kept", None)),
    (b'{"text":"\\ud83d\\ude00"}', ("\U0001f600", None)),
    (b'{"text":"first","text":"last"}', ("last", None)),
    (b'{"text":"  spaces kept \\n"}', ("  spaces kept \n", None)),
    (b'{"text":"t","n":123456789012345678901234567890}', ("t", '{"n":123456789012345678901234567890}')),
    (b'{"text":"t","n":18446744073709551615}', ("t", '{"n":18446744073709551615}')),
    (b'{"text":"t","s":"\\ud800x"}', ("t", '{"s":"\ufffdx"}')),
    (b'{"text":"t","b":2,"a":{"deep":[1,null]}}', ("t", '{"b":2,"a":{"deep":[1,null]}}')),
    (b'{"text":"t","\\n":"","":0}', ("t", '{"\\n":"","":0}')),
    *[(nested(depth), "too_deep") for depth in (254, 300, 900, 979, 2000, 100_000)],
    *[(nested(depth, beside), "too_deep") for depth in (254, 300, 900, 979, 2000) for beside in BESIDE.values()],
    (nested(253, BESIDE["surrogate"]), ("t", '{"s":"\ufffd","d":' + "[" * 253 + "]" * 253 + "}")),
    (nested(253, b"9" * 30), ("t", '{"s":' + "9" * 30 + ',"d":' + "[" * 253 + "]" * 253 + "}")),
    (b'{"text":"' + b"[{" * 500 + b'\\"[","s":"\\ud800"}', ("[{" * 500 + '"[', '{"s":"\ufffd"}')),
    (b'{"text":"t","n":-' + b"9" * 4300 + b"}", ("t", '{"n":-' + "9" * 4300 + "}")),
    (b'{"text":"t","n":' + b"9" * 4301 + b"}", "too_many_digits"),
    (b'{"text":"t","n":[{"m":-1' + b"0" * 9999 + b"}]}", "too_many_digits"),
    (b'{"text":"t","n":' + b"9" * 4301 + b".5}", ("t", '{"n":null}')),
    (b'{"text":"lone \\ud800 surrogate"}', "invalid_utf8"),
    (b'{"text":"latin-1 \xe9"}', "invalid_utf8"),
    (b'{"text":"t","n":NaN}', "invalid_json"),
    (b'{"text":"t","n":1e400}', ("t", '{"n":null}')),
    (b'{"text":"raw \x00"}', "invalid_json"),
    (b'{"text":"cut', "invalid_json"),
    (b"not json", "invalid_json"),
    (b"[1,2]", "not_an_object"),
    (b'"text"', "not_an_object"),
    (b"null", "not_an_object"),
    (b"{}", "missing_text"),
    (b'{"Text":"other key"}', "missing_text"),
    (b'{"text":null}', "missing_text"),
    (b'{"text":7}', "not_a_string"),
    (b'{"text":["a"]}', "not_a_string"),
    (b'{"text":""}', "empty_text"),
    (b'{"text":" \\n\\t\\u00a0"}', "empty_text"),
]


@pytest.mark.parametrize(("line", "outcome"), HOSTILE, ids=[str(index) for index in range(len(HOSTILE))])
def test_outcome_of_a_hostile_line_between_good_ones(folder: Path, line, outcome):
    (folder / "a.jsonl").write_bytes(b"\n".join([TEXT.encode(), line, TEXT.encode(), b""]))
    result = download(folder, {"uri": "a.jsonl"})
    assert [result.texts[0], result.texts[-1]] == ["good", "good"]
    if isinstance(outcome, str):
        assert result.reasons == [(outcome, "a.jsonl:2")]
        assert len(result.documents) == 2
    else:
        assert (result.documents[1].text, result.documents[1].metadata) == outcome
        assert result.ledger == []


def deeper(frames: int, call: Callable[[], Any]) -> Any:
    """What a call returns from so many frames further down the stack."""
    return deeper(frames - 1, call) if frames else call()


@pytest.mark.parametrize("frames", [0, 60, 400])
@pytest.mark.parametrize("beside", BESIDE)
def test_the_limit_of_depth_is_that_of_the_record_and_not_of_the_stack(folder: Path, beside, frames):
    lines = [nested(depth, BESIDE[beside]) for depth in (253, 254, 300, 900, 979)]
    (folder / "a.jsonl").write_bytes(b"\n".join(lines))
    result = deeper(frames, lambda: download(folder, {"uri": "a.jsonl"}))
    assert result.texts == ["t"]
    assert result.reasons == [("too_deep", f"a.jsonl:{line}") for line in (2, 3, 4, 5)]
    assert deeper(frames, lambda: len(TextView("t", result.documents[0]).metadata)) == 2


def test_blank_lines_are_no_records_but_count_as_lines(folder: Path):
    (folder / "a.jsonl").write_bytes(b'\n \n{"text":"a"}\r\n\r\n{"text":7}')
    result = download(folder, {"uri": "a.jsonl"})
    assert result.texts == ["a"]
    assert result.reasons == [("not_a_string", "a.jsonl:5")]
    assert result.stats["documents_in"] == 2


def test_a_byte_order_mark_is_ignored_at_the_start_and_an_error_elsewhere(folder: Path):
    (folder / "a.jsonl").write_bytes(b'\xef\xbb\xbf{"text":"a"}\n\xef\xbb\xbf{"text":"b"}\n')
    result = download(folder, {"uri": "a.jsonl"})
    assert result.texts == ["a"]
    assert result.reasons == [("invalid_json", "a.jsonl:2")]


def test_a_20_megabyte_line_is_read(folder: Path):
    (folder / "a.jsonl").write_text(json.dumps({"text": "x" * 20_000_000}) + "\n" + TEXT)
    assert [len(text) for text in download(folder, {"uri": "a.jsonl"}).texts] == [20_000_000, 4]


def test_a_line_over_the_limit_is_too_large_and_the_next_is_read(folder: Path, monkeypatch):
    monkeypatch.setattr(jsonl, "MAX_RECORD_BYTES", 3_000_000)
    (folder / "a.jsonl").write_text("\n".join([TEXT, json.dumps({"text": "x" * 9_000_000}), TEXT]))
    result = download(folder, {"uri": "a.jsonl"})
    assert result.texts == ["good", "good"]
    assert result.reasons == [("too_large", "a.jsonl:2")]


def test_columns_and_metadata(folder: Path):
    row = {"id": 9, "body": "text", "link": "http://x", "language": "en", "source": "web", "text": "other"}
    (folder / "a.jsonl").write_text(json.dumps(row))
    keys = {"text_key": "body", "id_key": "id", "url_key": "link", "lang_key": "language"}
    (document,) = download(folder, {"uri": "a.jsonl", **keys, "license": "CC0-1.0"}).documents
    assert (document.text, document.url, document.lang, document.source) == ("text", "http://x", "en", "s0")
    metadata = {"source": "web", "text": "other", "source_id": 9, "license": "CC0-1.0"}
    assert json.loads(document.metadata or "") == metadata


def test_a_record_keeps_its_own_licence_and_what_is_no_string_stays_in_metadata(folder: Path):
    row = {"text": "t", "url": 5, "license": "MIT", "id": "i", "source_id": "old"}
    (folder / "a.jsonl").write_text(json.dumps(row))
    keys = {"id_key": "id", "url_key": "url", "license": "CC0-1.0"}
    (document,) = download(folder, {"uri": "a.jsonl", **keys}).documents
    assert document.url is None
    expected = {"url": 5, "license": "MIT", "source_id_field": "old", "source_id": "i"}
    assert json.loads(document.metadata or "") == expected


@given(st.lists(st.text(), max_size=8))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_arbitrary_text_round_trips(folder: Path, texts: list[str]):
    lines = [json.dumps({"text": text}, ensure_ascii=index % 2 == 0) for index, text in enumerate(texts)]
    data = "\n".join([*lines, TEXT]).encode("utf-8", "surrogatepass")
    (folder / "a.jsonl").write_bytes(data)
    result = download(folder, {"uri": "a.jsonl"})
    kept = [text for text in texts if text.strip()]
    assert result.texts == [*kept, "good"]
    assert result.stats["documents_in"] == len(texts) + 1


# Mostly of bytes that mean something to JSON or to a line.
LINE_BYTES = st.one_of(st.binary(max_size=400), st.text('{}[]":,\\ntext\n\r 7', max_size=400).map(str.encode))


@given(LINE_BYTES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_arbitrary_bytes_are_conserved(folder: Path, data: bytes):
    (folder / "a.jsonl").write_bytes(TEXT.encode() + b"\n" + data)
    result = download(folder, {"uri": "a.jsonl"})
    assert result.texts[:1] == ["good"]
    num_lines = 1 + sum(1 for line in data.split(b"\n") if line.strip())
    assert len(result.documents) + len(result.ledger) == result.stats["documents_in"] == num_lines
