import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain.download.readers import json_values
from tests.download.downloading import download

ROWS = [{"text": 'a "\\ [{,'}, {"text": "b\n", "n": [1, {"x": []}, "]"]}, {"text": "ü", "empty": {}}]


def read(folder: Path, data: bytes, name: str = "a.json", **options):
    (folder / name).write_bytes(data)
    return download(folder, {"uri": name, **options})


@pytest.mark.parametrize("indent", [None, 1, "\t"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf", b" \n"])
def test_an_array_of_objects_reads_as_its_objects_do(folder: Path, indent, mark):
    result = read(folder, mark + json.dumps(ROWS, indent=indent).encode())
    assert result.texts == [row["text"] for row in ROWS]
    assert [json.loads(document.metadata or "{}") for document in result.documents] == [
        {},
        {"n": [1, {"x": []}, "]"]},
        {"empty": {}},
    ]


def test_objects_over_several_lines_follow_one_another(folder: Path):
    data = "\n".join(json.dumps(row, indent=2) for row in ROWS).encode()
    assert read(folder, data).texts == read(folder, data, name="dump").texts == [row["text"] for row in ROWS]


@pytest.mark.parametrize(
    ("element", "reason"),
    [
        (b"{oops}", "invalid_json"),
        (b'{"text":NaN}', "invalid_json"),
        (b"7", "not_an_object"),
        (b'"text"', "not_an_object"),
        (b"[1,2]", "not_an_object"),
        (b'{"text":"\xff"}', "invalid_utf8"),
        (b'{"text":"t","d":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "too_deep"),
        (b'{"other":1}', "missing_text"),
    ],
)
def test_a_bad_element_is_dropped_alone(folder: Path, element, reason):
    result = read(folder, b'[{"text":"a"},\n' + element + b',\n{"text":"b"}]')
    assert (result.texts, result.reasons) == (["a", "b"], [(reason, "a.json:2")])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'[{"text":"a"},\n{"text":"b"', ("truncated_file", "a.json:2")),
        (b'[{"text":"a"},\n{"text":"b\\', ("truncated_file", "a.json:2")),
        (b'[{"text":"a"}}\n,{"text":"b"}]', ("invalid_json", "a.json:1")),
    ],
)
def test_what_precedes_lost_brackets_is_kept(folder: Path, data, reason):
    result = read(folder, data)
    assert result.reasons[-1] == reason
    assert result.texts in (["a"], [])


def test_an_element_over_the_limit_is_too_large_and_the_next_is_read(folder: Path, monkeypatch):
    monkeypatch.setattr(json_values, "MAX_RECORD_BYTES", 100)
    result = read(folder, json.dumps([{"text": "a"}, {"text": "x" * 100}, {"text": "b"}]).encode())
    assert (result.texts, result.reasons) == (["a", "b"], [("too_large", "a.json:1")])


VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(VALUES, max_size=5), st.sampled_from([None, 1]), st.integers(1, 9), st.booleans())
def test_elements_are_found_wherever_the_content_is_cut(values, indent, size, is_array):
    rows = values if is_array else [value for value in values if isinstance(value, dict)]
    text = json.dumps(rows, indent=indent) if is_array else "".join(json.dumps(row, indent=indent) for row in rows)
    data = text.encode()
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    elements = list(json_values._elements(pieces))
    assert [json.loads(element.data or b"") for element in elements] == rows
