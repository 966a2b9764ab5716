import pytest
from hypothesis import given
from hypothesis import strategies as st

from pretrain.filter.addresses import domains_of, normalize_host, parse_address


@pytest.mark.parametrize(
    ("url", "host", "rest"),
    [
        ("https://example.com", "example.com", ""),
        ("https://example.com/", "example.com", ""),
        ("HTTP://WWW.Example.COM./A/b?C=d#frag", "www.example.com", "/A/b?C=d"),
        ("example.com/a", "example.com", "/a"),
        ("//example.com?q", "example.com", "?q"),
        ("https://user:pass@example.com:443/a", "example.com", "/a"),
        ("http://good.example@bad.example/", "bad.example", ""),  # a user name that looks like the host
        ("http://example.com:8080/a", "example.com", ":8080/a"),
        ("http://example.com:/a", "example.com", "/a"),
        ("http://[2001:db8::1]:80/a", "[2001:db8::1]", "/a"),
        ("http://10.0.0.1/a", "10.0.0.1", "/a"),
        ("https://bücher.example/ü", "xn--bcher-kva.example", "/ü"),
        ("https://BÜCHER.example", "xn--bcher-kva.example", ""),
        ("https://xn--bcher-kva.example", "xn--bcher-kva.example", ""),
        ("https://例え。テスト/", "xn--r8jz45g.xn--zckzah", ""),
        ("https://☃.example/", "xn--n3h.example", ""),  # IDNA 2008 refuses it, browsers go there
        ("https://ex%61mple.com/", "example.com", ""),
        ("https:\\\\example.com\\a", "example.com", "/a"),
        (" \texam\nple.com/a ", "example.com", "/a"),
        ("http:///example.com", "example.com", ""),
        ("", "", ""),
        ("https://", "", ""),
        ("http://[", "[", ""),
        ("http://...", "", ""),
    ],
)
def test_host_and_rest(url, host, rest):
    assert parse_address(url) == (host, rest)


def test_domains_are_the_host_and_all_above_it():
    assert list(domains_of("a.b.example.com")) == ["a.b.example.com", "b.example.com", "example.com", "com"]
    assert list(domains_of("localhost")) == ["localhost"]
    assert list(domains_of("")) == [""]


def test_no_domain_is_longer_than_a_name_can_be():
    labels = "a." * 150 + "example.com"
    found = list(domains_of(labels))
    assert len(found[0]) == 253
    assert found[-2:] == ["example.com", "com"]
    assert list(domains_of("a" * 300)) == []
    assert next(domains_of("a." + "b" * 253)) == "b" * 253
    assert list(domains_of("a" * 4 + "b" * 250 + ".com")) == ["com"]


@given(st.text())
def test_any_text_has_an_address_that_keeps_its_spelling(text):
    host, _ = parse_address(text)
    assert normalize_host(host) == host or "%" in host


@pytest.mark.timeout(10)
@pytest.mark.parametrize("unit", ["a.", "%2e", "@", ":", "ü.", "/", "\\", "[", "x%"])
def test_a_hostile_address_takes_linear_time(unit):
    host, _ = parse_address("http://" + unit * 300_000)
    assert len(list(domains_of(host))) <= 127
