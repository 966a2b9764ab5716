"""Ranged reads, which no sha256 guards, are for showing data: nothing that builds an artifact can reach them."""

import ast

from tests.architecture.sources import modules, nodes

READS_RANGES = "pretrain.columns"  # `open_columns`, over `Store.read_range`
SHOWING = {
    "pretrain.dedup.view",
    "pretrain.difference",
    "pretrain.document_difference",
    "pretrain.examples",
    "pretrain.finding",
    "pretrain.funnel",
    "pretrain.measurements",
    "pretrain.why",
}


def imports() -> dict[str, set[str]]:
    """The modules of the product that each module of src/pretrain imports, at its top or in a function."""
    texts = {_name(path): text for path, text in modules("src/pretrain")}
    found = {}
    for name, text in texts.items():
        named = set()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                named |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                named |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        found[name] = named & set(texts)
    return found


def reached_from(starts: set[str], graph: dict[str, set[str]]) -> set[str]:
    """All that is imported from the modules, directly or not."""
    reached, todo = set(starts), list(starts)
    while todo:
        new = graph[todo.pop()] - reached
        reached |= new
        todo += new
    return reached


def test_no_stage_reaches_them():
    from pretrain.dag import NODES

    graph = imports()
    stages = {name for name in graph for node in NODES if f"{name}.".startswith(f"pretrain.{node.name}.")}
    engine = {"pretrain.pipeline", "pretrain.stage", "pretrain.artifact", "pretrain.runner"}
    assert len(stages) > 50
    assert reached_from((stages | engine) - SHOWING, graph) & {READS_RANGES, *SHOWING} == set()


def test_only_what_shows_data_imports_them():
    graph = imports()
    users = {name for name, imported in graph.items() if READS_RANGES in imported}
    assert users and users <= SHOWING


def test_a_store_is_asked_for_a_range_by_them_alone():
    callers = {
        path
        for path, node in nodes("src/pretrain", "tasks", "flows")
        if isinstance(node, ast.Attribute) and node.attr == "read_range"
    }
    assert callers == {"src/pretrain/columns.py", "src/pretrain/remote_store.py"}  # the latter hands it to its objects


def _name(path: str) -> str:
    return path.removeprefix("src/").removesuffix(".py").replace("/", ".").removesuffix(".__init__")
