"""The reasons that docs/sources.md explains are those that the code gives."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
# What takes a reason as an argument.
CARRIERS = {
    *("Unreadable", "Skipped", "Member", "Row", "Piece", "_Element", "Damage"),
    *("UnusableRecordError", "UnreadableContentError", "_SkipError", "_DamageError"),
}
REASON = re.compile("[a-z]+(_[a-z0-9]+)+")


def nodes() -> Iterator[ast.AST]:
    for path in (ROOT / "src/pretrain/download").rglob("*.py"):
        yield from ast.walk(ast.parse(path.read_text()))


def holders(node: ast.AST) -> list[ast.expr] | list[ast.stmt]:
    """The parts of a node in which a text of this form is a reason."""
    match node:
        case ast.Call(func=ast.Name(id=name)) if name in CARRIERS:
            return [*node.args, *(keyword.value for keyword in node.keywords)]
        case ast.FunctionDef(name=name) if "reason" in name:
            return node.body
        case ast.Yield(value=ast.expr() as value):
            return [value]
        case ast.Assign(targets=[ast.Name(id=name)]) if "reason" in name:
            return [node.value]
    return []


def texts(node: ast.AST) -> Iterator[str]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
            yield inner.value


def explained() -> set[str]:
    """The names in the first column of the table under "What cannot be read"."""
    section = (ROOT / "docs/sources.md").read_text().partition("## What cannot be read\n")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


def test_every_reason_that_the_code_gives_is_explained():
    given = {text for node in nodes() for part in holders(node) for text in texts(part) if REASON.fullmatch(text)}
    assert {
        "invalid_json",
        "damaged_batch",
        "bad_checksum",
        "extract_timeout",
        "syntax_error",
    } <= given  # it finds them
    assert given - explained() == set()


def test_every_reason_that_is_explained_is_in_the_code():
    in_code = {text for node in nodes() for text in texts(node)}
    assert explained() - in_code == set()
    assert len(explained()) > 40
