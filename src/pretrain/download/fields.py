"""Fields of a record by key: `content.text` names `text` inside `content`, unless a field has that very name."""

from typing import Any


def find_field(fields: dict[str, Any], key: str) -> Any:
    """The value at a key or dotted path; None where there is none."""
    if key in fields:
        return fields[key]
    head, dot, rest = key.partition(".")
    inner = fields.get(head) if dot else None
    return find_field(inner, rest) if isinstance(inner, dict) else None


def take_field(fields: dict[str, Any], key: str) -> Any:
    """Removes the value at a key or dotted path and returns it; None where there is none.

    Objects on the way are replaced by copies without it; one that is left empty goes too.
    """
    if key in fields:
        return fields.pop(key)
    head, dot, rest = key.partition(".")
    inner = fields.get(head) if dot else None
    if not isinstance(inner, dict):
        return None
    left = dict(inner)
    value = take_field(left, rest)
    if left:
        fields[head] = left
    elif inner:
        del fields[head]
    return value


def put_field(fields: dict[str, Any], key: str, value: Any) -> None:
    """Sets a field of our own; one that the record has under that name becomes `<key>_field`, and so on."""
    if key in fields:
        put_field(fields, f"{key}_field", fields.pop(key))
    fields[key] = value


def unique_names(names: list[str]) -> list[str]:
    """Column names with repeats numbered: `text`, `text#2`, `text#3`."""
    taken = set(names)
    seen: dict[str, int] = {}
    unique = []
    for name in names:
        number = seen.get(name, 0) + 1
        candidate = name
        if number > 1:
            candidate = f"{name}#{number}"
            while candidate in taken:  # a column has that very name
                number += 1
                candidate = f"{name}#{number}"
        seen[name] = number
        taken.add(candidate)
        unique.append(candidate)
    return unique
