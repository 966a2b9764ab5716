"""What the stage makes of a text: its language, `unknown` where nothing can be said, and whether it stays."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pretrain.fasttext_model import FastTextModel, Prediction, as_line
from pretrain.language.config import LanguageConfig
from pretrain.language.labels import UNKNOWN, Label, minimum_for, normalized

_LETTERS = re.compile(r"[^\W\d_]+")
_BLANK_LINES = re.compile(r"(\n\s*\n)")


class Judgement(NamedTuple):
    """What becomes of a document.

    Attributes:
        language: of the document: ISO 639-1, else -3, else the model's label, or `unknown`.
        text: what stays, or None when the document goes.
        reason: why it goes or was changed, or None.
        value: the score; of `language_unknown` the number of letters, of `language_paragraphs_removed` that of
            paragraphs removed.
        threshold: the least that the recipe asks for, or None.
        evidence: the model's label; of `language_paragraphs_removed`, paragraphs removed by language.
    """

    language: str
    text: str | None
    reason: str | None = None
    value: float | None = None
    threshold: float | None = None
    evidence: str | None = None


class Judge:
    """Identifies texts with one model and one config."""

    def __init__(self, model: FastTextModel, config: LanguageConfig) -> None:
        self._model = model
        self._config = config
        self._minimums = config.minimums()
        self._labels: dict[str, Label] = {}

    def __call__(self, text: str) -> Judgement:
        """The judgement on a document's text."""
        return self._of_paragraphs(text) if self._config.per_paragraph else self._of_whole(text)

    def _of_whole(self, text: str) -> Judgement:
        line = as_line(text, self._config.max_chars, self._config.newline)
        num_letters = letters_up_to(line, self._config.min_letters)
        if num_letters < self._config.min_letters:
            if Label(UNKNOWN) in self._minimums:
                return Judgement(UNKNOWN, text)
            return Judgement(UNKNOWN, None, "language_unknown", num_letters, self._config.min_letters, UNKNOWN)
        return self.judge(text, self._model.predict(line))

    def judge(self, text: str, found: Prediction) -> Judgement:
        """The judgement on a text whose language is identified."""
        label = self._labels.get(found.label)
        if label is None:
            label = self._labels.setdefault(found.label, normalized(found.label))
        minimum = minimum_for(label, self._minimums)
        if minimum is not None and found.score >= minimum:
            return Judgement(label.language, text, None, found.score, minimum, found.label)
        reason = "language_not_kept" if minimum is None else "language_score_too_low"
        return Judgement(label.language, None, reason, found.score, minimum, found.label)

    def _of_paragraphs(self, text: str) -> Judgement:
        pieces = _BLANK_LINES.split(text.strip())
        paragraphs, separators = pieces[::2], ["", *pieces[1::2]]
        judged = list(_unknown_follows(map(self._of_whole, paragraphs)))
        sizes = Counter[str]()
        for paragraph, judgement in zip(paragraphs, judged, strict=True):
            if judgement.text is not None:
                sizes[judgement.language] += len(paragraph)
        if not sizes:
            largest = max(range(len(judged)), key=lambda number: len(paragraphs[number]))
            return judged[largest]
        language = max(sizes, key=lambda name: (sizes[name], name))
        removed = Counter(judgement.language for judgement in judged if judgement.text is None)
        if not removed:
            return Judgement(language, text)
        rows = zip(separators, paragraphs, judged, strict=True)
        kept = [separator + paragraph for separator, paragraph, judgement in rows if judgement.text is not None]
        rest = "".join(kept).strip()
        shown = ", ".join(f"{name}: {removed[name]}" for name in sorted(removed))
        return Judgement(language, rest, "language_paragraphs_removed", removed.total(), None, shown)


def letters_up_to(line: str, enough: int) -> int:
    """The letters of a line, counted word by word until there are `enough`."""
    count = 0
    if enough:
        for match in _LETTERS.finditer(line):
            count += match.end() - match.start()
            if count >= enough:
                break
    return count


def _unknown_follows(judgements: Iterable[Judgement]) -> Iterator[Judgement]:
    """The judgements, those that are unknown replaced by the one before; the first ones by the first that is known."""
    waiting: list[Judgement] = []
    last: Judgement | None = None
    for judgement in judgements:
        if judgement.language != UNKNOWN:
            last = judgement
            yield from (judgement for _ in waiting)
            waiting = []
            yield judgement
        elif last is not None:
            yield last
        else:
            waiting.append(judgement)
    yield from waiting
