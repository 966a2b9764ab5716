"""Nothing unfinished, nothing swallowed, nothing printed past the logging."""

import ast
import re

from tests.architecture.sources import PRODUCT, modules, nodes

UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")
BROAD = {"Exception", "BaseException"}


def report(offenders: list[str], message: str) -> None:
    assert not offenders, f"{message}:\n" + "\n".join(offenders)


def test_no_unfinished_marks():
    offenders = [
        f"{path}:{number} {line.strip()}"
        for path, text in modules(*PRODUCT, "tests", "benchmarks")
        for number, line in enumerate(text.splitlines(), start=1)
        if UNFINISHED.search(line)
    ]
    report(offenders, "do it now or open an issue")


def test_broad_handlers_raise_again():
    offenders = [
        f"{path}:{node.lineno}"
        for path, node in nodes(*PRODUCT)
        if isinstance(node, ast.ExceptHandler) and is_broad(node.type) and not raises(node.body)
    ]
    report(offenders, "catches everything without raising: name what is expected, or raise")


def test_no_asserts_in_the_product():
    offenders = [f"{path}:{node.lineno}" for path, node in nodes(*PRODUCT) if isinstance(node, ast.Assert)]
    report(offenders, "python -O strips asserts: raise an error that says what to do")


def test_only_the_command_line_and_workers_print():
    offenders = [
        f"{path}:{node.lineno}"
        for path, node in nodes("src/pretrain")
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
        and not may_print(path)
    ]
    report(offenders, "use logging")


def is_broad(caught: ast.expr | None) -> bool:
    """Whether an except clause catches everything: bare, or with a broad class alone or in a tuple."""
    if caught is None:
        return True
    classes = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return any(isinstance(each, ast.Name) and each.id in BROAD for each in classes)


def raises(body: list[ast.stmt]) -> bool:
    """Whether a raise stands in the statements, not counting those inside functions defined there."""
    todo: list[ast.AST] = list(body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Raise):
            return True
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            todo.extend(ast.iter_child_nodes(node))
    return False


def may_print(path: str) -> bool:
    """The command line, and the modules that are run as a process and speak JSON lines on stdout."""
    parts = path.removesuffix(".py").split("/")
    return "cli" in parts or parts[-1] == "__main__" or parts[-1].endswith("worker")
