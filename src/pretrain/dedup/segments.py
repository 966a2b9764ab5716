"""Paragraphs and lines: how a text is split, what makes two segments equal, and a text without some of them."""

import re
from collections.abc import Iterator, Set
from typing import NamedTuple

from pretrain.dedup.config import SegmentsConfig
from pretrain.dedup.normalization import normalize, text_digest

_BREAKS = {"paragraph": re.compile(r"\n\s*\n"), "line": re.compile(r"\n")}


class CutText(NamedTuple):
    """A text without its repeated segments.

    removed: the segments that went, without whitespace at their ends, in order.
    """

    text: str
    removed: list[str]


def split_segments(text: str, config: SegmentsConfig) -> Iterator[str]:
    """The segments of a text, each with the break that follows it; joined they are the text."""
    start = 0
    for match in _BREAKS[config.unit].finditer(text):
        yield text[start : match.end()]
        start = match.end()
    if start < len(text):
        yield text[start:]


def segment_digest(segment: str, config: SegmentsConfig) -> bytes | None:
    """The 128-bit hash of a normalised segment, or None for one shorter than `min_chars`."""
    normalized = normalize(segment.strip(), config.normalize)
    return text_digest(normalized, "none") if len(normalized) >= config.min_chars else None


def segment_digests(text: str, config: SegmentsConfig) -> set[bytes]:
    """The digests of a text's segments that are long enough."""
    digests = (segment_digest(segment, config) for segment in split_segments(text, config))
    return {digest for digest in digests if digest is not None}


def cut_segments(text: str, config: SegmentsConfig, digests: Set[bytes]) -> CutText:
    """The text without its segments of these digests. Where its end goes, so does the break before it."""
    kept: list[str] = []
    removed: list[str] = []
    is_end_cut = False
    for segment in split_segments(text, config):
        is_end_cut = segment_digest(segment, config) in digests
        (removed if is_end_cut else kept).append(segment)
    if not removed:
        return CutText(text, [])
    cut = "".join(kept)
    return CutText(cut.rstrip() if is_end_cut else cut, [segment.strip() for segment in removed])
