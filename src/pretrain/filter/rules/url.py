"""`url`: drops documents by lists of addresses and of words in addresses.

| list | an entry is | it matches | reason |
|---|---|---|---|
| `domains` | `example.com` | that host and every host below it | `blocked_domain` |
| `hosts` | `www.example.com` | that host alone | `blocked_host` |
| `urls` | `example.com/a?b=c`, with or without a scheme | that address alone | `blocked_url` |
| `words` | `word` | an address with that word | `banned_url_word` |
| `soft_words` | `word` | an address with two or more of them | `soft_banned_url_words` |
| `subwords` | `word` | an address with it anywhere, but for marks: `w-o.rd` | `banned_url_subword` |
| `substrings` | `/tag/?page=` | an address with it anywhere, as it stands | `banned_url_substring` |

Tests run in this order; each list is one file or several, of one entry a line, plain or gzip, with `#` at the start
of a comment. The ledger's evidence is the entry in the spelling it is compared in. None of the tests depends on
case, but that of `urls` on the case of path and query. How host names are compared says
`pretrain.filter.addresses`; `urls` disregard scheme, user, fragment and the ports 80 and 443. Words are runs of
letters and digits; in them and in substrings percent escapes are read (as UTF-8).

Source: the order and lists of datatrove 0.10.1, `url_filter.py`, which follows Penedo et al. 2023, "The RefinedWeb
Dataset for Falcon LLM", arXiv:2306.01116, section 3.1 and appendix G.1. It decides alike on addresses in lower case
without escapes, but that there a name in `domains` matches the registered domain and the full host and none
between, and that `hosts` and `substrings` are not there. datatrove's reasons: domain or subdomain, (none), url,
hard_blacklisted, soft_blacklisted, blacklisted_subword, (none). No list is bundled.
"""

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import unquote

from pydantic import BeforeValidator, Field, model_validator

from pretrain.config import Location
from pretrain.external import ExternalInput, Surroundings, external_file
from pretrain.filter.addresses import domains_of, normalize_host, parse_address
from pretrain.filter.entries import read_entries, stamps
from pretrain.filter.rule_config import RuleConfig
from pretrain.filter.substrings import Substrings
from pretrain.filter.textview import TextView
from pretrain.filter.verdict import Check, at_most, evidence_span

_MARKS = re.compile(r"[\W_]+")


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Files = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_as_tuple), Location()]


class UrlConfig(RuleConfig):
    """Files of lists, each a path or several, relative to the recipe's folder. Their content counts, not the path."""

    rule: Literal["url"] = "url"
    domains: Files = Field(default=(), description="Domains; they cover every host below them")
    hosts: Files = Field(default=(), description="Host names, each for itself")
    urls: Files = Field(default=(), description="Addresses, each for itself")
    words: Files = Field(default=(), description="Words of which one is enough")
    soft_words: Files = Field(default=(), description="Words of which more than max_soft_words are needed")
    subwords: Files = Field(default=(), description="Runs of letters and digits anywhere, marks left out")
    substrings: Files = Field(default=(), description="Strings anywhere")
    max_soft_words: int = Field(default=1, ge=0, description="Distinct soft words that are accepted (datatrove: 1)")
    missing: Literal["keep", "drop"] = Field(default="keep", description="What becomes of a document without url")

    @model_validator(mode="after")
    def _check_lists(self) -> Self:
        if self.missing == "keep" and not any(getattr(self, name) for name in _SPELLINGS):
            raise ValueError(f"names no list, so it drops nothing: give one of {', '.join(_SPELLINGS)}")
        return self

    def external(self, name: str, around: Surroundings) -> ExternalInput | None:
        """The files of the lists, each named by its list and place: `domains/0`."""
        files = [
            external_file(around.recipe_folder / Path(path).expanduser(), f"{key}/{index}", around.hashes)
            for key in _SPELLINGS
            for index, path in enumerate(getattr(self, key))
        ]
        return ExternalInput(name, tuple(files)) if files else None

    def make_rule(self, files: Mapping[str, Path]) -> "Url":
        """The rule with these lists, read once a process."""
        return _make_rule(self, stamps(files))


@functools.lru_cache(maxsize=4)
def _make_rule(config: UrlConfig, files: tuple[tuple[str, Path, int, int], ...]) -> "Url":
    lists: dict[str, set[str]] = {}
    for name, path, *_ in files:
        key = name.partition("/")[0]
        lists.setdefault(key, set()).update(read_entries(path, _SPELLINGS[key]))
    return Url(config, lists)


class Url:
    """The tests of one config on a document's url.

    Args:
        config: the thresholds.
        lists: entries by the name of their list, in the spelling that they are compared in.
    """

    metrics = (
        "missing_urls",
        "blocked_domains",
        "blocked_hosts",
        "blocked_urls",
        "banned_words",
        "soft_banned_words",
        "banned_subwords",
        "banned_substrings",
    )

    def __init__(self, config: UrlConfig, lists: Mapping[str, set[str]]) -> None:
        self.config = config
        self._lists = lists
        self._subwords = Substrings(lists.get("subwords", ()))
        self._substrings = Substrings(lists.get("substrings", ()))

    def checks(self, view: TextView) -> Iterator[Check]:
        """The tests in the order of the table; those without a list are left out."""
        url = view.document.url if view.document is not None else None
        limit = 0 if self.config.missing == "drop" else None
        yield at_most("missing_urls", int(not url), "missing_url", limit)
        if url:
            yield from self._check_address(url)
            yield from self._check_words(url)

    def _check_address(self, url: str) -> Iterator[Check]:
        lists, (host, rest) = self._lists, parse_address(url)
        if "domains" in lists:
            yield _found("blocked_domains", _in(lists["domains"], domains_of(host)), "blocked_domain")
        if "hosts" in lists:
            yield _found("blocked_hosts", _in(lists["hosts"], [host]), "blocked_host")
        if "urls" in lists:
            yield _found("blocked_urls", _in(lists["urls"], [host + rest]), "blocked_url")

    def _check_words(self, url: str) -> Iterator[Check]:
        lists, text = self._lists, _lowered(url)
        words = set(_MARKS.split(text))
        if "words" in lists:
            yield _found("banned_words", sorted(words & lists["words"]), "banned_url_word")
        if "soft_words" in lists:
            found, limit = sorted(words & lists["soft_words"]), self.config.max_soft_words
            yield _found("soft_banned_words", found, "soft_banned_url_words", limit)
        if "subwords" in lists:
            first = self._subwords.first(_MARKS.sub("", text))
            yield _found("banned_subwords", [first] if first else [], "banned_url_subword")
        if "substrings" in lists:
            first = self._substrings.first(text)
            yield _found("banned_substrings", [first] if first else [], "banned_url_substring")


def _found(metric: str, entries: list[str], reason: str, limit: int = 0) -> Check:
    return at_most(metric, len(entries), reason, limit, lambda: evidence_span(" ".join(entries)))


def _in(entries: set[str], candidates: Iterator[str] | list[str]) -> list[str]:
    """The first candidate that is an entry, alone."""
    found = next((candidate for candidate in candidates if candidate in entries), None)
    return [found] if found is not None else []


def _lowered(text: str) -> str:
    return (unquote(text) if "%" in text else text).lower()


def _as_url(entry: str) -> str:
    return "".join(parse_address(entry))


def _as_word(entry: str) -> str:
    return _MARKS.sub("", _lowered(entry))


# How an entry of each list is spelt when it is compared.
_SPELLINGS: dict[str, Callable[[str], str]] = {
    "domains": normalize_host,
    "hosts": normalize_host,
    "urls": _as_url,
    "words": _as_word,
    "soft_words": _as_word,
    "subwords": _as_word,
    "substrings": _lowered,
}
