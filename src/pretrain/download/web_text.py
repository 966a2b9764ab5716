"""What a web server's bytes are: HTML, plain text or neither, and their characters.

The type goes by what the server says and by the first bytes, in the way of the WHATWG's MIME Sniffing Standard: what
begins as HTML is HTML whatever it was said to be, what holds bytes that no text has is neither. The characters go by
the HTML Standard (section 13.2.3.2): byte order mark, then the server, then `<meta>`, then detection by resiliparse.
"""

import codecs
import re
from typing import Literal

from resiliparse.parse.encoding import detect_encoding, map_encoding_to_html5

MediaType = Literal["html", "text", "other"]

_HTML_TYPES = ("text/html", "application/xhtml+xml")
_UNKNOWN_TYPES = ("", "*/*", "unknown/unknown", "application/unknown", "application/octet-stream")
_SNIFFED_BYTES = 1445  # of the standard's resource header
_BINARY = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")
_BINARY_MAGICS = (b"%PDF-", b"%!PS-Adobe-", b"PK\x03\x04", b"Rar!")
_DOCUMENT = re.compile(
    rb"\s*(?:<\?xml[^>]*>\s*)?(?:(?><!--.*?-->)\s*)*<(?:!doctype\s+html|html|head|body)[\s>]", re.I | re.S
)
_ELEMENT = re.compile(rb"\s*<(?:script|iframe|h1|div|font|table|a|style|title|b|br|p|!--)[\s>]", re.I)
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([^\s\"';]+)", re.I)
_META_CHARSET = re.compile(rb"<meta\s[^>]*?charset\s*=\s*[\"']?\s*([^\s\"'/>;]+)", re.I)
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_META_BYTES = 1024


def media_type(declared: str | None, body: bytes) -> MediaType:
    """Whether a body is HTML or plain text.

    Args:
        declared: the value of the Content-Type header field.
        body: the bytes of the payload.
    """
    said = (declared or "").partition(";")[0].strip().lower()
    head = body[:_SNIFFED_BYTES]
    mark = _byte_order_mark(head)
    if not mark.startswith("utf-16") and (_BINARY.search(head) or head.startswith(_BINARY_MAGICS)):
        return "other"
    text = head.decode(mark, "replace").lstrip("\ufeff").encode() if mark else head
    if _DOCUMENT.match(text) or (said in _UNKNOWN_TYPES and _ELEMENT.match(text)):
        return "html"
    if said in _HTML_TYPES:
        return "html"
    return "text" if said == "text/plain" else "other"


def decode(body: bytes, content_type: str | None, *, is_html: bool) -> str:
    """The characters of a body. What its encoding cannot explain becomes U+FFFD, as in a browser.

    Args:
        body: the bytes of the payload.
        content_type: the value of the Content-Type header field, for its charset.
        is_html: whether `<meta>` is heard.
    """
    candidates = _encodings(body, content_type, is_html)
    for encoding in candidates:
        try:
            return body.decode(encoding).removeprefix("\ufeff")
        except UnicodeDecodeError:
            continue
    return body.decode(candidates[0], "replace").removeprefix("\ufeff")


def _encodings(body: bytes, content_type: str | None, is_html: bool) -> list[str]:
    """Encodings of the body, the best first; none that Python does not know."""
    charset = _CHARSET.search(content_type or "")
    declared = _known(charset[1]) if charset else ""
    in_meta = _META_CHARSET.search(body, 0, _META_BYTES) if is_html else None
    meta = _known(in_meta[1].decode("ascii", "replace")) if in_meta else ""
    if meta.startswith("utf-16"):
        meta = "utf-8"  # who could read it in UTF-16 would not have found it
    detected = _known(detect_encoding(body) or "")
    found = [_byte_order_mark(body), declared, meta, "utf-8", detected]
    return [encoding for encoding in found if encoding]


def _known(label: str) -> str:
    """Python's name of an encoding by its label in the WHATWG's Encoding Standard; empty where there is none."""
    name = map_encoding_to_html5(label, fallback_utf8=False) or ""
    try:
        return codecs.lookup(name).name if name else ""
    except LookupError:
        return ""


def _byte_order_mark(body: bytes) -> str:
    return next((encoding for mark, encoding in _MARKS if body.startswith(mark)), "")
