import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain.download import csv_rows as module
from pretrain.download.csv_rows import Row, csv_rows
from pretrain.download.splitting import Piece, split


def rows(data: bytes, delimiter: bytes | None = b",") -> list[Row]:
    return list(csv_rows(split([data], b"\n", 1 << 20), delimiter))


@pytest.mark.parametrize(
    ("data", "fields"),
    [
        (b"a,b", [b"a", b"b"]),
        (b"a,", [b"a", b""]),
        (b",", [b"", b""]),
        (b'""', [b""]),
        (b'"a,b","c\nd"', [b"a,b", b"c\nd"]),
        (b'"a\r\nb"\r\n', [b"a\r\nb"]),
        (b'"say ""hi"""', [b'say "hi"']),
        (b'5" disk,x', [b'5" disk', b"x"]),
        (b'"a"b,c', [b"ab", b"c"]),
        (b'"a" "b",c', [b'a "b"', b"c"]),
        (b' "a",b', [b' "a"', b"b"]),
        (b'"\n\n"', [b"\n\n"]),
        (b"a\x00b,\xff", [b"a\x00b", b"\xff"]),
    ],
)
def test_fields_of_a_row(data, fields):
    assert [row.fields for row in rows(data)] == [fields]


def test_rows_know_the_line_they_start_in_and_blank_lines_are_none():
    data = b'a\n\n"b\nc"\n\r\nd'
    assert rows(data) == [Row([b"a"], 0), Row([b"b\nc"], 2), Row([b"d"], 5)]


def test_a_quote_that_nothing_closes_ends_the_rows():
    assert rows(b'a\n"b\nc\nd') == [Row([b"a"], 0), Row(None, 1, "unclosed_quote")]


def test_a_line_that_cannot_be_had_takes_its_row_along():
    pieces = [Piece(b"a", 0), Piece(b'"b', 1), Piece(None, 2, "too_large"), Piece(b"c", 3)]
    assert list(csv_rows(pieces, b",")) == [Row([b"a"], 0), Row(None, 1, "too_large"), Row([b"c"], 3)]


def test_a_row_over_the_limit_is_left_out_and_the_next_is_read(monkeypatch):
    monkeypatch.setattr(module, "MAX_RECORD_BYTES", 20)
    assert rows(b'"' + b"x\n" * 30 + b'",2\nnext') == [Row(None, 0, "too_large"), Row([b"next"], 31)]
    assert rows(b"x" * 20) == [Row([b"x" * 20], 0)]
    assert rows(b"x" * 21) == [Row(None, 0, "too_large")]


@pytest.mark.parametrize("start", [b"", b'"q"'])
def test_a_row_of_too_many_fields_is_left_out_and_the_next_is_read(start):
    assert rows(start + b"," * 70_000 + b"\nnext") == [Row(None, 0, "wrong_field_count"), Row([b"next"], 1)]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"text,id", [b"text", b"id"]),
        (b"text\tid\tb,c", [b"text", b"id", b"b,c"]),
        (b'"a;b;c";text', [b"a;b;c", b"text"]),
        (b"a|b", [b"a", b"b"]),
        (b"text", [b"text"]),
    ],
)
def test_the_delimiter_is_the_one_found_most_often_outside_quotes(header, expected):
    assert rows(header, None)[0].fields == expected


@given(st.lists(st.sampled_from(["a", '"', ",", "\n", " ", "\r\n"]), max_size=40))
def test_rows_are_those_of_the_csv_module(tokens):
    text = "".join(tokens)
    expected = reference(text)
    found = [[field.decode() for field in row.fields] for row in rows(text.encode()) if row.fields is not None]
    if expected is not None:
        assert found == expected


def reference(text: str) -> list[list[str]] | None:
    """What the csv module reads, or None where a quote stays open: then the last line, ours, is no row of its own."""
    found = [row for row in csv.reader(line + "\n" for line in [*text.split("\n"), "\x01"]) if row]
    return found[:-1] if found and found[-1] == ["\x01"] else None


@given(st.lists(st.lists(st.text(), min_size=2, max_size=4), max_size=6), st.sampled_from([",", "\t", ";", "|"]))
def test_what_the_csv_module_writes_reads_back(table, delimiter):
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter).writerows(table)
    data = out.getvalue().encode("utf-8", "surrogatepass")
    found = [
        [field.decode("utf-8", "surrogatepass") for field in row.fields or []] for row in rows(data, delimiter.encode())
    ]
    assert found == table
