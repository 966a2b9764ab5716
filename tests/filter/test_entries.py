import gzip

import pytest

from pretrain.errors import InputError
from pretrain.filter.entries import read_entries

LIST = b"# a comment\n\nOne\r\n  two # not a comment\nthree"


def test_one_entry_a_line_plain_or_gzip(tmp_path):
    (tmp_path / "plain.txt").write_bytes(LIST)
    (tmp_path / "packed").write_bytes(gzip.compress(LIST))
    expected = ["one", "two # not a comment", "three"]
    assert list(read_entries(tmp_path / "plain.txt", str.lower)) == expected
    assert list(read_entries(tmp_path / "packed", str.lower)) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"one\n\xff\xfe\n", "line 2 of the list .* is not UTF-8"),
        (b"one\n--\n", "line 2 of the list .* is '--', which can match nothing: remove it"),
        (gzip.compress(LIST, mtime=0)[:-9], "cannot read the list"),
        (b"\x1f\x8bnot gzip", "cannot read the list"),
    ],
)
def test_a_bad_list_names_the_file_and_the_line(tmp_path, content, message):
    (tmp_path / "list").write_bytes(content)
    with pytest.raises(InputError, match=message):
        list(read_entries(tmp_path / "list", lambda entry: entry.strip("-")))


def test_a_missing_list(tmp_path):
    with pytest.raises(InputError, match=r"cannot read the list .*none"):
        list(read_entries(tmp_path / "none", str))
