"""A fastText classifier, loaded once a process, and what it reads of a text."""

import functools
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pretrain.errors import InputError

# fastText stops reading a line at this word, wherever it stands
_END_OF_LINE_WORD = "</s>"


class Prediction(NamedTuple):
    """The most likely label of a text, without fastText's prefix, and its probability."""

    label: str
    score: float


class FastTextModel:
    """A fastText classifier. It cannot be pickled: `load_model` gives each process its own.

    Args:
        path: a .bin or .ftz file.
        key: the key of the recipe that names it, for messages: `language.model`.

    Attributes:
        labels: what it tells apart, without fastText's prefix `__label__`.

    Raises:
        InputError: the file is no fastText classifier.
    """

    def __init__(self, path: Path, key: str) -> None:
        import fasttext

        try:
            self._model: Any = fasttext.load_model(str(path)).f
        except ValueError as error:
            raise InputError(f"{path} is no fastText model ({error}); correct {key}") from error
        arguments = self._model.getArgs()
        if arguments.model.name != "supervised":
            raise InputError(
                f"{path} is a fastText {arguments.model.name} model, which gives no labels: name a classifier in {key}"
            )
        self._prefix = str(arguments.label)
        self.labels = frozenset(label.removeprefix(self._prefix) for label in self._model.getLabels("strict")[0])

    def predict(self, line: str) -> Prediction:
        """The most likely label of one line of text.

        A text in which the model finds nothing to go by (empty, emoji alone) gets the model's prior, which
        for lid176 is `en` with 0.12.

        Args:
            line: text without a line feed; see `as_line`.
        """
        # Not fasttext's own predict(text): under numpy 2 it fails in most builds of this module.
        [(score, label)] = self._model.predict(line + "\n", 1, 0.0, "strict")
        return Prediction(label.removeprefix(self._prefix), float(score))

    def score_of(self, label: str, line: str) -> float:
        """The probability of one label of `labels` for a line of text; 0 where the model gives it none."""
        wanted = self._prefix + label
        scores = self._model.predict(line + "\n", len(self.labels), 0.0, "strict")
        return next((float(score) for score, found in scores if found == wanted), 0.0)


def load_model(path: Path, key: str) -> FastTextModel:
    """The model at `path`, loaded once a process; again when the file was changed.

    Raises:
        InputError: it is no fastText classifier.
    """
    stat = path.stat()
    return _load_model(path, key, stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(maxsize=4)
def _load_model(path: Path, key: str, _mtime_ns: int, _num_bytes: int) -> FastTextModel:
    return FastTextModel(path, key)


def as_line(text: str, max_chars: int | None, newline: Literal["space", "remove"]) -> str:
    """What the model reads of a text: its start, on one line, without a word that would end the line.

    Args:
        text: the document's text.
        max_chars: how many characters to take; None for all.
        newline: what a line feed becomes: a space, or nothing.
    """
    line = text[:max_chars].replace("\n", " " if newline == "space" else "")
    # one character is looked for ten times as fast as a word, and most texts have none of it
    return line.replace(_END_OF_LINE_WORD, " ") if _END_OF_LINE_WORD[0] in line else line
