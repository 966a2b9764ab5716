"""A user's function named as `package.module:function`: found without running any code, imported in workers."""

import ast
import functools
import importlib
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

from pretrain.errors import InputError

_ANY_NAME = "*"


def find_source(function: str, folder: Path) -> Path:
    """The file that holds a function: on Python's path, else below `folder`. Nothing is imported.

    Raises:
        InputError: there is no such module, it is not a Python file, or has no such name at its top level.
    """
    module, _, name = function.partition(":")
    spec = _find_spec(module, [*sys.path, str(folder)])
    if spec is None:
        raise InputError(
            f"function {function!r}: there is no module {module} in {folder} or on Python's path; correct the name, "
            "put the file beside the recipe, or install its package"
        )
    path = Path(spec.origin or "")
    if path.suffix != ".py":
        raise InputError(f"function {function!r}: {module} is no Python file ({spec.origin}); name one that is")
    names = _names_in(path, function)
    if name not in names and _ANY_NAME not in names:
        raise InputError(f"function {function!r}: {path} has no {name}; it has {', '.join(sorted(names)) or 'nothing'}")
    return path


def load_function(function: str, path: Path) -> Callable[..., Any]:
    """The function, imported from `path`; the folder that its package lies in can be imported from then on.

    Raises:
        InputError: the module cannot be imported, is another file, or the name is no function.
    """
    stat = path.stat()
    return _load(function, path, stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(maxsize=16)
def _load(function: str, path: Path, _mtime_ns: int, _num_bytes: int) -> Callable[..., Any]:
    name, _, attribute = function.partition(":")
    is_package = path.name == "__init__.py"
    root = str(path.parents[name.count(".") + is_package])
    if root not in sys.path:
        sys.path.append(root)
    try:
        known = sys.modules.get(name)
        # One that an earlier run in this process imported may be older than the file.
        module = importlib.reload(known) if known is not None else importlib.import_module(name)
    except Exception as error:  # whatever the user's module raises
        raise InputError(f"cannot import {path} for {function!r}: {type(error).__name__}: {error}") from error
    if Path(module.__file__ or "").resolve() != path.resolve():
        raise InputError(f"function {function!r}: Python imports {module.__file__}, not {path}; rename the module")
    found = getattr(module, attribute, None)
    if not callable(found):
        raise InputError(f"function {function!r}: {attribute} is {found!r}, which is no function; correct the name")
    loaded: Callable[..., Any] = found
    return loaded


def _find_spec(module: str, path: Sequence[str] | None) -> ModuleSpec | None:
    """What importlib.util.find_spec finds, which would import the packages above the module."""
    spec: ModuleSpec | None = None
    names = module.split(".")
    for depth in range(1, len(names) + 1):
        name = ".".join(names[:depth])
        # First by all finders: an editable install has one of its own.
        finders = [finder for finder in sys.meta_path if finder is not PathFinder]
        found = (finder.find_spec(name, None if depth == 1 else path) for finder in finders)
        spec = next((spec for spec in found if spec is not None), None) or PathFinder.find_spec(name, path)
        if spec is None:
            return None
        path = spec.submodule_search_locations or []
    return spec


def _names_in(path: Path, function: str) -> set[str]:
    """The names that a module binds at its top level; `*` among them when it imports all of another."""
    try:
        body = ast.parse(path.read_bytes()).body
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"cannot read {path} for {function!r}: {error}") from error
    names: set[str] = set()
    for node in body:
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Assign() | ast.AnnAssign() | ast.If() | ast.Try():
                names |= {item.id for item in ast.walk(node) if isinstance(item, ast.Name)}
                names |= {item.name for item in ast.walk(node) if isinstance(item, ast.FunctionDef)}
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                names |= {alias.asname or alias.name for alias in aliases}
    return names
