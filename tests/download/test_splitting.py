import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain.download.content import UnreadableContentError
from pretrain.download.splitting import Piece, split


def test_pieces_know_the_line_they_start_in():
    assert list(split([b"a\nb\n\n\nc\n\n", b"\nd"], b"\n\n\n", 10)) == [
        Piece(b"a\nb", 0),
        Piece(b"c", 4),
        Piece(b"d", 7),
    ]


@pytest.mark.parametrize("separator", [b"\n", b"\n\n", b"ab", b"aba"])
@given(data=st.lists(st.sampled_from([b"a", b"b", b"\n", b"\n\n", b"aba", b"x" * 9]), max_size=40))
def test_pieces_are_those_of_bytes_split_however_the_content_comes(separator, data):
    whole = b"".join(data)
    expected = whole.split(separator)
    pieces = list(split(data, separator, 1000))
    assert [piece.data for piece in pieces] == expected
    starts = [len(separator.join(expected[:n])) + (len(separator) if n else 0) for n in range(len(expected))]
    assert [piece.line for piece in pieces] == [whole.count(b"\n", 0, start) for start in starts]


@pytest.mark.parametrize("separator", [b"\n", b"ab", b"\n\n"])
@given(data=st.lists(st.sampled_from([b"a", b"b", b"\n", b"\n\n", b"ab", b"xyz", b"\nx\n\n"]), max_size=60))
def test_pieces_over_the_limit_are_left_out_and_the_others_stay(separator, data):
    whole = b"".join(data)
    expected = [part if len(part) <= 3 else None for part in whole.split(separator)]
    pieces = list(split(data, separator, 3))
    assert [piece.data for piece in pieces] == expected
    unlimited = list(split([whole], separator, 1000))
    assert [piece.line for piece in pieces] == [piece.line for piece in unlimited]


def test_what_an_error_cuts_is_a_piece_without_data():
    def broken():
        yield b"a\nb"
        raise UnreadableContentError("truncated_file")

    assert list(split(broken(), b"\n", 10)) == [Piece(b"a", 0), Piece(None, 1, "truncated_file")]


def test_without_a_separator_the_content_is_one_piece():
    assert list(split([b"a\n", b"b"], None, 10)) == [Piece(b"a\nb", 0)]
    assert list(split([b"a\n", b"b"] * 9, None, 10)) == [Piece(None, 0, "too_large")]
