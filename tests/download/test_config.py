from typing import get_args

import pytest
from pydantic import ValidationError

from pretrain.download.config import DownloadConfig, Format, Source
from pretrain.download.formats import PAGE_READERS, READERS

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def source(uri: str, **options: object) -> Source:
    return Source.model_validate({"name": "docs", "uri": uri, **options})


def test_every_format_of_a_recipe_has_a_reader():
    assert set(get_args(Format)) - {"auto"} <= {*READERS, *PAGE_READERS}


@pytest.mark.parametrize(
    ("uri", "options", "kind"),
    [
        ("data/*.jsonl.zst", {}, "files"),
        ("file:///data/a.jsonl", {}, "files"),
        ("s3://bucket/prefix/*.parquet", {}, "remote"),
        ("hf://datasets/owner/name", {"split": "train", "revision": COMMIT}, "hub"),
        ("hf://datasets//abs/folder", {"split": "train"}, "hub"),
        ("python://docs", {}, "python"),
    ],
)
def test_kind_of_place(uri, options, kind):
    assert source(uri, **options).kind == kind


@pytest.mark.parametrize(
    ("uri", "options", "message"),
    [
        ("https://me:secret@host/a.jsonl", {}, "holds a user, password or signature"),
        ("python://topics", {}, "python://docs, python://code"),
        ("hf://datasets/", {"split": "train"}, "names|no hub dataset"),
        ("hf://models/owner/name", {"split": "train"}, "no hub dataset"),
        ("hf://datasets/owner/name", {"revision": COMMIT}, "split: a hub dataset needs one"),
        ("hf://datasets/owner/name", {"split": "train", "revision": "main"}, "'main' is no commit"),
        ("hf://datasets/owner/name", {"split": "train"}, "None is no commit"),
        ("hf://datasets//folder", {"split": "train", "revision": COMMIT}, "counts by its content"),
        ("python://docs", {"format": "jsonl"}, "has its own"),
        ("python://code", {"packages": ["numpy"]}, "standard library only"),
        ("a.jsonl", {"packages": ["numpy"]}, "only a python:// uri has it"),
        ("a.jsonl", {"split": "train"}, "only an hf:// uri has it"),
        ("a.jsonl", {"max_documents": 0}, "greater than or equal to 1"),
        (
            "a.jsonl",
            {"format": "xml"},
            "'auto', 'jsonl', 'json', 'csv', 'parquet', 'arrow', 'text', 'code', 'warc' or 'html'",
        ),
        ("zip://a::s3://b", {}, "chained"),
        ("a.jsonl", {"format": "jsonl", "delimiter": ";"}, "delimiter: format jsonl has none, only csv"),
        ("a.parquet", {"format": "parquet", "separator": "x"}, "separator: format parquet has none, only text"),
        ("a.jsonl", {"format": "jsonl", "encoding": "cp1252"}, "only text, csv, code"),
        ("a.csv", {"delimiter": ":"}, "'auto', ',', "),
        ("a.txt", {"encoding": "ascii"}, "'utf-8', 'latin-1', 'cp1252' or 'utf-16'"),
        ("a.txt", {"separator": ""}, "at least 1 character"),
        ("a.txt", {"separator": "\u2028", "encoding": "cp1252"}, "cannot be written in cp1252"),
        ("a.txt", {"sha256": "ABC"}, "sha256"),
        ("python://docs", {"sha256": "0" * 64}, "only a single file has one"),
        ("python://docs", {"encoding": "latin-1"}, "has no such option"),
    ],
)
def test_a_wrong_source_is_refused_with_the_key_to_correct(uri, options, message):
    with pytest.raises(ValidationError, match=message):
        source(uri, **options)


@pytest.mark.parametrize("name", ["", "Docs", "a/b", "a b", "ä", "x" * 65])
def test_names_are_lower_case_and_usable_as_file_names(name):
    with pytest.raises(ValidationError, match="name"):
        Source(name=name, uri="a.jsonl")


def test_two_sources_of_one_name_are_refused():
    with pytest.raises(ValidationError, match="two sources are named 'docs'"):
        DownloadConfig(sources=(source("a.jsonl"), source("b.jsonl")))


def test_identity_leaves_out_where_files_lie():
    assert source("here/a.jsonl").identity() == source("/there/*.jsonl").identity()


def test_identity_keeps_what_a_uri_says_about_content():
    uris = [source(uri).identity()["uri"] for uri in ("a.jsonl", "python://docs", "python://code")]
    assert uris == ["files", "python://docs", "python://code"]
    hub = [
        source("hf://datasets/a/b", split="train", revision=COMMIT),
        source("hf://datasets/a/c", split="train", revision=COMMIT),
    ]
    assert [entry.identity()["uri"] for entry in hub] == ["hf://datasets/a/b", "hf://datasets/a/c"]
    local = [source(f"hf://datasets//{place}/copy", split="train").identity() for place in ("here", "there")]
    assert local[0] == local[1]


def test_identity_keeps_every_option():
    plain = source("a.jsonl").identity()
    for option in ("text_key", "id_key", "url_key", "lang_key", "license", "license_key", "separator"):
        assert source("a.jsonl", **{option: "x"}).identity() != plain
    for option, value in (
        ("max_documents", 1),
        ("columns", ["x"]),
        ("columns", []),
        ("encoding", "latin-1"),
        ("delimiter", ";"),
    ):
        assert source("a.jsonl", **{option: value}).identity() != plain


def test_a_given_sha256_checks_content_and_says_nothing_of_its_own():
    assert source("a.jsonl", sha256="0" * 64).identity() == source("a.jsonl").identity()
