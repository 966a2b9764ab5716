"""The `download` part of a recipe: where text comes from and which field of it is the text."""

import re
from collections import Counter
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from pretrain.config import Config, Location
from pretrain.download.html_config import HtmlOptions
from pretrain.redaction import holds_secret

VERSION = 3

Format = Literal["auto", "jsonl", "json", "csv", "parquet", "arrow", "text", "code", "warc", "html"]
Encoding = Literal["utf-8", "latin-1", "cp1252", "utf-16"]
Delimiter = Literal["auto", ",", "\t", ";", "|"]
Kind = Literal["files", "remote", "hub", "python"]

HUB_PREFIX = "hf://datasets/"
PYTHON_URIS = ("python://docs", "python://code")
_LOCAL_PREFIX = "file://"
_HUB_URI = re.compile(r"hf://datasets/(/.+|[\w.-]+(/[\w.-]+)?)")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_OPTION_FORMATS = {
    "separator": ("text",),
    "encoding": ("text", "csv", "code"),
    "delimiter": ("csv",),
    "html": ("warc", "html"),
}


class Source(Config):
    """One source of documents.

    Which records become documents: those whose `text_key` is text that holds more than white space. All other
    fields of a record go to the document's `metadata`, unless `columns` says which, so nothing of the input is lost
    unasked.
    """

    name: str = Field(pattern=r"^[a-z0-9_-]{1,64}$")
    """Name of the source in document ids, ledgers, mixtures and reports; unique in the recipe."""

    uri: Annotated[str, Location()] = Field(min_length=1)
    """One of: a local file, folder or glob; an fsspec URL (`s3://`, `https://`) of a file, folder or glob;
    `hf://datasets/<owner>/<name>` (a hub dataset) or `hf://datasets//<absolute folder>` (a local copy,
    or one written by `save_to_disk`); `python://docs` or `python://code` (this machine's Python)."""

    format: Format = "auto"
    """How files are read: `jsonl` (one JSON object a line), `json` (an array of objects, or objects over several
    lines), `csv` (any delimiter), `parquet`, `arrow` (IPC file or stream, Feather V2), `text` (one document a
    file, or by `separator`), `code` (one document a file of source code, also in tar and zip archives), `warc` (crawl
    files: WARC, WET, ARC), `html` (one web page a file).
    `auto` goes by content, then by name, file by file: pretrain.download.formats says how. Compression (gzip,
    zstd, bzip2, xz) is always found by content. `hf://` and `python://` need no format."""

    text_key: str = "text"
    """Field that holds the text. Here and in the other keys `content.text` is the field `text` inside `content`,
    unless a field has that very name. `text` and `code` have no fields."""

    id_key: str | None = None
    """Field with the record's own id, kept in metadata as `source_id`; the document's id ignores it."""

    url_key: str | None = None
    """Field with the address of the document; null: that of the capture (`warc`), or none."""

    lang_key: str | None = None
    """Field with a language code that the input already knows; the language stage measures its own."""

    license_key: str = "license"
    """Field with the licence of the record, kept in metadata as `license`."""

    license: str | None = None
    """Licence of the documents whose record names none of its own; in metadata as `license`."""

    columns: tuple[str, ...] | None = None
    """Top-level fields that metadata keeps beside `source_id` and `license`; null for all. Columns of parquet and
    Arrow that nothing asks for are not read."""

    separator: str | None = Field(default=None, min_length=1)
    r"""`text` only: what stands between two documents of a file, such as "\n" or "\n\n\n"; null: one document a
    file. Pieces of white space alone are no documents."""

    encoding: Encoding = "utf-8"
    """`text`, `csv` and `code` only: how bytes are read as text. UTF-16 goes by its byte order mark, and is little
    endian without one (WHATWG Encoding Standard, section 4.2)."""

    delimiter: Delimiter = "auto"
    """`csv` only: what stands between two fields. `auto`: the one that is found most often outside quotes in the
    header row."""

    html: HtmlOptions = HtmlOptions()
    """`warc` and `html` only: how the main text of pages is found."""

    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    """The sha256 that the one file of the source must have, 64 hex digits; a source that differs is refused."""

    max_documents: int | None = Field(default=None, ge=1)
    """At most so many documents, in order of file name and position. A source with a limit is read by one
    worker, one file after the other, and reading stops at the limit: that makes the choice the same for any
    number of workers, and cheap for a small limit."""

    config: str | None = None
    """Hub dataset only: its configuration (subset); null for the only or default one."""

    split: str | None = None
    """Hub dataset only, required there: `train`, `validation`, ..."""

    revision: str | None = None
    """Hub dataset only, required for a dataset by id: the commit, 40 hex digits. A branch or tag can move,
    and the same recipe would mean other data."""

    packages: tuple[str, ...] | None = None
    """`python://docs` only: installed packages (top-level import names) whose docstrings are read beside the
    standard library's; null for every installed one, which takes minutes where torch is among them."""

    max_bytes: int | None = Field(default=None, ge=1)
    """`python://` only: at most so many bytes of Python files are read: whole files, in order of the hash of
    their name, so that a limit is an even sample and the same on every run."""

    @property
    def kind(self) -> Kind:
        """What sort of place the uri names."""
        if self.uri in PYTHON_URIS:
            return "python"
        if self.uri.startswith(HUB_PREFIX):
            return "hub"
        return "remote" if "://" in self.path else "files"

    @property
    def path(self) -> str:
        """The uri of a `files` source without `file://`."""
        return self.uri.removeprefix(_LOCAL_PREFIX)

    @property
    def hub_folder(self) -> str | None:
        """The absolute local folder of a hub dataset, or None for one by id."""
        folder = self.uri.removeprefix(HUB_PREFIX)
        return folder if self.kind == "hub" and folder.startswith("/") else None

    def identity(self) -> dict[str, Any]:
        """All but places: files count by content, but `python://docs` or a hub id say what is read."""
        what = {"python": self.uri, "hub": HUB_PREFIX if self.hub_folder else self.uri}.get(self.kind, "files")
        identity = {**super().identity(), "uri": what}
        del identity["sha256"]  # a check of content, which counts on its own
        return identity

    @field_validator("uri")
    @classmethod
    def _check_uri(cls, uri: str) -> str:
        if holds_secret(uri):
            raise ValueError("holds a user, password or signature: take it out and put it into the environment")
        if "::" in uri:
            raise ValueError("chained URLs (a::b) are not read: name the file itself")
        if uri.startswith("python://") and uri not in PYTHON_URIS:
            raise ValueError(f"is no known Python source: use one of {', '.join(PYTHON_URIS)}")
        if uri.startswith("hf://") and not _HUB_URI.fullmatch(uri):
            raise ValueError(f"is no hub dataset: write {HUB_PREFIX}<owner>/<name>, or {HUB_PREFIX}/<absolute folder>")
        return uri

    @model_validator(mode="after")
    def _check_options(self) -> Self:
        self._only_for("hub", "an hf:// uri", config=self.config, split=self.split, revision=self.revision)
        self._only_for("python", "a python:// uri", packages=self.packages, max_bytes=self.max_bytes)
        if self.uri == "python://code" and self.packages is not None:
            raise ValueError("packages: python://code reads the standard library only; leave it out")
        if self.kind in ("hub", "python") and self.format != "auto":
            raise ValueError(f"format: {self.uri} has its own; leave it out or write auto")
        if self.kind == "hub" and self.split is None:
            raise ValueError("split: a hub dataset needs one, such as train")
        if self.kind == "hub" and self.hub_folder is None and not _COMMIT.fullmatch(self.revision or ""):
            raise ValueError(
                f"revision: {self.revision!r} is no commit (40 hex digits); pin one, since a branch can move"
            )
        if self.hub_folder is not None and self.revision is not None:
            raise ValueError("revision: a local folder counts by its content; leave it out")
        return self

    @model_validator(mode="after")
    def _check_format_options(self) -> Self:
        for option, formats in _OPTION_FORMATS.items():
            is_given = getattr(self, option) != type(self).model_fields[option].default
            if is_given and self.kind in ("hub", "python"):
                raise ValueError(f"{option}: {self.uri!r} has no such option; leave it out")
            if is_given and self.format not in ("auto", *formats):
                raise ValueError(f"{option}: format {self.format} has none, only {', '.join(formats)}; leave it out")
        if self.separator is not None and not _can_encode(self.separator, self.encoding):
            raise ValueError(f"separator: {self.separator!r} cannot be written in {self.encoding}")
        if self.sha256 is not None and self.kind in ("hub", "python"):
            raise ValueError(f"sha256: only a single file has one, {self.uri!r} is none; leave it out")
        return self

    def _only_for(self, kind: Kind, where: str, **options: object) -> None:
        for name, value in options.items():
            if value is not None and self.kind != kind:
                raise ValueError(f"{name}: only {where} has it, {self.uri!r} has not; leave it out")


def _can_encode(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


class DownloadConfig(Config):
    """The `download` stage."""

    sources: tuple[Source, ...] = Field(min_length=1)
    """The sources, in the order of the parts they become."""

    max_bad_fraction: float = Field(default=0.05, ge=0.0, le=1.0)
    """Largest share of unreadable records of one source to accept; above it the stage fails."""

    @field_validator("sources")
    @classmethod
    def _check_names(cls, sources: tuple[Source, ...]) -> tuple[Source, ...]:
        twice = sorted(name for name, n in Counter(source.name for source in sources).items() if n > 1)
        if twice:
            raise ValueError(f"two sources are named {twice[0]!r}: give each its own name")
        return sources
