"""A fastText classifier, loaded once a process, and what it reads of a text."""

import functools
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pretrain.errors import InputError

# fastText stops reading a line at this word, wherever it stands
_END_OF_LINE_WORD = "</s>"


class Identified(NamedTuple):
    """The most likely language of a text: the model's label without its prefix, and its probability."""

    label: str
    score: float


class LanguageModel:
    """A fastText classifier. It cannot be pickled: `load_model` gives each process its own.

    Attributes:
        labels: what it tells apart, without fastText's prefix `__label__`.
    """

    def __init__(self, path: Path) -> None:
        import fasttext

        try:
            self._model: Any = fasttext.load_model(str(path)).f
        except ValueError as error:
            raise InputError(f"{path} is no fastText model ({error}); correct language.model") from error
        arguments = self._model.getArgs()
        if arguments.model.name != "supervised":
            raise InputError(
                f"{path} is a fastText {arguments.model.name} model, which gives no labels: "
                "name a classifier in language.model"
            )
        self._prefix = str(arguments.label)
        self.labels = frozenset(label.removeprefix(self._prefix) for label in self._model.getLabels("strict")[0])

    def identify(self, line: str) -> Identified:
        """The most likely language of one line of text.

        A text in which the model finds nothing to go by (empty, emoji alone) gets the model's prior, which
        for lid176 is `en` with 0.12.

        Args:
            line: text without a line feed; see `as_line`.
        """
        # Not fasttext's own predict(text): under numpy 2 it fails in most builds of this module.
        [(score, label)] = self._model.predict(line + "\n", 1, 0.0, "strict")
        return Identified(label.removeprefix(self._prefix), float(score))


@functools.lru_cache(maxsize=1)
def load_model(path: Path) -> LanguageModel:
    """The model at `path`, loaded once a process.

    Raises:
        InputError: it is no fastText classifier.
    """
    return LanguageModel(path)


def as_line(text: str, max_chars: int | None, newline: Literal["space", "remove"]) -> str:
    """What the model reads of a text: its start, on one line, without a word that would end the line.

    Args:
        text: the document's text.
        max_chars: how many characters to take; None for all.
        newline: what a line feed becomes: a space, or nothing.
    """
    line = text[:max_chars].replace("\n", " " if newline == "space" else "")
    return line.replace(_END_OF_LINE_WORD, " ")
