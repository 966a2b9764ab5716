"""Prose of a Python installation: the language reference in `pydoc_data/topics.py`, and docstrings by module.

Files are parsed, never imported: what is installed cannot run code here.
"""

import ast
import warnings
from collections.abc import Iterator

from pretrain.download.config import Source
from pretrain.download.content import read_small
from pretrain.download.readers.python_code import decode_source
from pretrain.download.records import Record, Unreadable
from pretrain.external import ExternalFile

TOPICS_FILE = "stdlib/pydoc_data/topics.py"
# Below this a module's docstrings are a title line, not prose.
MIN_DOCSTRING_CHARACTERS = 200

_Named = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def read_python_docs(file: ExternalFile, source: Source) -> Iterator[Record | Unreadable]:
    """The topics of the language reference, or one record with the docstrings of a module.

    A module with less than 200 characters of docstrings holds no record.
    """
    text = decode_source(read_small(file))
    if text is None:
        yield Unreadable(0, "", "invalid_encoding")
        return
    try:
        with warnings.catch_warnings(action="ignore", category=SyntaxWarning):
            tree = ast.parse(text)
        records = _topics(tree) if file.name == TOPICS_FILE else _module(tree, file.name)
    except (
        SyntaxError,
        ValueError,
        RecursionError,
        MemoryError,
    ):  # NUL bytes and nesting beyond the parser too
        yield Unreadable(0, "", "syntax_error")
        return
    for position, (prose, fields) in enumerate(records):
        yield Record(position, f":{fields.pop('line')}", {source.text_key: prose, **fields, "path": file.name})


def _topics(tree: ast.Module) -> list[tuple[str, dict[str, object]]]:
    """Every topic of the `topics = {...}` literal, in its order."""
    topics = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(value, ast.Constant) and str(value.value).strip():
                    topics.append((str(value.value), {"topic": str(key.value), "line": key.lineno}))
    return topics


def _module(tree: ast.Module, path: str) -> list[tuple[str, dict[str, object]]]:
    """All docstrings of a module, each under its qualified name, in the order of the source."""
    module = path.partition("/")[2].removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    blocks = [(name, doc) for name, doc in _docstrings(tree, module) if doc.strip()]
    if sum(len(doc) for _, doc in blocks) < MIN_DOCSTRING_CHARACTERS:
        return []
    prose = "\n\n".join(f"{name}\n\n{doc}" for name, doc in blocks)
    return [(prose, {"module": module, "line": 1})]


def _docstrings(tree: ast.Module, module: str) -> Iterator[tuple[str, str]]:
    pending: list[tuple[str, ast.AST]] = [(module, tree)]
    while pending:  # a loop: source nests deeper than Python's stack allows
        name, node = pending.pop()
        if isinstance(node, _Named | ast.Module):
            doc = ast.get_docstring(node)
            if doc is not None:
                yield name, doc
        children = [
            (f"{name}.{child.name}" if isinstance(child, _Named) else name, child)
            for child in ast.iter_child_nodes(node)
            if isinstance(child, ast.stmt | ast.excepthandler | ast.match_case)
        ]
        pending.extend(reversed(children))
