"""The parts of a web address that lists of addresses name, in one spelling.

Addresses come as crawlers and attackers wrote them, so nothing here raises: what is no address has an empty host.
Host names are compared in lower case, without a trailing dot, and as ASCII (IDNA 2008 after the mapping of UTS 46,
not transitional; a label that IDNA refuses is taken as plain punycode). Backslashes, tabs and line feeds are read
as browsers read them (WHATWG URL Standard, section 4.4).
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import unquote

import idna

# RFC 1035, section 2.3.4: 255 octets, of which a name in text takes 253.
MAX_HOST_CHARS = 253

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}:(?=/)")
_AUTHORITY_END = re.compile(r"[/?]")
_PORT = re.compile(r":([0-9]*)$")
_CONTROL_OR_SPACE = "".join(map(chr, range(0x21)))
_REMOVED = str.maketrans("\\", "/", "\t\n\r")
_DEFAULT_PORTS = ("", ":", ":80", ":443")


class Address(NamedTuple):
    """An address cut apart.

    Attributes:
        host: the host name in its one spelling, or an IP address as written; empty where there is none.
        rest: all after the host but the fragment: a port other than 80 and 443, path and query. The path `/` alone
            is left out.
    """

    host: str
    rest: str


def parse_address(url: str) -> Address:
    """The parts of an address, with or without a scheme; user, password and fragment are left out."""
    text = url.strip(_CONTROL_OR_SPACE).translate(_REMOVED)
    text = text[scheme.end() :] if (scheme := _SCHEME.match(text)) else text
    text = text.lstrip("/").partition("#")[0]
    end = found.start() if (found := _AUTHORITY_END.search(text)) else len(text)
    authority, rest = text[:end], text[end:]
    host = authority.rpartition("@")[2]
    port = found.group() if (found := _PORT.search(host)) else ""
    host = normalize_host(host.removesuffix(port))
    return Address(host, ("" if port in _DEFAULT_PORTS else port) + ("" if rest == "/" else rest))


def normalize_host(host: str) -> str:
    """A host name in the spelling that `Address.host` has."""
    host = unquote(host) if "%" in host else host
    if not host.isascii():
        host = _to_ascii(host)
    return host.lower().strip(".")


def domains_of(host: str) -> Iterator[str]:
    """The host name and every domain above it, the longest first: `a.b.example`, `b.example`, `example`."""
    # No list has a longer name, and one of many thousand labels would take quadratic time.
    start = len(host) - MAX_HOST_CHARS
    start = host.find(".", start - 1) + 1 if start > 0 else 0
    if start == 0 and len(host) > MAX_HOST_CHARS:
        return
    while True:
        yield host[start:]
        start = host.find(".", start) + 1
        if start == 0:
            return


def _to_ascii(host: str) -> str:
    if len(host) > MAX_HOST_CHARS:
        return host
    try:
        return idna.encode(host, uts46=True).decode("ascii")
    except UnicodeError:
        labels = unicodedata.normalize("NFKC", host).lower().split(".")
        return ".".join(label if label.isascii() else f"xn--{label.encode('punycode').decode()}" for label in labels)
