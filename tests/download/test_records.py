import json
import re
from pathlib import Path

import pytest

from pretrain.download.records import UnusableRecordError, metadata_json
from tests.download.downloading import download

HOSTILE_IDS = [
    "line\nbreak\r\u2028",
    "nul\x00",
    "x" * 1_000_000,
    "../../etc/passwd",
    "'; DROP TABLE documents; --",
    "",
    "\ufeff",
    "a.jsonl:1",
    0,
    -1.5,
    10**30,
    True,
    [1, ["a"]],
    {"id": {"$gt": ""}},
]


def read(folder: Path, *rows: object, **options):
    (folder / "a.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return download(folder, {"uri": "a.jsonl", **options})


def test_hostile_ids_are_kept_as_they_are_and_are_nobody_s_key(folder: Path):
    result = read(folder, *[{"text": "t", "id": value} for value in HOSTILE_IDS], id_key="id")
    assert [json.loads(document.metadata or "") for document in result.documents] == [
        {"source_id": value} for value in HOSTILE_IDS
    ]
    assert all(re.fullmatch("[0-9a-f]{32}", document.id) for document in result.documents)
    assert len({document.id for document in result.documents}) == len(HOSTILE_IDS)
    assert sorted(path.name for path in folder.iterdir()) == ["a.jsonl"]


def test_a_null_or_absent_id_and_one_with_a_lone_surrogate(folder: Path):
    result = read(folder, {"text": "t", "id": None}, {"text": "t"}, {"text": "t", "id": "\ud800"}, id_key="id")
    assert [document.metadata for document in result.documents] == ['{"id":null}', None, '{"source_id":"\ufffd"}']


def test_repeated_ids_are_two_documents(folder: Path):
    result = read(folder, {"text": "t", "id": 1}, {"text": "t", "id": 1}, id_key="id")
    assert len({document.id for document in result.documents}) == 2


def test_a_schema_that_drifts_from_line_to_line_changes_nothing_else(folder: Path):
    rows = [
        {"text": "a", "n": 1},
        {"text": "b", "n": "one"},
        {"n": {"deep": [1]}, "text": "c", "new": None},
        {"text": ["d"], "n": 1},
        {"body": "e"},
        {"text": "f"},
    ]
    result = read(folder, *rows)
    assert [(document.text, document.metadata) for document in result.documents] == [
        ("a", '{"n":1}'),
        ("b", '{"n":"one"}'),
        ("c", '{"n":{"deep":[1]},"new":null}'),
        ("f", None),
    ]
    assert result.reasons == [("not_a_string", "a.jsonl:4"), ("missing_text", "a.jsonl:5")]


@pytest.mark.parametrize(
    ("row", "options", "metadata"),
    [
        ({"license": "MIT", "n": 1}, {}, {"n": 1, "license": "MIT"}),
        ({"license": None}, {"license": "CC0-1.0"}, {"license": "CC0-1.0"}),
        ({"license": " "}, {"license": "CC0-1.0"}, {"license": "CC0-1.0"}),
        ({"license": ["MIT", "BSD"]}, {"license": "CC0-1.0"}, {"license": ["MIT", "BSD"]}),
        ({"repo": {"spdx": "MIT"}}, {"license_key": "repo.spdx"}, {"license": "MIT"}),
        ({"lic": "MIT", "license": "x"}, {"license_key": "lic"}, {"license_field": "x", "license": "MIT"}),
        ({"license": "x"}, {"license_key": "lic", "license": "MIT"}, {"license_field": "x", "license": "MIT"}),
        ({"license": "MIT", "n": 1}, {"columns": []}, {"license": "MIT"}),
        ({"a": 1, "b": 2, "c": 3}, {"columns": ["c", "a", "absent"]}, {"a": 1, "c": 3}),
        ({"a": {"b": 1, "c": 2}}, {"columns": ["a"], "id_key": "a.b"}, {"a": {"c": 2}, "source_id": 1}),
    ],
)
def test_licence_and_chosen_columns_in_metadata(folder: Path, row, options, metadata):
    (document,) = read(folder, {"text": "t", **row}, **options).documents
    assert json.loads(document.metadata or "") == metadata


@pytest.mark.parametrize("container", [lambda inner: [inner], lambda inner: {"k": inner}])
@pytest.mark.parametrize("beside", [0, "\ud800", 10**30])
def test_metadata_of_tables_has_the_same_limit_of_depth(container, beside):
    def fields(num_levels: int) -> dict[str, object]:
        value: object = 0
        for _ in range(num_levels - 1):
            value = container(value)
        return {"beside": beside, "d": value}

    assert len(json.loads(metadata_json(fields(254)))) == 2
    for num_levels in (255, 980, 5000):
        with pytest.raises(UnusableRecordError, match="too_deep"):
            metadata_json(fields(num_levels))
