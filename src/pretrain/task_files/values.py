"""What is at a key of a row.

Dots lead into mappings, and into every element of a list of them; a number, from 0, into an element of a list of texts.
"""

from collections.abc import Mapping
from typing import Any

from pretrain.task_files.item_config import Where

Row = Mapping[str, Any]


def found_at(row: Row, key: str) -> list[Any]:
    """The values at a key as they are: none, one, or one for each element of a list on the way."""
    found: list[Any] = [row]
    for name in key.split("."):
        found = [child for value in found for child in _children(value, name)]
    return found


def values_at(row: Row, key: str) -> list[str]:
    """The texts at a key: a text or number gives itself, a list each of its texts, a mapping its keys, null nothing."""
    return [text for value in found_at(row, key) for text in _texts(value)]


def is_selected(row: Row, where: Where) -> bool:
    """Whether the row has one of the wanted values at every key of `where`, compared as text."""
    return all(_is_wanted(row, key, wanted) for key, wanted in where.items())


def _is_wanted(row: Row, key: str, wanted: Any) -> bool:
    allowed = {_comparable(value) for value in (wanted if isinstance(wanted, (list, tuple)) else [wanted])}
    return any(_comparable(value) in allowed for value in found_at(row, key))


def _comparable(value: Any) -> str:
    """A value as text, by which a number in a CSV file equals one in a recipe, and `true` is True in either."""
    text = str(value)
    return text.lower() if text.lower() in ("true", "false") else text


def _children(value: Any, name: str) -> list[Any]:
    if isinstance(value, Mapping):
        return [value[name]] if name in value else []
    if isinstance(value, list):
        if name.isdecimal() and not any(isinstance(item, Mapping) for item in value):
            return value[int(name) : int(name) + 1]
        return [child for item in value for child in _children(item, name)]
    return []


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, (list, tuple)):
        return [text for item in value for text in _texts(item)]
    if isinstance(value, Mapping):
        return [str(key) for key in value]
    return [] if value is None or isinstance(value, bool) else [str(value)]
