import gzip
from pathlib import Path

import pytest
from pydantic import ValidationError

from pretrain.errors import InputError
from pretrain.external import Surroundings
from pretrain.filehash import FileHashes
from pretrain.filter.rules.url import UrlConfig
from pretrain.store import LocalStore
from tests.filter.judging import Drop, drop_of, metrics_of

LISTS = {
    "domains": ["bad.example", "Co.UK-Casino.example", "bücher.example", "shop.mixed.example"],
    "hosts": ["www.one.example"],
    "urls": ["https://exact.example/Page?id=1", "exact.example"],
    "words": ["casino", "pornó"],
    "soft_words": ["free", "win", "best"],
    "subwords": ["v1agra", "get-rich"],
    "substrings": ["/Tag/?page=", "=spam"],
}


@pytest.fixture
def lists(tmp_path):
    """A file for every list, as the rule gets them."""
    files = {}
    for name, entries in LISTS.items():
        files[f"{name}/0"] = tmp_path / name
        files[f"{name}/0"].write_text("# list\n" + "\n".join(entries), encoding="utf-8")
    return files


def judge(url, files, **config):
    names = {name.partition("/")[0]: str(path) for name, path in files.items()}
    return drop_of(UrlConfig(**names, **config), "text", files, url=url)


@pytest.mark.parametrize(
    ("url", "reason", "evidence"),
    [
        ("https://bad.example/", "blocked_domain", "bad.example"),
        ("https://BAD.example.:8080/", "blocked_domain", "bad.example"),
        ("http://user@deep.sub.bad.example/x", "blocked_domain", "bad.example"),
        ("https://notbad.example/", None, None),
        ("https://bad.example.org/", None, None),
        ("https://good.example/?u=bad.example", None, None),
        ("https://a.shop.mixed.example/", "blocked_domain", "shop.mixed.example"),
        ("https://mixed.example/", None, None),  # above the entry
        ("https://BÜCHER.example/a", "blocked_domain", "xn--bcher-kva.example"),
        ("https://xn--bcher-kva.example/a", "blocked_domain", "xn--bcher-kva.example"),
        ("https://www.one.example/", "blocked_host", "www.one.example"),
        ("https://one.example/", None, None),
        ("https://sub.www.one.example/", None, None),
        ("http://exact.example:80/Page?id=1#top", "blocked_url", "exact.example/Page?id=1"),
        ("https://exact.example/page?id=1", None, None),  # the case of a path counts
        ("https://exact.example/Page?id=12", None, None),
        ("https://exact.example/", "blocked_url", "exact.example"),
        ("https://good.example/Casino-night", "banned_url_word", "casino"),
        ("https://good.example/casinos", None, None),
        ("https://good.example/c%61sino", "banned_url_word", "casino"),
        ("https://good.example/PORN%C3%93", "banned_url_word", "pornó"),
        ("https://good.example/free", None, None),
        ("https://good.example/free/free", None, None),  # distinct words
        ("https://good.example/win_free", "soft_banned_url_words", "free win"),
        ("https://good.example/buyv1-agra-now", "banned_url_subword", "v1agra"),
        ("https://get.richer.example/", "banned_url_subword", "getrich"),
        ("https://good.example/tag/?page=2", "banned_url_substring", "/tag/?page="),
        ("https://good.example/tag?page=2", None, None),
        ("https://good.example/a?b=SPAM", "banned_url_substring", "=spam"),
    ],
)
def test_lists(lists, url, reason, evidence):
    drop = judge(url, lists)
    assert (drop and (drop.reason, drop.evidence)) == (reason and (reason, evidence))


@pytest.mark.parametrize(
    ("max_soft_words", "drop"),
    [
        (1, Drop("soft_banned_url_words", 2, 1, "best win")),
        (2, None),
        (0, Drop("soft_banned_url_words", 2, 0, "best win")),
    ],
)
def test_soft_words_have_a_threshold(lists, max_soft_words, drop):
    assert judge("https://good.example/best/win", lists, max_soft_words=max_soft_words) == drop


@pytest.mark.parametrize("url", [None, ""])
def test_a_document_without_url_stays_unless_the_recipe_says_otherwise(lists, url):
    assert judge(url, lists) is None
    assert judge(url, lists, missing="drop") == Drop("missing_url", 1, 0)
    assert drop_of(UrlConfig(missing="drop"), "text", url=url) == Drop("missing_url", 1, 0)
    assert drop_of(UrlConfig(missing="drop"), "text", url="https://a.example") is None


def test_metrics_are_counts_of_matches_and_absent_without_a_list(lists):
    del lists["hosts/0"]
    config = UrlConfig(**{name.partition("/")[0]: str(path) for name, path in lists.items()})
    assert metrics_of(config, "text", lists, url="https://bad.example/free-casino") == {
        "missing_urls": 0,
        "blocked_domains": 1,
        "blocked_urls": 0,
        "banned_words": 1,
        "soft_banned_words": 1,
        "banned_subwords": 0,
        "banned_substrings": 0,
    }


def test_a_list_may_be_several_files_and_packed(tmp_path):
    (tmp_path / "a.txt").write_text("one.example\n")
    (tmp_path / "b.gz").write_bytes(gzip.compress(b"two.example\n"))
    config = UrlConfig(domains=("a.txt", "b.gz"))
    files = {"domains/0": tmp_path / "a.txt", "domains/1": tmp_path / "b.gz"}
    assert drop_of(config, "text", files, url="http://one.example").evidence == "one.example"
    assert drop_of(config, "text", files, url="http://two.example").evidence == "two.example"


def test_a_list_counts_by_its_content_and_not_by_its_path(tmp_path):
    around = Surroundings(tmp_path, LocalStore(tmp_path / "store"), FileHashes())

    def fingerprint(**config):
        return UrlConfig(**config).external("rule:0:url", around).fingerprint

    for name, text in [("a", "one"), ("moved", "one"), ("b", "two")]:
        (tmp_path / name).write_text(text)
    assert fingerprint(domains="a") == fingerprint(domains="moved")
    assert len({fingerprint(domains="a"), fingerprint(domains="b"), fingerprint(hosts="a")}) == 3
    assert "domains" not in UrlConfig(domains="a").identity()
    assert UrlConfig(missing="drop").external("rule:0:url", around) is None
    with pytest.raises(InputError, match=r"cannot read .*none"):
        fingerprint(domains="none")


def test_a_changed_list_is_read_again(tmp_path):
    path = tmp_path / "list"
    for entries, expected in [("one.example", None), ("two.example\nthree.example", "blocked_domain")]:
        path.write_text(entries)
        drop = drop_of(UrlConfig(domains="list"), "text", {"domains/0": path}, url="http://two.example")
        assert (drop and drop.reason) == expected


def test_a_rule_without_a_list_is_refused():
    with pytest.raises(ValidationError, match="names no list, so it drops nothing: give one of domains, hosts"):
        UrlConfig()


@pytest.mark.timeout(20)
def test_a_long_list_and_a_hostile_address_cost_little(tmp_path):
    words, domains = tmp_path / "words", tmp_path / "domains"
    words.write_text("\n".join(f"http{i:06d}" for i in range(100_000)))
    domains.write_text("\n".join(f"host{i}.example" for i in range(200_000)))
    files = {"subwords/0": words, "substrings/0": words, "domains/0": domains}
    config = UrlConfig(subwords="w", substrings="w", domains="d")
    rule = config.make_rule(files)
    assert config.make_rule(dict(files)) is rule  # read once
    for url in ["http" * 50_000, "http://" + "a." * 100_000 + "host1.example", "%" * 200_000]:
        assert isinstance(drop_of(config, "text", files, url=url), Drop | None)
    assert Path(words).exists()
