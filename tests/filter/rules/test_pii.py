import ipaddress
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain.filter.rules.pii import (
    PiiConfig,
    find_emails,
    find_ipv4_addresses,
    find_ipv6_addresses,
    find_phone_numbers,
)
from tests.filter.judging import judgement_of, rewritten

MARKED = PiiConfig(emails=("<E>",), ipv4_addresses=("<4>",), ipv6_addresses=("<6>",), phone_numbers=("<P>",))


def marked(text):
    return rewritten(MARKED, text)[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("write to jane.doe@mail.example.com.", "write to <E>."),
        ("<jane_doe+tag@example.co.uk>", "<<E>>"),
        ("mailto:JANE@EXAMPLE.COM", "mailto:<E>"),
        ("a@b.com,c@d.org", "<E>,<E>"),
        ("a@b.com@c.com", "<E>@c.com"),
        ("jane@[8.8.8.8]", "<E>"),
        ("o'brien@example.com", "<E>"),
        ("-jane@example.com", "-<E>"),  # a name begins at a word
        ("..jane@example.com", "..<E>"),
        ("jane..doe@example.com", "jane..<E>"),
        ("jane@localhost", "jane@localhost"),
        ("jane@-example.com", "jane@-example.com"),
        ("jane@example-.com", "jane@example-.com"),
        ("jane.@example.com", "jane.@example.com"),
        ("@decorator.example", "@decorator.example"),
        ("git@github.com:owner/name", "<E>:owner/name"),  # nothing tells it from an address
        ("x" * 64 + "@example.com", "<E>"),
        ("x" * 65 + "@example.com", "x" * 65 + "@example.com"),  # no word begins in the last 64 characters
        ("a." + "x" * 64 + "@example.com", "a.<E>"),
    ],
)
def test_emails(text, expected):
    assert marked(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("from 8.8.8.8, port 80", "from <4>, port 80"),
        ("8.8.8.8:53 and 1.1.1.1/24.", "<4>:53 and <4>/24."),
        ("255.8.8.8", "255.8.8.8"),  # 240.0.0.0/4 is reserved
        ("223.255.255.255", "<4>"),
        ("256.8.8.8 8.8.8.256", "256.8.8.8 8.8.8.256"),
        ("08.8.8.8", "08.8.8.8"),
        ("version 1.2.3.4.5", "version 1.2.3.4.5"),
        ("v8.8.8.8 8.8.8.8b 1234.8.8.8 8.8.8.1234", "v8.8.8.8 8.8.8.8b 1234.8.8.8 8.8.8.1234"),
        ("10.0.0.1 172.16.0.1 192.168.1.1 127.0.0.1", "10.0.0.1 172.16.0.1 192.168.1.1 127.0.0.1"),
        ("172.15.255.255 172.32.0.0", "<4> <4>"),
        ("192.0.2.1 198.51.100.7 203.0.113.9", "192.0.2.1 198.51.100.7 203.0.113.9"),  # documentation
        ("8.8.8", "8.8.8"),
    ],
)
def test_ipv4_addresses(text, expected):
    assert marked(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2001:4860:4860::8888", "<6>"),
        ("[2a00:1450:4001:81b::200E]:443", "[<6>]:443"),
        ("no route to 2600:1:2::: sorry", "no route to <6>: sorry"),
        ("2600:: 2600::1 2600:1::1", "2600:: 2600::1 <6>"),  # too short to be sure,
        ("at 2001:4860:4860:0:0:0:0:8888: refused", "at <6>: refused"),
        ("2001:4860:4860:0:0:0:0:8888:1", "2001:4860:4860:0:0:0:0:8888:1"),
        ("2001:db8::1 fe80::1 fd00::1 ::1", "2001:db8::1 fe80::1 fd00::1 ::1"),
        ("abc::def std::vector a::b 12:30:45", "abc::def std::vector a::b 12:30:45"),
        ("x2001:4860:4860::8888 2001:4860:4860::8888g", "x2001:4860:4860::8888 2001:4860:4860::8888g"),
        ("2026: 10:30", "2026: 10:30"),
    ],
)
def test_ipv6_addresses(text, expected):
    assert marked(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("call +44 20 7946 0958 now", "call <P> now"),
        ("+49 (0)30 901820, +49-30-901820, +4930 901820", "<P>, <P>, <P>"),
        ("+33.1.70.18.99.00", "+33.1.70.18.99.00"),  # a group of one digit
        ("+33 170 18 99 00", "<P>"),
        ("+442079460958", "<P>"),
        ("+1 (202) 555-0123, +1-202-555-0123, +12025550123", "<P>, <P>, <P>"),
        ("+1 202 055 0123", "+1 202 055 0123"),
        ("(202) 555-0123; 202-555-0123; 202.555.0123; 1-202-555-0123; 1 (202) 555-0123", "<P>; <P>; <P>; <P>; 1 <P>"),
        ("202 555 0123", "202 555 0123"),
        ("102-555-0123 202-155-0123 202-555-012", "102-555-0123 202-155-0123 202-555-012"),
        ("+46 70 123", "+46 70 123"),  # 7 digits
        ("+46 70 1234", "<P>"),  # 8
        ("+467012345", "+467012345"),  # 9, without a mark
        ("+4670123456", "<P>"),  # 10
        ("+467012345678901", "<P>"),  # 15
        ("+4670123456789012", "+4670123456789012"),  # 16
        ("x+4670123456 1+4670123456 ++4670123456", "x+4670123456 1+4670123456 ++4670123456"),
        ("202-555-0123-4 2-202-555-0123 202-555-0123x", "202-555-0123-4 2-202-555-0123 202-555-0123x"),
        ("2026-11-26 978-3-16-148410-0 123-45-6789", "2026-11-26 978-3-16-148410-0 123-45-6789"),
        ("+1 2 3 4 5 6 7 8 9 10", "+1 2 3 4 5 6 7 8 9 10"),
    ],
)
def test_phone_numbers(text, expected):
    assert marked(text) == expected


def test_placeholders_take_turns_within_a_document_and_are_counted():
    text = "a@x.com b@x.com c@x.com 8.8.8.8 2001:4860:4860::8888 (202) 555-0123"
    assert rewritten(PiiConfig(), text) == (
        "email@example.com firstname.lastname@example.org email@example.com 22.214.171.124 2001:db8::1 202-555-0100",
        {
            "emails_replaced": 3,
            "ipv4_addresses_replaced": 1,
            "ipv6_addresses_replaced": 1,
            "phone_numbers_replaced": 1,
        },
    )


def test_a_text_without_any_is_the_same_and_no_change_is_recorded():
    text = "Nothing personal, only 3.14 and me@home."
    judgement = judgement_of(PiiConfig(), text)
    assert judgement.text is text
    assert (judgement.rewrites, judgement.drop) == ((), None)


def test_no_evidence_keeps_what_was_replaced():
    [rewrite] = judgement_of(PiiConfig(), "jane@real.com").rewrites
    assert rewrite.evidence is None


def test_a_kind_can_be_left_alone_and_have_its_own_placeholders():
    config = PiiConfig(emails=("|||EMAIL|||",), ipv4_addresses=None)
    assert rewritten(config, "a@x.com 8.8.8.8") == ("|||EMAIL||| 8.8.8.8", {"emails_replaced": 1})


PIECES = st.sampled_from(
    [*"aZ9.-+@:/( )[]_\n", "é", "8.8.8.8", "10.0.0.1", "a@b.co", "+44 20 7946 0958", "202-555-0123", "2600::1", ".."]
)


@given(st.lists(PIECES, max_size=40).map("".join))
def test_the_text_outside_what_is_replaced_stays(text):
    for find in (find_emails, find_ipv4_addresses, find_ipv6_addresses, find_phone_numbers):
        spans = list(find(text))
        bounds = [0, *(bound for span in spans for bound in span), len(text)]
        assert bounds == sorted(bounds)
        assert all(start < stop for start, stop in spans)
    config = PiiConfig(emails=("\0",), ipv4_addresses=None, ipv6_addresses=None, phone_numbers=None)
    kept = "".join(text[start:stop] for start, stop in _outside(find_emails(text), len(text)))
    assert rewritten(config, text)[0].replace("\0", "") == kept


def _outside(spans, length):
    bounds = [0, *(bound for span in spans for bound in span), length]
    return zip(bounds[::2], bounds[1::2], strict=True)


def test_placeholders_that_stand_in_a_text_are_no_personal_data():
    text = "email@example.com 22.214.171.124 2001:db8::1 202-555-0100"
    assert rewritten(PiiConfig(), text) == (text, {})


NOT_PUBLIC = [
    *map(ipaddress.IPv4Network, ["0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"]),
    *map(ipaddress.IPv4Network, ["172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.168.0.0/16"]),
    *map(ipaddress.IPv4Network, ["198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4"]),
    *map(ipaddress.IPv6Network, ["2001::/23", "2001:db8::/32", "3fff::/20", "::/3", "4000::/2", "8000::/1"]),
]


@given(st.ip_addresses() | st.sampled_from(NOT_PUBLIC).flatmap(lambda network: st.ip_addresses(network=network)))
def test_an_address_goes_when_it_is_public(address):
    is_long = address.version == 4 or sum(map(bool, str(address).split(":"))) >= 3
    is_public = is_long and not any(address in network for network in NOT_PUBLIC)
    expected = f"<{address.version}>" if is_public else str(address)
    assert marked(f"at {address}, and") == f"at {expected}, and"


@pytest.mark.parametrize("network", NOT_PUBLIC[:-3], ids=str)
def test_the_edges_of_ranges_that_stay(network):
    first, last = network[0], network[-1]
    text = f"{first.exploded} {last.exploded}"
    assert marked(text) == text
    for beyond in [int(first) - 1, int(last) + 1]:
        if 0 <= beyond < 2**network.max_prefixlen:
            address = type(first)(beyond)
            is_public = not any(address in other for other in NOT_PUBLIC)
            text = address.exploded
            assert marked(text) == (f"<{address.version}>" if is_public else text)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "unit",
    ["a", "a!", "a.", "@", "a@", "@a.b", "a@b-", "a@b.", "x" * 63 + "@a.b ", "1", "1.", "1.1.1.1.", "+1 ", "+49 30 ",
     "(", "8.8.8.8 ", "192.0.0.1,", "2600:1::1 ", "202-555-", "2001:", "2001::", "::", "-", "+", "[1.1.1.1", "é@é."],
)  # fmt: skip
def test_hostile_text_takes_linear_time(unit):
    text = "x@" + unit * (200_000 // len(unit))
    started = time.process_time()
    rewritten(PiiConfig(), text)
    assert time.process_time() - started < 1  # measured: under a second for five times as much
