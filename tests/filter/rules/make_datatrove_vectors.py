"""Makes `datatrove_<filter>.jsonl`: texts with what datatrove 0.10.1 decides on them.

    python -m venv X && X/bin/pip install "datatrove[processing]==0.10.1" "xxhash<4" spacy regex
    X/bin/python tests/filter/rules/make_datatrove_vectors.py

One JSON object a line: `text`; `words`, those of datatrove's own splitter, or null where `text.split()` stood in its
place; `reason` of the filter with its defaults (null: kept); for C4 `output`, the text that it rewrites a kept one to,
with sentences by datatrove's own splitter throughout. Texts are drawn at random until every reason has six, and those
of `datatrove_gopher_quality.jsonl` that have words are added: CC0 documents.
"""

import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from datatrove.data import Document
from datatrove.pipeline.filters import c4_filters, fineweb_quality_filter, gopher_repetition_filter
from datatrove.utils.text import split_into_words

FOLDER = Path(__file__).parent
NUM_EACH = 6
VOCABULARY = [
    "the",
    "of",
    "and",
    "river",
    "Stone",
    "paper",
    "to",
    "be",
    "with",
    "that",
    "café",
    "naïve",
    "2024",
    "3,000",
    "it's",
    "well-known",
    "e.g.",
    "x",
    "y",
    "I",
    "ab",
    "cd",
    "abc",
    "d",
    "東京",
    "#",
    "...",
    "…",
    "•",
    "-",
    "--",
    "!",
    "?",
    ".",
    ",",
    "(",
    ")",
    "{",
]
PHRASES = [
    *("lorem ipsum", "Lorem Ipsum", "javascript", "JavaScript,", "{", "terms of use", "Privacy Policy", "uses cookies"),
    *(
        "[1]",
        "[]",
        "[edit]",
        "[citation needed]",
        "[12",
        "java[2]script",
        "coo\u212aies",
        "use coo\u212aies",
        "a\u0130b",
        "\x1c",
    ),
]
ENDS = [
    *" " * 30,
    ".",
    ". ",
    "! ",
    "?\n",
    "\n",
    "\n",
    "\n\n",
    "\n\n\n",
    '."\n',
    ".'\n",
    "...\n",
    "…\n",
    ".\r\n",
    "\u2028",
]


def random_text(draw: random.Random) -> str:
    """Words and marks with what may stand between them, some runs of them again."""
    vocabulary = draw.sample(VOCABULARY, draw.randint(1, len(VOCABULARY)))
    if draw.random() < 0.7:
        vocabulary += [
            "".join(draw.choices("abcdefghij", k=draw.randint(2, 9))) for _ in range(draw.choice([9, 99, 999]))
        ]
    pieces: list[str] = []
    for _ in range(draw.choice([0, 3, 9, 40, 150])):
        pieces += [draw.choice(vocabulary), draw.choice(ENDS) if draw.random() < 0.4 else " "]
    for _ in range(draw.choice([0, 0, 1, 2, 6])):
        start, length = draw.randrange(len(pieces) + 1), 2 * draw.choice([1, 5, 6, 7, 8, 9, 10, 20])
        place = draw.randrange(len(pieces) + 1)
        pieces[place:place] = pieces[start : start + length] * draw.choice([1, 1, 2])
    return "".join(pieces)


def sentences(draw: random.Random) -> str:
    """Lines of sentences, as C4 keeps them, with a few that it does not."""
    lines = []
    for _ in range(draw.randint(1, 9)):
        words = draw.choices(VOCABULARY[:20], k=draw.choice([1, 2, 3, 5, 9]))
        if draw.random() < draw.choice([0, 0.3]):
            words.insert(draw.randint(0, len(words)), draw.choice(PHRASES) + draw.choice(["", " "]))
        lines.append(" ".join(words) + draw.choice([".", ". And so on!", "?", '."', " [1].", "...", "", " " * 2, "{"]))
    if draw.random() < 0.1:
        lines.insert(0, "a" * draw.choice([1000, 1001]) + " is a word.")
    return draw.choice(["\n", "\n\n", "\r\n"]).join(lines)


def decide(filter_: object, text: str) -> tuple[str | None, str]:
    """The reason (None: kept) and the text after it."""
    document = Document(text=text, id="0")
    outcome = filter_.filter(document)
    return (None if outcome is True else outcome[1]), document.text


def make(name: str, module: object, filter_: object, draw_text: Callable[[random.Random], str]) -> None:
    """Writes the file of one filter."""
    draw, counts, cases, seen = random.Random(0), Counter(), [], set()
    is_c4 = name.startswith("c4")
    if hasattr(module, "split_into_words"):
        module.split_into_words = lambda text, language: text.split()
    for _ in range(3000 if is_c4 else 30_000):
        text = draw_text(draw)
        if text in seen:
            continue
        seen.add(text)
        reason, output = decide(filter_, text)
        if counts[reason] < (30 if is_c4 and reason is None else NUM_EACH) and len(text) < 3000:
            counts[reason] += 1
            cases.append({"text": text, "words": None, "reason": reason, "output": output})
    if hasattr(module, "split_into_words"):
        module.split_into_words = split_into_words
    for line in (FOLDER / "datatrove_gopher_quality.jsonl").read_bytes().splitlines():
        case = json.loads(line)
        if case["words"]:
            text = case["text"]
            reason, output = decide(filter_, text)
            cases.append({"text": text, "words": split_into_words(text), "reason": reason, "output": output})
    with (FOLDER / f"datatrove_{name}.jsonl").open("w") as file:
        for case in cases:
            if is_c4:
                del case["words"]
            else:
                del case["output"]
            file.write(json.dumps(case, ensure_ascii=False) + "\n")
    print(name, len(cases), dict(counts))


def main() -> None:
    """Writes the files of all filters."""
    make("gopher_repetition", gopher_repetition_filter, gopher_repetition_filter.GopherRepetitionFilter(), random_text)
    make("fineweb", fineweb_quality_filter, fineweb_quality_filter.FineWebQualityFilter(), random_text)
    make("c4", c4_filters, c4_filters.C4QualityFilter(), sentences)
    fineweb_use = c4_filters.C4QualityFilter(filter_no_terminal_punct=False)
    make("c4_without_terminal_punctuation", c4_filters, fineweb_use, sentences)


if __name__ == "__main__":
    main()
