import codecs

import pytest

from pretrain.download.web_text import decode, media_type

GERMAN = "Grüße aus Köln: schöne Mädchen, süße Äpfel, große Öfen"
RUSSIAN = "Съешь же ещё этих мягких французских булок, да выпей чаю"


@pytest.mark.parametrize(
    ("declared", "body", "kind"),
    [
        ("text/html", b"<p>a", "html"),
        ("text/html; charset=utf-8", b"no tag", "html"),
        ("TEXT/HTML", b"", "html"),
        ("application/xhtml+xml", b"<?xml version='1.0'?><html>", "html"),
        ("text/plain", b"plain", "text"),
        ("text/plain", b"\n<!DOCTYPE html><html>", "html"),
        ("text/plain", b"<p> is a tag", "text"),
        ("application/json", b"{}", "other"),
        ("image/png", b"\x89PNG\r\n\x1a\n\0", "other"),
        ("image/png", b"<!-- a --> <!doctype HTML>", "html"),
        ("text/html", b"\x89PNG\r\n\x1a\n\0", "other"),
        ("text/html", b"%PDF-1.7 of text", "other"),
        ("text/html", b"PK\x03\x04", "other"),
        ("text/html", "<p>ä".encode("utf-16"), "html"),
        ("text/plain", "ä".encode("utf-16"), "text"),
        ("application/octet-stream", b"<html >", "html"),
        ("application/octet-stream", b"words", "other"),
        (None, b"<title>a", "html"),
        (None, b"<!-- x -->", "html"),
        (None, b"words", "other"),
        (None, b"<abbr>", "other"),
        ("application/rss+xml", b"<?xml version='1.0'?><rss>", "other"),
        ("text/css", b"p {}", "other"),
        ("text/plain", b"<!---->" * 200, "text"),  # not in exponential time
    ],
)
def test_media_type(declared, body, kind):
    assert media_type(declared, body) == kind


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        (GERMAN.encode(), None, GERMAN),
        (GERMAN.encode(), "text/html", GERMAN),
        (GERMAN.encode("latin-1"), "text/html; charset=ISO-8859-1", GERMAN),
        (GERMAN.encode("latin-1"), None, GERMAN),
        (GERMAN.encode("latin-1"), "text/html; charset=utf-8", GERMAN),
        (RUSSIAN.encode("cp1251"), "text/html; charset='windows-1251'", RUSSIAN),
        (RUSSIAN.encode("cp1251"), None, RUSSIAN),
        (RUSSIAN.encode("koi8-r"), "text/html; charset=koi8-r; x=y", RUSSIAN),
        ("“90 €”".encode("cp1252"), "text/html; charset=iso-8859-1", "“90 €”"),  # the label means windows-1252
        ("日本語".encode("shift_jis"), "text/html;charset=Shift_JIS", "日本語"),
        ("汉语".encode("gb18030"), "text/html;charset=gb2312", "汉语"),
        (codecs.BOM_UTF8 + GERMAN.encode(), "text/html; charset=iso-8859-1", GERMAN),
        (GERMAN.encode("utf-16"), "text/html; charset=iso-8859-1", GERMAN),
        (GERMAN.encode(), "text/html; charset=nonsense", GERMAN),
        (b"a\xffb" + GERMAN.encode() * 20, "text/html; charset=utf-8", "a\ufffdb" + GERMAN * 20),
        (b"", None, ""),
    ],
)
def test_characters(body, content_type, text):
    assert decode(body, content_type, is_html=True) == text


@pytest.mark.parametrize(
    "meta",
    [
        '<meta charset="windows-1251">',
        "<META CHARSET=windows-1251 />",
        '<meta http-equiv="Content-Type" content="text/html; charset=windows-1251">',
    ],
)
def test_meta_is_heard_in_html_alone(meta):
    page = meta + RUSSIAN
    assert decode(page.encode("cp1251"), "text/html", is_html=True) == page
    assert decode(page.encode(), "text/html; charset=utf-8", is_html=True) == page
    assert decode(page.encode(), "text/plain", is_html=False) == page


def test_a_meta_that_says_utf16_means_utf8():
    page = f'<meta charset="utf-16">{GERMAN}'
    assert decode(page.encode(), None, is_html=True) == page
