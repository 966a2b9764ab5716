"""The texts of a labelled corpus: whatever the readers of `download` read, at paths, globs or URLs."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import ValidationError

from pretrain.documents import Document
from pretrain.download.config import DownloadConfig, Source
from pretrain.download.formats import read_records
from pretrain.download.inputs import external_inputs
from pretrain.download.records import to_row
from pretrain.errors import InputError, UsageError
from pretrain.external import ExternalFile, Surroundings
from pretrain.filehash import FileHashes
from pretrain.store import LocalStore


class LabelledCorpus:
    """The files of one class.

    Args:
        label: the class.
        uris: where they are; relative paths are relative to the current folder.
        text_key: the field that holds the text.

    Attributes:
        unreadable: records without a text by reason, as they are met.

    Raises:
        InputError: a uri names nothing, or cannot be read.
        UsageError: it is no uri.
    """

    def __init__(self, label: str, uris: Sequence[str], text_key: str) -> None:
        self.label = label
        self.unreadable: Counter[str] = Counter()
        self._uris = uris
        try:
            sources = [Source(name=f"{label}-{i}", uri=uri, text_key=text_key) for i, uri in enumerate(uris)]
        except ValidationError as error:
            problem = error.errors()[0]
            raise UsageError(f"--{label} {problem['input']!r}: {problem['msg']}") from error
        here = Path.cwd()
        found = external_inputs(
            DownloadConfig(sources=tuple(sources)), Surroundings(here, LocalStore(here), FileHashes())
        )
        self.files: list[tuple[Source, ExternalFile]] = [
            (source, file) for source, external in zip(sources, found, strict=True) for file in external.files
        ]

    def texts_of(self, source: Source, file: ExternalFile) -> Iterator[str]:
        """The texts of one of `files`, in its order."""
        for record in read_records(file, source):
            row = to_row(record, source, file.name)
            if isinstance(row, Document):
                yield row.text
            else:
                self.unreadable[row.reason] += 1

    def require_texts(self, num_texts: int) -> None:
        """Refuses a corpus that turned out to hold too few texts to train on and to measure.

        Raises:
            InputError: there are fewer than two.
        """
        if num_texts < 2:
            reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(self.unreadable.items()))
            raise InputError(
                f"the {self.label} corpus ({', '.join(self._uris)}) has {num_texts} texts that are its own, and at "
                f"least 2 are needed (records without a text: {reasons or 'none'}); name other files, or the right "
                "--text-key"
            )
