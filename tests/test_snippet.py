"""Text of a corpus where it is shown: nothing of it acts, and no secret is in it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from pretrain.snippet import harmless, one_line, snippet, without_credentials

HOSTILE = [
    "[click](https://evil.example/x)",
    "![x](https://evil.example/track.png)",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<https://evil.example>",
    "https://evil.example and www.evil.example and me@evil.example",
    "[a]: https://evil.example\n\n[a]",
    "[x](javascript:alert(1))",
    "&lt;script&gt;",
    "# a heading",
    "```\ncode\n```",
    "<!-- comment",
    "</td></table><h1>out",
    "**bold** __bold__ ~~gone~~ `code`",
    "![x][y]",
    "- a list",
    "1. a list",
    "---",
    "__init__ and *args, **kwargs",
]


def looks(text: str) -> str:
    """What a reader sees."""
    return text.replace("\u200b", "").translate(str.maketrans("\u02cb\u2217\u223c", "`*~"))


def tags(text: str) -> set[str]:
    """The HTML elements that the text becomes where it is drawn as GitHub's Markdown."""
    drawn = MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(text)
    return set(re.findall(r"<[^>]*>", drawn))


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_in_it_acts_as_markdown_or_html(text: str) -> None:
    assert tags(snippet(text)) == {"<p>", "</p>"}
    assert tags(f"before {snippet(text)} after") == {"<p>", "</p>"}
    assert not re.search(r"://|www\.\w|@\w", snippet(text))  # what GitHub's dialect would link unasked
    assert looks(snippet(text)) == " ".join(text.split())


@given(st.text(alphabet="<>[]()!&#*_`~|\\:/@. aw\nhtps=\"'-+1", max_size=40))
def test_no_text_becomes_markup(text: str) -> None:
    assert tags(snippet(text)) <= {"<p>", "</p>"}
    assert looks(harmless(text)) == text


def test_on_one_line() -> None:
    assert one_line("a\r\n\tb  \u2028c ") == "a b c"
    assert one_line("\x1b[31mred\x07 \u202egnp.exe \ud800") == "\ufffd[31mred\ufffd \ufffdgnp.exe \ufffd"
    assert one_line("abcdef", 6) == "abcdef"
    assert one_line("abcdefg", 6) == "abcde…"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("key AKIAIOSFODNN7EXAMPLE.", "key [secret]."),
        ("ghp_" + "a1B2" * 9, "[secret]"),
        ("use hf_" + "aB3" * 11 + " now", "use [secret] now"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- end", "[secret] end"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE", "[secret]"),
        ("postgres://me:hunter2@db.example/x", "postgres://db.example/x"),
        ("https://s3.example/a?X-Amz-Signature=abc", "https://s3.example/a"),
        ("https://example.org/a?page=2", "https://example.org/a?page=2"),
        ('PASSWORD = "correct horse"', "PASSWORD = [secret]"),
        ("aws_secret_access_key: wJalrXUtnFEMI/K7MDENG", "aws_secret_access_key: [secret]"),
        ("the password is short", "the password is short"),
        ("token = None", "token = None"),
    ],
)
def test_secrets_are_masked(text: str, shown: str) -> None:
    assert without_credentials(text) == shown


def test_a_secret_that_lies_across_the_cut_is_masked() -> None:
    assert "AKIA" not in snippet("x" * 110 + " AKIAIOSFODNN7EXAMPLE")
