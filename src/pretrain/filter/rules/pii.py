"""`pii`: replaces personal data in a text by placeholders. It drops nothing; the ledger has a row for each kind.

| what is replaced | reason | default placeholders, in turn from the first in every document |
|---|---|---|
| e-mail addresses | `emails_replaced` | `email@example.com`, `firstname.lastname@example.org` |
| public IPv4 addresses | `ipv4_addresses_replaced` | `22.214.171.124` and five more |
| public IPv6 addresses | `ipv6_addresses_replaced` | `2001:db8::1`, `2001:db8::2` (RFC 3849) |
| phone numbers | `phone_numbers_replaced` | `202-555-0100`, `202-555-0101` (reserved for fiction) |

The value of a row is the count; evidence is left out, for it would keep what has to go. Placeholders that stand in
the text already are left alone, so that a second pass changes nothing.

An e-mail address is a dot-atom (RFC 5322, section 3.2.3) in ASCII, `@`, and two labels or more, or an IPv4 address
in brackets; a word begins in the last 64 characters before the `@` (RFC 5321, section 4.5.3.1.1). An IPv4 address is
four numbers up to 255 with no digit, letter or further number beside them, as in a version 1.2.3.4.5. An IPv6
address begins with a group of four digits of 2000::/3, the space of public addresses, and has three groups that are
written out, so that `abc::def` in a program is none. Private, reserved and documentation ranges stay: those that
IANA's registries of special-purpose addresses (RFC 6890) call not globally reachable, with all of 192.0.0.0/24 and
2001::/23. They are written out here, for Python's own lists differ from version to version.

Phone numbers are found where the form leaves little doubt: `+`, a country code and groups of two digits or more, 8
to 15 digits in all (ITU-T E.164, section 6), or at least 10 without a mark between them; or the North American
`(202) 555-0123`, `202-555-0123`, `202.555.0123` with or without a 1 before it, area code and exchange from 200.
National forms of other countries look like any number and stay.

Source: e-mail and IPv4 as datatrove 0.10.1, `formatters/pii.py`, with its placeholders; there, numbers that are part
of longer ones are replaced too, and the turn of placeholders goes on from document to document, which makes a result
depend on the order of work. IPv6 and phone numbers are this package's own, stricter than Dolma's phone pattern
(Soldaini et al. 2024, arXiv:2402.00159, section 4.3).
"""

import re
import socket
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from pretrain.filter.rule_config import RuleConfig
from pretrain.filter.textview import TextView
from pretrain.filter.verdict import Check, Rewrite

Placeholders = Annotated[tuple[str, ...], Field(min_length=1)]
Span = tuple[int, int]


class PiiConfig(RuleConfig):
    """Placeholders of each kind, used in turn; null leaves a kind alone."""

    rule: Literal["pii"] = "pii"
    emails: Placeholders | None = Field(
        default=("email@example.com", "firstname.lastname@example.org"), description="For e-mail addresses (datatrove)"
    )
    ipv4_addresses: Placeholders | None = Field(
        default=(
            "22.214.171.124",
            "126.96.36.199",
            "188.8.131.52",
            "184.108.40.206",
            "220.127.116.11",
            "18.104.22.168",
        ),
        description="For public IPv4 addresses (datatrove: addresses that answered no ping)",
    )
    ipv6_addresses: Placeholders | None = Field(
        default=("2001:db8::1", "2001:db8::2"), description="For public IPv6 addresses (RFC 3849: documentation)"
    )
    phone_numbers: Placeholders | None = Field(
        default=("202-555-0100", "202-555-0101"), description="For phone numbers (555-0100 to -0199: fiction)"
    )

    def make_rule(self, files: Mapping[str, Path]) -> "Pii":
        """The rule with these placeholders."""
        return Pii(self)


class Pii:
    """Replaces the kinds of one config, e-mail addresses first."""

    metrics = ()

    def __init__(self, config: PiiConfig) -> None:
        kinds = (
            ("emails_replaced", find_emails, config.emails),
            ("ipv4_addresses_replaced", find_ipv4_addresses, config.ipv4_addresses),
            ("ipv6_addresses_replaced", find_ipv6_addresses, config.ipv6_addresses),
            ("phone_numbers_replaced", find_phone_numbers, config.phone_numbers),
        )
        self._kinds = [(reason, find, placeholders) for reason, find, placeholders in kinds if placeholders is not None]

    def checks(self, view: TextView) -> Iterator[Check | Rewrite]:
        """One rewrite for each kind that is there."""
        text = view.text
        for reason, find, placeholders in self._kinds:
            text, num_replaced = _replaced(text, find(text), placeholders)
            if num_replaced:
                yield Rewrite(text, reason, num_replaced)


def _replaced(text: str, spans: Iterable[Span], placeholders: tuple[str, ...]) -> tuple[str, int]:
    """The text with placeholders in place of spans, and how many spans were replaced."""
    pieces, end, num_replaced = [], 0, 0
    for start, stop in spans:
        if text[start:stop] in placeholders:
            continue
        pieces += [text[end:start], placeholders[num_replaced % len(placeholders)]]
        end, num_replaced = stop, num_replaced + 1
    return "".join([*pieces, text[end:]]), num_replaced


# Possessive quantifiers and bounded repeats throughout: hostile text costs no more than linear time.
_MAX_LOCAL_CHARS = 64
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LOCAL = re.compile(rf"\b{_ATOM}(?:\.{_ATOM})*\Z")
_LABEL = r"[A-Za-z0-9]++(?:-++[A-Za-z0-9]++)*+"
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9]?)"
_AT_HOST = re.compile(rf"@(?:(?:{_LABEL}\.)+{_LABEL}|\[(?:{_OCTET}\.){{3}}{_OCTET}\])")


def find_emails(text: str) -> Iterator[Span]:
    """Where e-mail addresses are."""
    end = 0
    for host in _AT_HOST.finditer(text):
        at = host.start()
        local = _LOCAL.search(text, max(end, at - _MAX_LOCAL_CHARS), at)
        if local:
            end = host.end()
            yield local.start(), end


_FOUR_NUMBERS = re.compile(r"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}")  # four times as fast as _IPV4
_NUMBER = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = re.compile(rf"(?:{_NUMBER}\.){{3}}{_NUMBER}")
_SPECIAL_IPV4 = re.compile(
    r"(?:0|10|127|2[45][0-9]|100\.(?:6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7])|169\.254|172\.(?:1[6-9]|2[0-9]|3[01])"
    r"|192\.(?:0\.[02]|168)|198\.(?:1[89]|51\.100)|203\.0\.113)\."
)


def find_ipv4_addresses(text: str) -> Iterator[Span]:
    """Where public IPv4 addresses are."""
    for match in _FOUR_NUMBERS.finditer(text):
        start, end = match.span()
        is_part = _is_word(text, start - 1) or _is_word(text, end)
        is_part = is_part or (text[start - 1 : start] == "." and _is_digit(text, start - 2))
        is_part = is_part or (text[end : end + 1] == "." and _is_digit(text, end + 1))
        if not is_part and _IPV4.fullmatch(text, start, end) and not _SPECIAL_IPV4.match(text, start):
            yield start, end


_DOCUMENTATION_3FFF = frozenset(bytes((0x3F, 0xFF, third)) for third in range(0x10))  # 3fff::/20
_MIN_IPV6_GROUPS = 3
_IPV6 = re.compile(r"[23][0-9A-Fa-f]{3}:[0-9A-Fa-f:]{2,34}+")


def find_ipv6_addresses(text: str) -> Iterator[Span]:
    """Where public IPv6 addresses are."""
    for match in _IPV6.finditer(text):
        start, end = match.span()
        if _is_word(text, start - 1) or text[start - 1 : start] == ":" or _is_word(text, end):
            continue
        if sum(map(bool, match.group().split(":"))) < _MIN_IPV6_GROUPS:
            continue
        for stop in (end, end - 1) if text[end - 1] == ":" else (end,):  # the colon may be the sentence's
            if _is_public_ipv6(text[start:stop]):
                yield start, stop
                break


def _is_public_ipv6(text: str) -> bool:
    try:
        address = socket.inet_pton(socket.AF_INET6, text)
    except OSError:
        return False
    is_protocol = address[:2] == b"\x20\x01" and address[2] < 0x02  # 2001::/23
    return not is_protocol and address[:4] != b"\x20\x01\x0d\xb8" and address[:3] not in _DOCUMENTATION_3FFF


_MARK = r"(?:[ .\-/\u00a0\u2010\u2011]|[ .\-]?\((?:0\))?|\)[ .\-]?)"
_PHONE = re.compile(
    rf"""
      (?= [+(1-9] )  # where none begins is passed over at four times the speed
    (?:
      \+ 1 {_MARK}? [2-9][0-9]{{2}} {_MARK}? [2-9][0-9]{{2}} {_MARK}? [0-9]{{4}}
    | \+ [2-9][0-9]{{0,14}}+ (?: {_MARK} [0-9]{{2,14}}+ ){{0,6}}+
    | (?: 1[-.] )? (?: \( [2-9][0-9]{{2}} \) \ ? | [2-9][0-9]{{2}} [-.] ) [2-9][0-9]{{2}} [-.] [0-9]{{4}}
    )
    """,
    re.VERBOSE,
)
_MAX_PHONE_DIGITS = 15
_MIN_GROUPED_DIGITS = 8
_MIN_UNGROUPED_DIGITS = 10
_PHONE_GOES_ON = re.compile(r"\w|[-./][0-9]")


def find_phone_numbers(text: str) -> Iterator[Span]:
    """Where phone numbers are."""
    for match in _PHONE.finditer(text):
        start, end = match.span()
        num_digits = sum(map(str.isdecimal, match.group()))
        least = _MIN_UNGROUPED_DIGITS if num_digits == end - start - 1 else _MIN_GROUPED_DIGITS
        is_part = _is_word(text, start - 1) or text[start - 1 : start] in ("+", "-", ".", "/")
        if least <= num_digits <= _MAX_PHONE_DIGITS and not is_part and not _PHONE_GOES_ON.match(text, end):
            yield start, end


def _is_word(text: str, index: int) -> bool:
    char = text[index : index + 1] if index >= 0 else ""
    return char.isalnum() or char == "_"


def _is_digit(text: str, index: int) -> bool:
    return index >= 0 and text[index : index + 1].isdecimal()
