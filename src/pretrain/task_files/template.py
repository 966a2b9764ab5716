"""Prompts with named fields, `Question: {question} Answer:`: keys of a row, never code.

A key may be followed by transforms of a closed list: `{premise|without_end_mark}`.
"""

import string
from collections.abc import Callable
from typing import NamedTuple


class TextKey(NamedTuple):
    """A key of a row, and what is done to the text there, in order."""

    key: str
    transforms: tuple[str, ...] = ()

    def transformed(self, text: str) -> str:
        """The text after the transforms."""
        for name in self.transforms:
            text = TRANSFORMS[name](text)
        return text


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]


def _without_end_mark(text: str) -> str:
    stripped = text.strip()
    return stripped[:-1] if stripped.endswith((".", "!", "?")) else stripped


TRANSFORMS: dict[str, Callable[[str], str]] = {
    "strip": str.strip,
    "capitalize": str.capitalize,
    "lower_first": _lower_first,
    "without_end_mark": _without_end_mark,
}


def parse_text_key(text: str) -> TextKey:
    """A key with its transforms, from `key` or `key|transform|transform`.

    Raises:
        ValueError: there is no key, or a transform of another name.
    """
    key, *transforms = (part.strip() for part in text.split("|"))
    unknown = [name for name in transforms if name not in TRANSFORMS]
    if not key or unknown:
        wrong = f"{unknown[0]!r} is no transform" if unknown else f"{text!r} names no key"
        raise ValueError(f"{wrong}: write key or key|transform, with transforms of {', '.join(TRANSFORMS)}")
    return TextKey(key, tuple(transforms))


def parse_template(template: str) -> tuple[str | TextKey, ...]:
    """The pieces of a template in order: text as it stands, and keys.

    Raises:
        ValueError: braces do not pair, or a field is more than a key with transforms.
    """
    pieces: list[str | TextKey] = []
    for literal, field, form, conversion in string.Formatter().parse(template):
        if literal:
            pieces.append(literal)
        if field is None:
            continue
        if form or conversion:
            raise ValueError(
                f"{{{field}}} has a format or conversion behind it: a field is a key, or key|transform; "
                "write {{ and }} for braces"
            )
        pieces.append(parse_text_key(field))
    return tuple(pieces)
