"""How the main text of web pages is found: the `html` part of a source."""

from typing import Literal

from pydantic import Field

from pretrain.config import Config

Extractor = Literal["trafilatura", "resiliparse"]


class HtmlOptions(Config):
    """Main-text extraction of `warc` and `html` sources.

    A limit of time or memory makes the result depend on the machine: a slow one may give up a page that a fast one
    reads. So time is that of the CPU, not of the clock, the limits are far beyond what a page takes (under a second and
    100 MB), and `extract_timeout` and `extract_failed` are counted in the manifest: where both are 0, nothing depended
    on them. Otherwise the text is a function of the page, these options and the extractor's version, which the
    manifest names in its provenance.
    """

    extractor: Extractor = "trafilatura"
    """`trafilatura`: FineWeb's and RefinedWeb's (arXiv:2406.17557, section 3.2; arXiv:2306.01116, section 3.1).
    `resiliparse`: DCLM's (arXiv:2406.11794, section 4.2), more than ten times as fast, and keeps more."""

    favor_precision: bool = True
    """`trafilatura`: rather lose text than keep what may be none; FineWeb's choice (datatrove,
    pipeline/extractors/trafilatura.py)."""

    include_comments: bool = False
    """Keep what readers wrote below the page; the default is FineWeb's."""

    include_tables: bool = True
    """`trafilatura`: keep the text of tables; the default is its own."""

    timeout_seconds: float = Field(default=30.0, gt=0.0, le=3600.0)
    """CPU time for one page, in seconds; more is `extract_timeout`. A page that needs ten times as long by the clock
    is given up too: it waits for something. (datatrove gives 1 second by the clock.)"""

    memory_bytes: int = Field(default=4 << 30, ge=1 << 28)
    """Address space of the extracting process, in bytes, where the system has such a limit; a page that needs more is
    `extract_failed`. A program's code and threads count too, some 600 MB."""
