"""A flow is read on one screen, a task is an adapter, a module has one purpose."""

import ast

import pytest

from tests.architecture.sources import PRODUCT, modules, nodes

MAX_FUNCTION_LINES = 60


@pytest.mark.parametrize(("folder", "max_lines"), [("flows", 120), ("tasks", 60), ("src/pretrain", 400)])
def test_modules_stay_under_the_cap(folder, max_lines):
    lines = {path: len(text.splitlines()) for path, text in modules(folder)}
    assert lines, f"no modules in {folder}"
    offenders = [f"{path}: {count} lines" for path, count in lines.items() if count > max_lines]
    assert not offenders, f"over {max_lines} lines:\n" + "\n".join(offenders)


def test_functions_stay_under_the_cap():
    functions = [
        (f"{path}:{node.lineno} {node.name}", node.end_lineno - node.lineno + 1)
        for path, node in nodes(*PRODUCT)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    offenders = [f"{name}: {lines} lines" for name, lines in functions if lines > MAX_FUNCTION_LINES]
    assert not offenders, f"over {MAX_FUNCTION_LINES} lines:\n" + "\n".join(offenders)
