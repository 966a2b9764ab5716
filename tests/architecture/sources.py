"""The project's own modules, as the architecture tests see them."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("src/pretrain", "flows", "tasks")


def modules(*folders: str) -> Iterator[tuple[str, str]]:
    """Every module below the folders: its path relative to the root, and its text."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def nodes(*folders: str) -> Iterator[tuple[str, ast.AST]]:
    """Every syntax node below the folders, with its module's path."""
    for path, text in modules(*folders):
        for node in ast.walk(ast.parse(text)):
            yield path, node
